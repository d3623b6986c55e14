#include "tools/command.h"

#include "core/mem.h"
#include "eval/perplexity.h"
#include "tools/eval_report.h"
#include "tools/session.h"
#include "tools/text_tokens.h"

#include <stdlib.h>
#include <time.h>

struct eval_options {
    const char *model, *against;
    const char *text, *tokens; /* one of them */
    const char *cache;
    struct windows_options windows;
};

/* A GGUF, opened to be run. */
struct eval_model {
    struct checkpoint checkpoint;
    struct weights weights;
};

static bool model_open(struct eval_model *m, const char *path, const struct session *s,
                       struct err *err)
{
    return checkpoint_open(&m->checkpoint, path, err) &&
           weights_open(&m->weights, &m->checkpoint, &s->kernels, err);
}

static void model_close(struct eval_model *m)
{
    weights_close(&m->weights);
    checkpoint_close(&m->checkpoint);
}

/* The text's tokens, and the one that each window begins with. */
static bool read_text(struct token_list *list, struct eval_options *o,
                      const struct eval_model *model, const struct session *s, struct err *err)
{
    struct tokenizer t = {0};
    struct err why = {0};
    if (tokenizer_open(&t, &model->checkpoint.meta, &why))
        o->windows.bos = t.add_bos ? t.special[TOKENIZER_BOS] : -1;
    else if (!o->tokens)
        return err_set(err, why.code, "%s: %s", o->model, why.text);
    else
        session_say(s, "%s: %s; windows begin with their own first token\n", o->model, why.text);
    const bool ok = o->tokens ? text_tokens_read(list, o->tokens, err)
                              : text_tokens_encode(list, &t, o->text, err);
    tokenizer_close(&t);
    return ok;
}

static double seconds_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool report(const struct eval_options *o, const struct windows *w, const struct score *score,
                   double seconds, const struct session *s, struct err *err)
{
    const size_t scores = w->count * w->scored;
    struct eval_report r = {
        .model = o->model,
        .text = o->tokens ? o->tokens : o->text,
        .against = o->against,
        .cache = o->cache,
        .windows = w,
        .loss = perplexity_loss(score, scores),
        .perplexity = perplexity_of(score, scores),
        .seconds = seconds,
    };
    if (o->against && !divergence_of(score, scores, &r.divergence, err))
        return false;
    return eval_report_print(&r, s->common.json, err);
}

static bool measure(const struct eval_options *o, const struct eval_model *model,
                    const struct eval_model *base, const struct token_list *list, struct session *s,
                    struct err *err)
{
    struct windows w;
    if (!windows_init(&w, &o->windows, list->id, list->count, err))
        return err_wrap(err, "%s", o->tokens ? o->tokens : o->text);
    struct score *score = mem_alloc(w.count * w.scored, sizeof *score);
    const struct dtype *cache = dtype_find(o->cache);
    if (!score || !cache) {
        free(score);
        return cache ? err_set(err, ERR_MEMORY, "scores of %zu windows", w.count)
                     : err_set(err, ERR_USAGE, "--cache: no type is called '%s'", o->cache);
    }
    session_say(s,
                "%zu tokens: %zu windows of %zu, of each the last %zu scored; %s, cache in %s, "
                "%d threads\n",
                list->count, w.count, w.size, w.scored,
                s->kernels.dot ? s->kernels.dot->name : "exact f32", cache->name,
                pool_threads(s->pool));
    const struct score_options options = {
        .model = &model->weights,
        .base = base ? &base->weights : NULL,
        .cache = cache->id,
        .kernels = &s->kernels,
        .pool = s->pool,
        .progress = &s->progress.base,
    };
    const double start = seconds_now();
    s->progress.base.unit = "tokens";
    bool ok = score_windows(&options, &w, score, err);
    const double seconds = seconds_now() - start;
    term_progress_clear(&s->progress);
    if (ok)
        session_say(s, "%.1f s, %.0f tokens/s%s\n", seconds, (double)(w.count * w.size) / seconds,
                    base ? " through both models" : "");
    ok = ok && report(o, &w, score, seconds, s, err);
    free(score);
    return ok;
}

static bool eval(struct eval_options *o, struct session *s, struct err *err)
{
    struct eval_model model = {0}, base = {0};
    struct token_list list = {0};
    const bool ok = model_open(&model, o->model, s, err) &&
                    (!o->against || model_open(&base, o->against, s, err)) &&
                    read_text(&list, o, &model, s, err) &&
                    measure(o, &model, o->against ? &base : NULL, &list, s, err);
    token_list_close(&list);
    model_close(&base);
    model_close(&model);
    return ok;
}

static bool run_eval(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct eval_options o = {.cache = "F16", .windows = {.context = WINDOWS_CONTEXT, .bos = -1}};
    bool done, exact = false;
    const struct opt table[] = {
        {"file", 'f', OPT_TEXT, &o.text, "TEXT", "the text to be predicted"},
        {"against", 0, OPT_TEXT, &o.against, "SOURCE.gguf",
         "compare with this model, window by window: KL divergence and more"},
        {"context", 'c', OPT_COUNT, &o.windows.context, "N", "tokens of a window (default: 512)"},
        {"stride", 0, OPT_COUNT, &o.windows.stride, "N",
         "windows overlap and begin N tokens after one another; the last N of each are scored"},
        {"chunks", 0, OPT_COUNT, &o.windows.most, "N", "only the first N windows"},
        {"cache", 0, OPT_TEXT, &o.cache, "TYPE",
         "type of the cached keys and values: F16 (default), F32, Q8_0"},
        {"exact", 0, OPT_FLAG, &exact, NULL,
         "multiply in f32 with the decoded weights, instead of with activations in 8 bits: slow"},
        {"tokens", 0, OPT_TEXT, &o.tokens, "FILE",
         "instead of a text its tokens: numbers, or a JSON array of them"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if (!o.text == !o.tokens)
        return err_set(err, ERR_USAGE, "one text is needed: -f TEXT, or --tokens FILE");
    o.model = argv[0];
    bool ok = session_open(&s, err);
    if (exact)
        s.kernels.dot = NULL;
    ok = ok && eval(&o, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_eval = {
    .name = "eval",
    .usage = "MODEL.gguf -f TEXT [OPTION]...",
    .summary = "perplexity of a text, and what quantization cost against the source",
    .text =
        "Predicts every token of TEXT from those before it. Perplexity is what llama-perplexity "
        "prints: windows of 512 tokens side by side, the second half of each scored, BOS in "
        "place of a window's first token where the model begins texts with one. Figures have "
        "their standard errors.\n\n"
        "With --against both models run over the same windows, and the divergence of their "
        "predictions is measured, which shows far smaller differences than perplexity does.\n\n"
        "  quern eval model-Q4_K_M.gguf -f text.txt --against model-f16.gguf\n",
    .run = run_eval,
};
