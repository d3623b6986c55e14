#include "tools/command.h"

#include "core/map.h"
#include "core/stop.h"
#include "tools/report.h"
#include "tools/talk.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

struct run_options {
    const char *prompt, *file; /* one of them, or neither: a conversation */
    struct talk_options talk;
};

static double rate(size_t tokens, double seconds)
{
    return seconds > 0.0 ? (double)tokens / seconds : 0.0;
}

/* The most bytes of memory that the program held, the model's pages among them. */
static uint64_t peak_memory(void)
{
    struct rusage usage;
    return getrusage(RUSAGE_SELF, &usage) == 0 ? (uint64_t)usage.ru_maxrss * 1024 : 0;
}

static void say_speed(const struct talk *t, const struct talk_answer *a, const struct session *s)
{
    char memory[TERM_TEXT], cache[TERM_TEXT];
    session_say(s,
                "prompt: %zu tokens, %.1f tokens/s\n"
                "answer: %zu tokens, %.1f tokens/s\n"
                "memory: %s, the cache %s of it\n",
                a->prompt_tokens, rate(a->prompt_tokens, a->prompt_seconds), a->tokens.count,
                rate(a->passes, a->seconds), term_size(peak_memory(), memory),
                term_size(t->generator.cache.bytes, cache));
}

static bool print_json(const struct talk *t, const struct run_options *o,
                       const struct talk_answer *a, struct err *err)
{
    json_t *root = json_object(), *tokens = json_array();
    json_t *text = report_bytes(a->text.text, a->text.length, err);
    for (size_t i = 0; i < a->tokens.count; i++)
        json_array_append_new(tokens, json_integer(a->tokens.id[i]));
    json_object_set_new(root, "file", json_string(o->talk.model));
    json_object_set_new(root, "chat_template",
                        t->chat.family ? json_string(t->chat.family->name) : json_null());
    json_object_set_new(root, "text", text);
    json_object_set_new(root, "tokens", tokens);
    json_object_set_new(root, "end", json_string(talk_end_name(a->end)));
    json_object_set_new(root, "context", json_integer((json_int_t)t->generator.cache.context));
    json_object_set_new(root, "cache", json_string(t->generator.cache.dtype->name));
    json_object_set_new(root, "prompt_tokens", json_integer((json_int_t)a->prompt_tokens));
    json_object_set_new(root, "prompt_tokens_per_second",
                        json_real(rate(a->prompt_tokens, a->prompt_seconds)));
    json_object_set_new(root, "tokens_per_second", json_real(rate(a->passes, a->seconds)));
    json_object_set_new(root, "memory_bytes", json_integer((json_int_t)peak_memory()));
    const bool ok = text && report_print(root, err);
    json_decref(root);
    return ok;
}

/* The answer's last line ends. */
static void end_line(const struct talk_answer *a)
{
    if (a->text.length > 0 && a->text.text[a->text.length - 1] != '\n')
        putchar('\n');
    fflush(stdout);
}

static bool answer_one(struct talk *t, const struct run_options *o, const struct session *s,
                       const char *prompt, size_t length, struct err *err)
{
    const bool json = s->common.json;
    struct talk_answer a = {0};
    bool ok = talk_turn(t, prompt, length, json ? NULL : stdout, &a, err);
    if (ok && json)
        ok = print_json(t, o, &a, err);
    else if (ok)
        end_line(&a);
    if (ok)
        say_speed(t, &a, s);
    if (ok && a.end == TALK_INTERRUPTED)
        ok = err_set(err, ERR_STOPPED, "stopped");
    talk_answer_close(&a);
    return ok;
}

/* A newline at the end of the file does not count. */
static bool answer_file(struct talk *t, const struct run_options *o, const struct session *s,
                        struct err *err)
{
    struct map m = {0};
    if (!map_open(&m, o->file, err))
        return false;
    const char *text = (const char *)m.data;
    const size_t length = m.size > 0 && text[m.size - 1] == '\n' ? m.size - 1 : m.size;
    const bool ok = answer_one(t, o, s, text, length, err);
    map_close(&m);
    return ok;
}

static const char hint[] = "Ctrl-C stops an answer, /reset begins anew, Ctrl-D or /quit ends";

/* A line without its newline; false at the end of the input, or where the program is asked to end.
 * Ctrl-C here begins a new line. */
static bool read_line(char **line, size_t *room, size_t *length, bool terminal)
{
    for (;;) {
        if (terminal)
            fputs("> ", stderr);
        if (!terminal || stop_wait(STDIN_FILENO, NULL)) {
            const ssize_t n = getline(line, room, stdin);
            if (n > 0)
                *length = (size_t)n - ((*line)[n - 1] == '\n');
            else if (terminal)
                fputc('\n', stderr); /* behind the prompt */
            return n > 0;
        }
        stop_forget_interrupt();
        if (!stop_check(NULL))
            return false;
        fputs("\nCtrl-D or /quit ends\n", stderr);
    }
}

static bool is_word(const char *line, size_t length, const char *word)
{
    return length == strlen(word) && memcmp(line, word, length) == 0;
}

/* What looks like a command and is none would puzzle the model. */
static bool is_command(const char *line, size_t length)
{
    return line[0] == '/' && !memchr(line, ' ', length) && !memchr(line + 1, '/', length - 1);
}

/* One turn.  What is wrong with it is said, and the conversation goes on, if it can. */
static bool answer_line(struct talk *t, const char *line, size_t length, bool terminal,
                        struct talk_answer *a, struct err *err)
{
    struct err why = {0};
    if (talk_turn(t, line, length, stdout, a, &why)) {
        end_line(a);
        if (a->end == TALK_FULL)
            fputs("the context is full; /reset begins anew\n", stderr);
    } else if (!terminal || (why.code != ERR_USAGE && why.code != ERR_STOPPED)) {
        return err_set(err, why.code, "%s", why.text);
    } else if (why.code == ERR_USAGE) {
        fprintf(stderr, "%s; /reset begins anew\n", why.text);
    }
    if (terminal)
        stop_forget_interrupt();
    return stop_check(err);
}

static bool converse(struct talk *t, const struct session *s, struct err *err)
{
    const bool terminal = term_is_tty(stdin);
    struct talk_answer a = {0};
    char *line = NULL;
    size_t room = 0, length;
    bool ok = true;
    if (terminal)
        session_say(s, "%s\n", hint);
    while (ok && read_line(&line, &room, &length, terminal)) {
        if (is_word(line, length, "/quit"))
            break;
        if (is_word(line, length, "/reset"))
            talk_reset(t);
        else if (terminal && is_command(line, length))
            fprintf(stderr, "%s\n", hint);
        else if (length > 0)
            ok = answer_line(t, line, length, terminal, &a, err);
    }
    ok = ok && stop_check(err) &&
         (!ferror(stdin) || err_set(err, ERR_IO, "standard input cannot be read"));
    if (ok && a.prompt_tokens > 0)
        say_speed(t, &a, s);
    free(line);
    talk_answer_close(&a);
    return ok;
}

static bool run(const struct run_options *o, struct session *s, struct err *err)
{
    struct talk t = {0};
    const bool ok = talk_open(&t, &o->talk, s, err) &&
                    (o->prompt ? answer_one(&t, o, s, o->prompt, strlen(o->prompt), err)
                     : o->file ? answer_file(&t, o, s, err)
                               : converse(&t, s, err));
    talk_close(&t);
    return ok;
}

/* What can be refused before anything is read. */
static bool check(const struct run_options *o, bool json, struct err *err)
{
    const struct opt_list *stop = &o->talk.stop;
    if (o->prompt && o->file)
        return err_set(err, ERR_USAGE, "--prompt, --file: one of them");
    if (json && !o->prompt && !o->file)
        return err_set(err, ERR_USAGE, "--json needs a prompt: -p TEXT, or -f FILE");
    if (o->prompt && !*o->prompt)
        return err_set(err, ERR_USAGE, "the prompt is empty");
    for (size_t i = 0; i < stop->count; i++)
        if (!*stop->text[i])
            return err_set(err, ERR_USAGE, "--stop: the text is empty");
    return true;
}

static bool parse_and_run(const struct command *me, int argc, char **argv, struct run_options *o,
                          struct err *err)
{
    struct session s = {0};
    struct talk_options *t = &o->talk;
    struct sampler_options *p = &t->sampler;
    size_t seed = 0;
    bool done, exact = false;
    const struct opt table[] = {
        {"prompt", 'p', OPT_TEXT, &o->prompt, "TEXT", "answer this, and end"},
        {"file", 'f', OPT_TEXT, &o->file, "FILE", "answer a file's text, and end"},
        {"tokens", 'n', OPT_COUNT, &t->most, "N",
         "most tokens of an answer (default: to its end; without a chat template 128); 0: to its "
         "end"},
        {"system", 0, OPT_TEXT, &t->system, "TEXT", "what the chat template's system role says"},
        {"raw", 0, OPT_FLAG, &t->raw, NULL,
         "leave the chat template out: texts are gone on with as they are"},
        {"stop", 0, OPT_LIST, &t->stop, "TEXT",
         "an answer ends before this text; may be given again"},
        {"context", 'c', OPT_COUNT, &t->context, "N",
         "tokens that the model sees, answers included (default: the model's, up to 4096)"},
        {"cache-type", 0, OPT_TEXT, &t->cache, "TYPE",
         "type of the cached keys and values: F16 (default), F32, Q8_0"},
        {"exact", 0, OPT_FLAG, &exact, NULL,
         "multiply in f32 with the decoded weights, instead of with activations in 8 bits: slow"},
        {"no-repack", 0, OPT_FLAG, &t->no_repack, NULL,
         "leave the weights as the file has them, not laid out in memory: slower"},
        OPT_HEADING("Choice of tokens"),
        {"temp", 0, OPT_NUMBER, &p->temperature, "X",
         "temperature (default: 0.8); 0 takes the most likely token"},
        {"top-k", 0, OPT_COUNT, &p->top_k, "N",
         "among the N most likely tokens (default: 40); 0: among all"},
        {"top-p", 0, OPT_NUMBER, &p->top_p, "X",
         "among the fewest that together have this probability (default: 0.95)"},
        {"min-p", 0, OPT_NUMBER, &p->min_p, "X",
         "among those with this part of the likeliest one's probability (default: 0.05)"},
        {"repeat-penalty", 0, OPT_NUMBER, &p->repeat_penalty, "X",
         "make tokens less likely that were among the last 64 (default: 1, which does not)"},
        {"seed", 's', OPT_COUNT, &seed, "N",
         "of the random numbers (default: 0); the same seed gives the same answer"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if (!check(o, s.common.json, err))
        return false;
    t->model = argv[0];
    p->seed = seed;
    bool ok = session_open(&s, err);
    if (exact)
        s.kernels.dot = NULL;
    ok = ok && run(o, &s, err);
    session_close(&s);
    return ok;
}

static bool run_run(const struct command *me, int argc, char **argv, struct err *err)
{
    struct run_options o = {
        .talk = {.most = TALK_MOST, .cache = "F16", .sampler = SAMPLER_DEFAULTS}};
    const bool ok = parse_and_run(me, argc, argv, &o, err);
    opt_list_close(&o.talk.stop);
    return ok;
}

const struct command cmd_run = {
    .name = "run",
    .usage = "MODEL.gguf [-p PROMPT | -f FILE] [OPTION]...",
    .summary = "talk with a model, or let it go on with a text",
    .text =
        "Prints the model's answer to PROMPT as it comes. Without a prompt, lines are read from "
        "the terminal (or standard input) and answered one after the other, as one "
        "conversation.\n\n"
        "The conversation is written as the model's chat template says, if that is of a known "
        "family; otherwise, and with --raw, the model goes on with the text as it is. Speed and "
        "memory are said at the end.\n\n"
        "  quern run model-Q4_K_M.gguf\n"
        "  quern run model-Q4_K_M.gguf -p 'Why is the sky blue?' --temp 0\n"
        "  quern run model-Q4_K_M.gguf --raw -p 'Once upon a time' -n 200\n",
    .run = run_run,
};
