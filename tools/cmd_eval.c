#include "tools/command.h"

#include "core/mem.h"
#include "eval/layers.h"
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
    bool layers, tensors;
    struct windows_options windows;
};

/* What the models made of the text's windows. */
struct eval_scores {
    struct windows windows;
    struct score *score;
    struct estimate *layer; /* NULL: not asked for */
    double seconds;
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

static const char *text_name(const struct eval_options *o)
{
    return o->tokens ? o->tokens : o->text;
}

static bool report(const struct eval_options *o, const struct eval_scores *e, size_t layers,
                   const struct eval_tensors *tensors, const struct session *s, struct err *err)
{
    const size_t scores = e->windows.count * e->windows.scored;
    struct eval_report r = {
        .model = o->model,
        .against = o->against,
        .text = text_name(o),
        .cache = o->cache,
        .windows = &e->windows,
        .seconds = e->seconds,
        .layer = e->layer,
        .layers = layers,
        .tensors = o->tensors ? tensors : NULL,
    };
    if (r.text) {
        r.loss = perplexity_loss(e->score, scores);
        r.perplexity = perplexity_of(e->score, scores);
    }
    if (r.text && o->against && !divergence_of(e->score, scores, &r.divergence, err))
        return false;
    return eval_report_print(&r, s->common.json, err);
}

static bool measure(const struct eval_options *o, const struct eval_model *model,
                    const struct eval_model *base, const struct token_list *list,
                    struct eval_scores *e, struct session *s, struct err *err)
{
    if (!windows_init(&e->windows, &o->windows, list->id, list->count, err))
        return err_wrap(err, "%s", text_name(o));
    const struct windows w = e->windows;
    const size_t layers = (size_t)model->weights.hparams.layers;
    const struct dtype *cache = dtype_find(o->cache);
    if (!cache)
        return err_set(err, ERR_USAGE, "--cache: no type is called '%s'", o->cache);
    e->score = mem_alloc(w.count * w.scored, sizeof *e->score);
    e->layer = o->layers ? mem_alloc(layers + 1, sizeof *e->layer) : NULL;
    if (!e->score || (o->layers && !e->layer))
        return err_set(err, ERR_MEMORY, "scores of %zu windows", w.count);
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
    bool ok = score_windows(&options, &w, e->score, err);
    e->seconds = seconds_now() - start;
    term_progress_clear(&s->progress);
    if (ok)
        session_say(s, "%.1f s, %.0f tokens/s%s\n", e->seconds,
                    (double)(w.count * w.size) / e->seconds, base ? " through both models" : "");
    ok = ok && (!o->layers || layers_compare(&options, &w, e->layer, err));
    term_progress_clear(&s->progress);
    return ok;
}

static bool eval(struct eval_options *o, struct session *s, struct err *err)
{
    struct eval_model model = {0}, base = {0};
    struct eval_tensors tensors = {0};
    struct eval_scores scores = {0};
    struct token_list list = {0};
    bool ok = true;
    if (text_name(o))
        ok = model_open(&model, o->model, s, err) &&
             (!o->against || model_open(&base, o->against, s, err)) &&
             read_text(&list, o, &model, s, err) &&
             measure(o, &model, o->against ? &base : NULL, &list, &scores, s, err);
    ok = ok && (!o->tensors || eval_tensors_open(&tensors, o->model, o->against, s, err)) &&
         report(o, &scores, (size_t)model.weights.hparams.layers, &tensors, s, err);
    free(scores.score);
    free(scores.layer);
    eval_tensors_close(&tensors);
    token_list_close(&list);
    model_close(&base);
    model_close(&model);
    return ok;
}

static bool check(const struct eval_options *o, struct err *err)
{
    if (o->text && o->tokens)
        return err_set(err, ERR_USAGE, "one text is needed: -f TEXT or --tokens FILE, not both");
    if (!text_name(o) && (!o->tensors || o->layers))
        return err_set(err, ERR_USAGE, "a text is needed: -f TEXT, or --tokens FILE");
    if (!o->against && (o->layers || o->tensors))
        return err_set(err, ERR_USAGE, "--%s: a source to compare with is needed: --against",
                       o->layers ? "layers" : "tensors");
    return true;
}

static bool run_eval(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct eval_options o = {.cache = "F16", .windows = {.context = WINDOWS_CONTEXT, .bos = -1}};
    bool done, exact = false;
    const struct opt table[] = {
        {"file", 'f', OPT_TEXT, &o.text, "TEXT", "the text to be predicted"},
        {"against", 0, OPT_TEXT, &o.against, "SOURCE",
         "compare with this model, window by window: KL divergence and more"},
        {"layers", 0, OPT_FLAG, &o.layers, NULL,
         "also the error of the residual stream as it enters and leaves each layer"},
        {"tensors", 0, OPT_FLAG, &o.tensors, NULL,
         "also, or without a text only, the error of each tensor; SOURCE may be a model folder"},
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
    if (!check(&o, err))
        return false;
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
    .usage = "MODEL.gguf [-f TEXT] [OPTION]...",
    .summary = "perplexity of a text, and what quantization cost against the source",
    .text =
        "Predicts every token of TEXT from those before it. Perplexity is what llama-perplexity "
        "prints: windows of 512 tokens side by side, the second half of each scored, BOS in "
        "place of a window's first token where the model begins texts with one. Figures have "
        "their standard errors.\n\n"
        "With --against both models run over the same windows, and the divergence of their "
        "predictions is measured, which shows far smaller differences than perplexity does.\n\n"
        "  quern eval model-Q4_K_M.gguf -f text.txt --against model-f16.gguf\n"
        "  quern eval model-Q4_K_M.gguf --tensors --against path/to/model-folder\n",
    .run = run_eval,
};
