#include "eval/score.h"

#include "core/mem.h"
#include "core/stop.h"
#include "eval/perplexity.h"
#include "model/forward.h"
#include "model/ops.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Positions whose logits are there at a time: enough columns for the output matrix. */
enum { LOGIT_ROWS = 64 };

/* One of the models, with a window in its cache; of one on file only the logits. */
struct side {
    const struct weights *weights;
    struct forward forward;
    struct kv_cache cache;
    float *states; /* scored x embd */
    float *logits; /* LOGIT_ROWS x vocab */
};

static bool side_open_logits(struct side *s, size_t vocab, struct err *err)
{
    s->logits = mem_alloc(LOGIT_ROWS, vocab * sizeof *s->logits);
    return s->logits || err_set(err, ERR_MEMORY, "logits of %d tokens", LOGIT_ROWS);
}

static bool side_open(struct side *s, bool base, const struct score_options *o,
                      const struct windows *windows, struct err *err)
{
    const struct weights *w = base ? o->base : o->model;
    const struct hparams *h = &w->hparams;
    const bool own = base && o->base_kernels;
    const struct kernels *kernels = own ? o->base_kernels : o->kernels;
    s->weights = w;
    if (!forward_open(&s->forward, w, kernels, o->pool, err) ||
        !kv_cache_open(&s->cache, h, kernels, own ? o->base_cache : o->cache, 1, windows->size,
                       err))
        return false;
    s->states = mem_alloc(windows->scored + 1, (size_t)h->embd * sizeof *s->states);
    if (!s->states)
        return err_set(err, ERR_MEMORY, "states of %zu tokens", windows->scored + 1);
    return side_open_logits(s, (size_t)h->vocab, err);
}

static void side_close(struct side *s)
{
    forward_close(&s->forward);
    kv_cache_close(&s->cache);
    free(s->states);
    free(s->logits);
}

/* States of the positions that the scored tokens follow on; the last state is of none. */
static bool side_run(struct side *s, const struct windows *w, const uint32_t *input,
                     struct err *err)
{
    const struct forward_sequence sequence = {input, w->size, 0, w->scored + 1};
    s->cache.length[0] = 0;
    return forward_run(&s->forward, &s->cache, &sequence, 1, s->states, err);
}

/* The two sides' logits at some positions, and what follows there. */
struct work {
    const struct side *model, *base;  /* base: or NULL */
    const struct base_file *recorded; /* fills the base's, or NULL */
    size_t window, first;             /* the first of the positions, among those scored */
    const uint32_t *next;
    struct score *score;
    uint8_t *rows; /* for a base file, or NULL */
};

/* What the base holds for likely: its logits, and what makes them logarithms. */
static double base_of(const struct work *w, size_t row, size_t vocab)
{
    float *b = w->base->logits + row * vocab;
    if (!w->recorded)
        return ops_log_sum_exp(b, vocab);
    base_row_decode(base_file_row(w->recorded, w->window, w->first + row), b, vocab);
    return 0.0;
}

static void score_one(size_t row, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t vocab = (size_t)w->model->weights->hparams.vocab;
    const float *x = w->model->logits + row * vocab;
    const double total = ops_log_sum_exp(x, vocab);
    struct score *s = &w->score[row];
    (void)thread;
    *s = (struct score){.loss = total - (double)x[w->next[row]]};
    if (w->rows)
        base_row_encode(w->rows + row * base_row_bytes(vocab), x, vocab);
    if (!w->base)
        return;
    const float *b = w->base->logits + row * vocab;
    const double base_total = base_of(w, row, vocab);
    const double least = w->recorded ? BASE_FILE_FLOOR : -INFINITY;
    double divergence = 0.0;
    for (size_t i = 0; i < vocab; i++) {
        const double base_log = (double)b[i] - base_total;
        if (base_log > least)
            divergence += (double)expf((float)base_log) * (base_log - ((double)x[i] - total));
    }
    s->base_loss = base_total - (double)b[w->next[row]];
    s->divergence = divergence;
    s->same_top = ops_top(x, vocab) == ops_top(b, vocab);
}

static bool score_window(const struct score_options *o, struct side *side, const struct windows *w,
                         size_t window, uint8_t *encoded, struct score *score, struct err *err)
{
    const uint32_t *next = windows_scored(w, window);
    const size_t row_bytes = base_row_bytes((size_t)o->model->hparams.vocab);
    for (size_t first = 0; first < w->scored; first += LOGIT_ROWS) {
        const size_t left = w->scored - first, rows = left < LOGIT_ROWS ? left : LOGIT_ROWS;
        struct work work = {
            .model = &side[0],
            .base = o->base || o->recorded ? &side[1] : NULL,
            .recorded = o->recorded,
            .window = window,
            .first = first,
            .next = next + first,
            .score = score + first,
            .rows = encoded,
        };
        for (size_t i = 0; i < 2 && side[i].weights; i++)
            forward_logits(&side[i].forward,
                           side[i].states + first * (size_t)side[i].weights->hparams.embd, rows,
                           side[i].logits);
        pool_for(o->pool, rows, score_one, &work);
        if (o->record && !sink_write(o->record, encoded, rows * row_bytes, err))
            return false;
    }
    for (size_t i = 0; i < w->scored; i++)
        if (!isfinite(score[i].loss) || !isfinite(score[i].base_loss) ||
            !isfinite(score[i].divergence))
            return err_set(err, ERR_NUMERIC, "window %zu: the logits of token %zu are not finite",
                           window, w->size - w->scored + i);
    return true;
}

/* The label, or "perplexity 31.42 +- 0.74" of the windows so far: a narrow terminal has room for it. */
static void tell(const struct score_options *o, const struct windows *w, const struct score *score,
                 size_t done)
{
    char text[64];
    const struct estimate p = perplexity_of(score, done * w->scored);
    snprintf(text, sizeof text, "perplexity %.2f +- %.2f", p.value, p.error);
    progress_step(o->progress, o->label ? o->label : text, w->size);
}

static bool open_all(struct side side[2], const struct score_options *o, const struct windows *w,
                     struct err *err)
{
    const size_t vocab = (size_t)o->model->hparams.vocab;
    if (o->base && !score_check_vocabularies(o->model, o->base, err))
        return false;
    if (o->recorded && o->recorded->vocab != vocab)
        return err_set(err, ERR_USAGE,
                       "the base file is of a vocabulary of %zu tokens, the model's has %zu",
                       o->recorded->vocab, vocab);
    return side_open(&side[0], false, o, w, err) &&
           (!o->base || side_open(&side[1], true, o, w, err)) &&
           (!o->recorded || side_open_logits(&side[1], vocab, err));
}

bool score_windows(const struct score_options *o, const struct windows *w, struct score *score,
                   struct err *err)
{
    struct side side[2] = {{0}, {0}};
    uint32_t *input = mem_alloc(w->size, sizeof *input);
    uint8_t *rows =
        o->record ? mem_alloc(LOGIT_ROWS, base_row_bytes((size_t)o->model->hparams.vocab)) : NULL;
    bool ok = (input && (rows || !o->record)) ||
              err_set(err, ERR_MEMORY, "a window of %zu tokens", w->size);
    ok = ok && open_all(side, o, w, err);
    if (o->progress) {
        o->progress->done = 0;
        o->progress->total = (uint64_t)w->count * w->size;
    }
    for (size_t window = 0; ok && window < w->count; window++) {
        windows_input(w, window, input);
        ok = stop_check(err);
        for (size_t i = 0; ok && i < 2 && side[i].weights; i++)
            ok = side_run(&side[i], w, input, err);
        ok = ok && score_window(o, side, w, window, rows, score + window * w->scored, err);
        if (ok)
            tell(o, w, score, window + 1);
    }
    side_close(&side[0]);
    side_close(&side[1]);
    free(input);
    free(rows);
    return ok;
}

bool score_check_vocabularies(const struct weights *model, const struct weights *base,
                              struct err *err)
{
    static const char key[] = "tokenizer.ggml.tokens";
    const struct meta_value *a = meta_find(&model->checkpoint->meta, key);
    const struct meta_value *b = meta_find(&base->checkpoint->meta, key);
    if (model->hparams.vocab != base->hparams.vocab)
        return err_set(err, ERR_USAGE,
                       "%s and %s cannot be compared: vocabularies of %" PRIu64 " and %" PRIu64
                       " tokens",
                       model->checkpoint->path, base->checkpoint->path, model->hparams.vocab,
                       base->hparams.vocab);
    if (!a || !b || a->type != META_ARRAY || b->type != META_ARRAY)
        return true;
    for (size_t i = 0; i < a->count && i < b->count; i++) {
        const struct meta_value x = meta_element(a, i), y = meta_element(b, i);
        if (x.type != META_TEXT || y.type != META_TEXT)
            return true;
        if (x.as.text.length != y.as.text.length ||
            memcmp(x.as.text.text, y.as.text.text, x.as.text.length) != 0)
            return err_set(
                err, ERR_USAGE,
                "%s and %s cannot be compared: token %zu is '%.40s' in one and '%.40s' in "
                "the other",
                model->checkpoint->path, base->checkpoint->path, i, x.as.text.text, y.as.text.text);
    }
    return true;
}
