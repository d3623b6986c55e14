#include "tools/command.h"

#include "core/clock.h"
#include "core/mem.h"
#include "eval/layers.h"
#include "eval/perplexity.h"
#include "formats/source_guard.h"
#include "tools/eval_report.h"
#include "tools/session.h"
#include "tools/text_windows.h"

#include <stdlib.h>

enum { NOISE_WINDOWS = 4 }; /* enough to see its size */

struct eval_options {
    const char *model, *against;
    const char *text, *tokens, *base; /* one of them; base: both what is read and compared with */
    const char *save_base;
    const char *cache;
    bool layers, tensors;
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

/* All that is open, and what was found. */
struct evaluation {
    const struct eval_options *o;
    struct session *s;
    struct eval_model model, source;
    struct base_file base;
    struct sink record;
    struct text_windows text;
    struct score *score;
    struct estimate *layer; /* NULL: not asked for */
    struct estimate noise;
    double seconds;
    struct eval_tensors tensors;
};

static void evaluation_close(struct evaluation *e)
{
    eval_tensors_close(&e->tensors);
    free(e->score);
    free(e->layer);
    text_windows_close(&e->text);
    sink_close(&e->record);
    base_file_close(&e->base);
    model_close(&e->source);
    model_close(&e->model);
}

/* The base file takes the place of nothing that is read. */
static bool guard(const struct evaluation *e, struct err *err)
{
    const struct eval_options *o = e->o;
    const char *const in[] = {o->text, o->tokens, o->against};
    return source_guard_all(&e->model.checkpoint, in, sizeof in / sizeof in[0], &o->save_base, 1,
                            err);
}

/* What the windows are cut from, or NULL. */
static const char *text_name(const struct eval_options *o)
{
    return o->base ? o->base : o->tokens ? o->tokens : o->text;
}

static bool read_text(struct evaluation *e, struct err *err)
{
    const struct eval_options *o = e->o;
    if (o->base && !base_file_open(&e->base, o->base, err))
        return false;
    const struct text_source from = {
        .path = text_name(o), .tokens = o->tokens, .base = o->base ? &e->base : NULL};
    return text_windows_open(&e->text, &from, &o->windows, &e->model.checkpoint, e->s, err);
}

static bool report(const struct evaluation *e, struct err *err)
{
    const struct eval_options *o = e->o;
    const size_t scores = e->text.windows.count * e->text.windows.scored;
    struct eval_report r = {
        .model = o->model,
        .against = o->base ? o->base : o->against,
        .text = text_name(o),
        .cache = o->cache,
        .windows = &e->text.windows,
        .seconds = e->seconds,
        .noise = e->noise,
        .noise_known = o->against != NULL,
        .layer = e->layer,
        .layers = (size_t)e->model.weights.hparams.layers,
        .tensors = o->tensors ? &e->tensors : NULL,
    };
    if (r.text) {
        r.loss = perplexity_loss(e->score, scores);
        r.perplexity = perplexity_of(e->score, scores);
    }
    if (r.text && r.against && !divergence_of(e->score, scores, &r.divergence, err))
        return false;
    return eval_report_print(&r, e->s->common.json, err);
}

/* Runs the windows through the model, and the source. */
static bool score(struct evaluation *e, const struct score_options *options, struct err *err)
{
    const struct windows *w = &e->text.windows;
    const double start = clock_seconds();
    const bool ok = score_windows(options, w, e->score, err);
    e->seconds = clock_seconds() - start;
    term_progress_clear(&e->s->progress);
    if (ok)
        session_say(e->s, "%.1f s, %.0f tokens/s%s\n", e->seconds,
                    (double)(w->count * w->size) / e->seconds,
                    options->base ? " through both models" : "");
    return ok;
}

/* How far the source is from itself where products and cache are of the other precision: a divergence
 * as small as that says nothing about the model. */
static bool measure_noise(struct evaluation *e, const struct score_options *options,
                          struct err *err)
{
    struct score_options o = *options;
    struct windows w = e->text.windows;
    struct kernels other = e->s->kernels;
    struct divergence d;
    other.dot = other.dot ? NULL : &e->s->dot;
    o.model = o.base;
    o.base_kernels = &other;
    o.base_cache = o.cache == DTYPE_F32 ? DTYPE_F16 : DTYPE_F32;
    o.record = NULL;
    o.label = "noise floor";
    w.count = w.count < NOISE_WINDOWS ? w.count : NOISE_WINDOWS;
    struct score *score = mem_alloc(w.count * w.scored, sizeof *score);
    const bool ok = (score || err_set(err, ERR_MEMORY, "scores of %zu windows", w.count)) &&
                    score_windows(&o, &w, score, err) &&
                    divergence_of(score, w.count * w.scored, &d, err);
    if (ok)
        e->noise = d.mean;
    free(score);
    return ok;
}

static bool measure(struct evaluation *e, struct err *err)
{
    const struct eval_options *o = e->o;
    const struct windows *w = &e->text.windows;
    struct session *s = e->s;
    const size_t layers = (size_t)e->model.weights.hparams.layers;
    const struct dtype *cache = dtype_find(o->cache);
    if (!cache)
        return err_set(err, ERR_USAGE, "--cache-type: no type is called '%s'", o->cache);
    e->score = mem_alloc(w->count * w->scored, sizeof *e->score);
    e->layer = o->layers ? mem_alloc(layers + 1, sizeof *e->layer) : NULL;
    if (!e->score || (o->layers && !e->layer))
        return err_set(err, ERR_MEMORY, "scores of %zu windows", w->count);
    session_say(s,
                "%zu tokens: %zu windows of %zu, of each the last %zu scored; %s, cache in %s, "
                "%s\n",
                e->text.windows.tokens, w->count, w->size, w->scored,
                s->kernels.dot ? s->kernels.dot->name : "exact f32", cache->name, s->threads);
    const struct score_options options = {
        .model = &e->model.weights,
        .base = o->against ? &e->source.weights : NULL,
        .recorded = o->base ? &e->base : NULL,
        .record = o->save_base ? &e->record : NULL,
        .cache = cache->id,
        .kernels = &s->kernels,
        .pool = s->pool,
        .progress = &s->progress.base,
    };
    s->progress.base.unit = "tokens";
    bool ok = !o->save_base || base_file_begin(&e->record, o->save_base, s->common.force, w,
                                               (size_t)e->model.weights.hparams.vocab, err);
    ok = ok && score(e, &options, err) && (!o->against || measure_noise(e, &options, err)) &&
         (!o->layers || layers_compare(&options, w, e->layer, err)) &&
         (!o->save_base || sink_commit(&e->record, err));
    term_progress_clear(&s->progress);
    return ok;
}

static bool evaluate(struct evaluation *e, struct err *err)
{
    const struct eval_options *o = e->o;
    if (text_name(o) && !(model_open(&e->model, o->model, e->s, err) &&
                          (!o->against || model_open(&e->source, o->against, e->s, err)) &&
                          guard(e, err) && read_text(e, err) && measure(e, err)))
        return false;
    if (o->tensors && !eval_tensors_open(&e->tensors, o->model, o->against, e->s, err))
        return false;
    return report(e, err);
}

/* What does not go together. */
static bool check(const struct eval_options *o, struct err *err)
{
    if (!!o->text + !!o->tokens + !!o->base > 1)
        return err_set(err, ERR_USAGE, "one of -f, --tokens and --base says what is read");
    if (!text_name(o) && (!o->tensors || o->layers || o->save_base))
        return err_set(err, ERR_USAGE, "a text is needed: -f TEXT, --tokens FILE, or --base FILE");
    if (o->base && (o->against || o->save_base))
        return err_set(err, ERR_USAGE, "--base is itself what is compared with: no --%s beside it",
                       o->against ? "against" : "save-base");
    if (!o->against && (o->layers || o->tensors))
        return err_set(err, ERR_USAGE, "--%s: a source to compare with is needed: --against",
                       o->layers ? "layers" : "tensors");
    if (o->windows.stride && (o->base || o->save_base))
        return err_set(err, ERR_USAGE, "--%s: the windows of a KL base file do not overlap",
                       o->base ? "base" : "save-base");
    return true;
}

static bool run_eval(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct eval_options o = {.cache = "F16"};
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
        {"cache-type", 0, OPT_TEXT, &o.cache, "TYPE",
         "type of the cached keys and values: F16 (default), F32, Q8_0"},
        {"exact", 0, OPT_FLAG, &exact, NULL,
         "multiply in f32 with the decoded weights, instead of with activations in 8 bits: slow"},
        {"tokens", 0, OPT_TEXT, &o.tokens, "FILE",
         "instead of a text its tokens: numbers, or a JSON array of them"},
        {"save-base", 0, OPT_TEXT, &o.save_base, "FILE",
         "write the model's predictions as a KL base file of llama-perplexity"},
        {"base", 0, OPT_TEXT, &o.base, "FILE",
         "instead of a text and a source: compare with the predictions in such a file"},
        OPT_FORCE(&s.common),
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if (!check(&o, err))
        return false;
    o.model = argv[0];
    struct evaluation e = {.o = &o, .s = &s};
    bool ok = session_open(&s, err);
    if (exact)
        s.kernels.dot = NULL;
    ok = ok && evaluate(&e, err);
    evaluation_close(&e);
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
        "predictions is measured, which shows far smaller differences than perplexity does. "
        "--save-base and --base do the same "
        "by way of a file, in the format of llama-perplexity.\n\n"
        "  quern eval model-Q4_K_M.gguf -f text.txt --against model-f16.gguf\n"
        "  quern eval model-Q4_K_M.gguf --tensors --against path/to/model-folder\n",
    .run = run_eval,
};
