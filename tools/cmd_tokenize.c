#include "tools/command.h"

#include "core/map.h"
#include "core/utf8.h"
#include "model/plan.h"
#include "model/tokenizer.h"
#include "tools/report.h"
#include "tools/token_ids.h"

#include <string.h>

struct tokenize_options {
    const char *text, *file, *decode;
    bool ids, count, lines, no_bos, no_parse;
    struct opt_common common;
};

static unsigned flags_of(const struct tokenize_options *o)
{
    return (o->no_bos ? 0 : TOKENIZER_AROUND) | (o->no_parse ? 0 : TOKENIZER_PARSE);
}

static json_t *json_ids(const struct token_list *l)
{
    json_t *ids = json_array();
    for (size_t i = 0; i < l->count; i++)
        json_array_append_new(ids, json_integer(l->id[i]));
    return ids;
}

static bool print_json(const struct tokenizer *t, const struct token_list *l, struct err *err)
{
    json_t *root = json_object(), *tokens = json_array();
    bool ok = true;
    json_object_set_new(root, "count", json_integer((json_int_t)l->count));
    json_object_set_new(root, "tokens", tokens);
    for (size_t i = 0; ok && i < l->count; i++) {
        const struct meta_text *piece = &t->piece[l->id[i]];
        json_t *text = report_bytes(piece->text, piece->length, err), *token = json_object();
        ok = text != NULL;
        json_object_set_new(token, "id", json_integer(l->id[i]));
        json_object_set_new(token, "text", text);
        json_array_append_new(tokens, token);
    }
    ok = ok && report_print(root, err);
    json_decref(root);
    return ok;
}

/* In quotes, so that spaces show; what is no printable UTF-8 as \n, \t or \xNN. */
static void print_piece(const struct meta_text *p)
{
    putchar('"');
    for (size_t at = 0, n; at < p->length; at += n) {
        const unsigned char c = (unsigned char)p->text[at];
        n = utf8_length(p->text + at, p->length - at);
        if (c == '\n' || c == '\t')
            fputs(c == '\n' ? "\\n" : "\\t", stdout);
        else if (c == '"' || c == '\\')
            printf("\\%c", c);
        else if (n == 0 || c < ' ' || c == 0x7f)
            printf("\\x%02x", c);
        else
            fwrite(p->text + at, 1, n, stdout);
        n = n ? n : 1;
    }
    puts("\"");
}

static bool print_tokens(const struct tokenizer *t, const struct token_list *l,
                         const struct tokenize_options *o, struct err *err)
{
    if (o->common.json)
        return print_json(t, l, err);
    if (o->count)
        printf("%zu\n", l->count);
    else if (o->ids) {
        for (size_t i = 0; i < l->count; i++)
            printf("%s%u", i ? " " : "", l->id[i]);
        putchar('\n');
    } else {
        for (size_t i = 0; i < l->count; i++) {
            printf("%8u  ", l->id[i]);
            print_piece(&t->piece[l->id[i]]);
        }
    }
    return true;
}

static bool encode_text(const struct tokenizer *t, const char *text, size_t length,
                        const struct tokenize_options *o, struct err *err)
{
    struct token_list l = {0};
    const bool ok =
        tokenizer_encode(t, text, length, flags_of(o), &l, err) && print_tokens(t, &l, o, err);
    token_list_close(&l);
    return ok;
}

static bool read_ids(const char *text, struct token_list *l, struct err *err)
{
    struct err why = {0};
    return token_ids_read(l, text, strlen(text), &why) ||
           err_set(err, why.code == ERR_FORMAT ? ERR_USAGE : why.code, "--decode: %s", why.text);
}

static bool decode_ids(const struct tokenizer *t, const struct tokenize_options *o, struct err *err)
{
    struct token_list l = {0};
    struct token_text text = {0};
    bool ok =
        read_ids(o->decode, &l, err) && tokenizer_decode(t, l.id, l.count, flags_of(o), &text, err);
    if (ok && o->common.json) {
        json_t *string = report_bytes(text.text, text.length, err);
        json_t *root = json_pack("{s:o}", "text", string);
        ok = string && report_print(root, err);
        json_decref(root);
    } else if (ok) {
        fwrite(text.text, 1, text.length, stdout);
        putchar('\n');
    }
    token_list_close(&l);
    token_text_close(&text);
    return ok;
}

/* The answer to one line: a string gives its ids, an array of ids its text. */
static json_t *answer(const struct tokenizer *t, const json_t *line,
                      const struct tokenize_options *o, struct err *err)
{
    struct token_list l = {0};
    struct token_text text = {0};
    json_t *out = NULL, *id;
    size_t i;
    if (json_is_string(line)) {
        if (tokenizer_encode(t, json_string_value(line), json_string_length(line), flags_of(o), &l,
                             err))
            out = json_ids(&l);
    } else if (json_is_array(line)) {
        bool ok = true;
        json_array_foreach (line, i, id) {
            const json_int_t n = json_is_integer(id) ? json_integer_value(id) : -1;
            ok = ok && token_list_add(&l, n < 0 || n > INT32_MAX ? UINT32_MAX : (uint32_t)n, err);
        }
        if (ok && tokenizer_decode(t, l.id, l.count, flags_of(o), &text, err))
            out = report_bytes(text.text, text.length, err);
    } else {
        err_set(err, ERR_USAGE, "neither a string nor an array of ids");
    }
    token_list_close(&l);
    token_text_close(&text);
    return out;
}

static bool answer_lines(const struct tokenizer *t, const char *text, size_t length,
                         const struct tokenize_options *o, struct err *err)
{
    for (size_t from = 0, number = 1; from < length; number++) {
        const char *stop = memchr(text + from, '\n', length - from);
        const size_t bytes = stop ? (size_t)(stop - text) - from : length - from;
        json_error_t fault;
        json_t *line = json_loadb(text + from, bytes, JSON_DECODE_ANY | JSON_ALLOW_NUL, &fault);
        json_t *out = NULL;
        if (!line)
            err_set(err, ERR_USAGE, "no JSON: %s", fault.text);
        else
            out = answer(t, line, o, err);
        json_decref(line);
        if (!out)
            return err_wrap(err, "line %zu", number);
        json_dumpf(out, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
        json_decref(out);
        from += bytes + 1;
    }
    return true;
}

static bool read_stdin(struct token_text *text, struct err *err)
{
    char bytes[65536];
    for (size_t n; (n = fread(bytes, 1, sizeof bytes, stdin)) > 0;) {
        if (!token_text_add(text, bytes, n, err))
            return false;
    }
    return !ferror(stdin) || err_set(err, ERR_IO, "standard input cannot be read");
}

static bool work(const struct tokenizer *t, const struct tokenize_options *o, struct err *err)
{
    struct map m = {0};
    struct token_text input = {0};
    if (o->decode)
        return decode_ids(t, o, err);
    bool ok = o->text   ? token_text_add(&input, o->text, strlen(o->text), err)
              : o->file ? map_open(&m, o->file, err)
                        : read_stdin(&input, err);
    const char *text = o->file ? (const char *)m.data : input.text;
    const size_t length = o->file ? m.size : input.length;
    if (ok)
        ok = (o->lines ? answer_lines : encode_text)(t, text ? text : "", length, o, err);
    map_close(&m);
    token_text_close(&input);
    return ok;
}

/* A GGUF has its tokenizer's keys; a folder's are made as for converting it. */
static bool tokenize(const char *path, const struct tokenize_options *o, struct err *err)
{
    const struct plan_options vocabulary = {.vocab_only = true};
    struct checkpoint c = {0};
    struct plan p = {0};
    struct tokenizer t = {0};
    bool ok = checkpoint_open(&c, path, err);
    const bool gguf = ok && strcmp(c.container->name, "GGUF") == 0;
    ok = ok && (gguf || plan_open(&p, &c, &vocabulary, err));
    if (ok && !tokenizer_open(&t, gguf ? &c.meta : &p.meta, err))
        ok = err_wrap(err, "%s", path);
    ok = ok && work(&t, o, err);
    tokenizer_close(&t);
    plan_close(&p);
    checkpoint_close(&c);
    return ok;
}

static bool run_tokenize(const struct command *me, int argc, char **argv, struct err *err)
{
    struct tokenize_options o = {0};
    bool done;
    const struct opt table[] = {
        {"prompt", 'p', OPT_TEXT, &o.text, "TEXT", "this text"},
        {"file", 'f', OPT_TEXT, &o.file, "FILE", "a file's text (default: standard input)"},
        {"decode", 0, OPT_TEXT, &o.decode, "IDS", "print the text of these ids: \"1 15043\""},
        {"ids", 0, OPT_FLAG, &o.ids, NULL, "print the ids alone, on one line"},
        {"count", 0, OPT_FLAG, &o.count, NULL, "print how many tokens there are"},
        {"json-lines", 0, OPT_FLAG, &o.lines, NULL,
         "the input is a JSON value a line: a string gives a line with its ids, an array of ids "
         "one "
         "with its text"},
        {"no-bos", 0, OPT_FLAG, &o.no_bos, NULL,
         "leave out the tokens that the model has before and behind a text"},
        {"no-parse-special", 0, OPT_FLAG, &o.no_parse, NULL,
         "take the names of control tokens, as <|eot_id|>, for plain text; leave them out of "
         "decoded "
         "text"},
        {"json", 0, OPT_FLAG, &o.common.json, NULL,
         "print JSON: count, and id and text of each token"},
        {"help", 'h', OPT_FLAG, &o.common.help, NULL, "show this"},
        OPT_END,
    };
    if (!command_parse(me, table, &o.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if ((o.text != NULL) + (o.file != NULL) + (o.decode != NULL) > 1)
        return err_set(err, ERR_USAGE, "--prompt, --file and --decode: one of them");
    return tokenize(argv[0], &o, err);
}

const struct command cmd_tokenize = {
    .name = "tokenize",
    .usage = "MODEL [-p TEXT | -f FILE | --decode IDS] [OPTION]...",
    .summary = "the tokens of a text, or the text of tokens",
    .text = "MODEL is a GGUF file or a model folder; only its tokenizer is read. Prints the id of "
            "each token\n"
            "and what it stands for.\n\n"
            "  quern tokenize model.gguf -p 'Once upon a time'\n"
            "  quern tokenize path/to/model-folder -f book.txt --count\n",
    .run = run_tokenize,
};
