#include "calib/sensitivity.h"

#include "core/mem.h"
#include "model/forward.h"
#include "model/ops.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { LOGIT_ROWS = 64, LINEARS = 3 };

/* A model whose matrices can be exchanged, and its windows. */
struct walk {
    const struct sensitivity_options *o;
    struct kernels kernels; /* exact */
    struct weights weights; /* a copy with layers of its own */
    struct forward forward;
    struct kv_cache cache; /* of one layer */
    size_t windows, tokens, scored, embd, vocab;
    float *stream;               /* windows x tokens x embd: as it enters the half in work */
    float *x;                    /* tokens x embd */
    float *base;                 /* windows x scored x embd: the unchanged model's states */
    float *states;               /* tokens x embd */
    float *logits, *base_logits; /* LOGIT_ROWS x vocab */
    double *divergence;          /* windows x scored */
    struct tensor replaced;      /* the one that is measured */
};

static size_t halves_of(const struct walk *w) { return 2 * (size_t)w->weights.hparams.layers; }

/* What the half's linears multiply with; behind the last half the output. */
static size_t linears_of(struct walk *w, size_t half, struct linear *linear[LINEARS + 1])
{
    struct weights_layer *l = &w->weights.layer[half / 2];
    size_t n = 0;
    if (half == halves_of(w)) {
        linear[n++] = &w->weights.output;
    } else if (half % 2 == 0) {
        linear[n++] = &l->q;
        linear[n++] = &l->k;
        linear[n++] = &l->v;
        linear[n++] = &l->o;
    } else {
        linear[n++] = &l->gate;
        linear[n++] = &l->up;
        linear[n++] = &l->down;
    }
    return n;
}

static const uint32_t *window_of(const struct walk *w, size_t i)
{
    return corpus_window(w->o->corpus, i * (w->o->corpus->windows / w->windows));
}

static void walk_close(struct walk *w)
{
    forward_close(&w->forward);
    kv_cache_close(&w->cache);
    free(w->weights.layer);
    free(w->stream);
    free(w->x);
    free(w->base);
    free(w->states);
    free(w->logits);
    free(w->base_logits);
    free(w->divergence);
}

static bool walk_alloc(struct walk *w, struct err *err)
{
    const size_t row = w->embd * sizeof(float), layers = (size_t)w->weights.hparams.layers;
    struct weights_layer *layer = mem_alloc(layers + 1, sizeof *layer);
    if (layer)
        memcpy(layer, w->o->weights->layer, layers * sizeof *layer);
    w->weights.layer = layer;
    w->stream = mem_alloc(w->windows * w->tokens, row);
    w->x = mem_alloc(w->tokens, row);
    w->base = mem_alloc(w->windows * w->scored, row);
    w->states = mem_alloc(w->tokens, row);
    w->logits = mem_alloc(LOGIT_ROWS, w->vocab * sizeof(float));
    w->base_logits = mem_alloc(LOGIT_ROWS, w->vocab * sizeof(float));
    w->divergence = mem_alloc(w->windows * w->scored, sizeof(double));
    return (layer && w->stream && w->x && w->base && w->states && w->logits && w->base_logits &&
            w->divergence) ||
           err_set(err, ERR_MEMORY, "no memory for %zu windows of %zu tokens", w->windows,
                   w->tokens);
}

static bool walk_open(struct walk *w, const struct sensitivity_options *o, struct err *err)
{
    const struct corpus *c = o->corpus;
    const size_t most = o->windows ? o->windows : SENSITIVITY_WINDOWS;
    struct hparams one = o->weights->hparams;
    *w = (struct walk){.o = o,
                       .kernels = *o->trial.kernels,
                       .weights = *o->weights,
                       .windows = c->windows < most ? c->windows : most,
                       .tokens = c->context < FORWARD_PIECE ? c->context : FORWARD_PIECE,
                       .embd = (size_t)one.embd,
                       .vocab = (size_t)one.vocab};
    w->scored = w->tokens / 2;
    w->kernels.dot = NULL;
    one.layers = 1;
    w->weights.layer = NULL;
    return walk_alloc(w, err) &&
           forward_open(&w->forward, &w->weights, &w->kernels, o->trial.pool, err) &&
           kv_cache_open(&w->cache, &one, &w->kernels, DTYPE_F32, 1, w->tokens, err);
}

static void run_half(struct walk *w, size_t half, float *x)
{
    w->cache.length[0] = 0;
    if (half % 2 == 0)
        forward_attention(&w->forward, &w->cache, half / 2, x, w->tokens);
    else
        forward_ffn(&w->forward, half / 2, x, w->tokens);
}

static bool embed_all(struct walk *w, struct err *err)
{
    for (size_t i = 0; i < w->windows; i++)
        if (!forward_embed(&w->forward, window_of(w, i), w->tokens,
                           w->stream + i * w->tokens * w->embd, err))
            return err_wrap(err, "window %zu", i);
    return true;
}

/* The states of a window's second half, in w->states, from the stream before `half`. */
static const float *run_window(struct walk *w, size_t half, size_t window)
{
    const size_t n = w->tokens * w->embd;
    memcpy(w->x, w->stream + window * n, n * sizeof *w->x);
    for (; half < halves_of(w); half++)
        run_half(w, half, w->x);
    forward_states(&w->forward, w->x, w->tokens, w->states);
    return w->states + (w->tokens - w->scored) * w->embd;
}

struct rows {
    const struct walk *w;
    double *divergence;
};

static void diverge_row(size_t row, int thread, void *arg)
{
    const struct rows *r = arg;
    const size_t vocab = r->w->vocab;
    const float *x = r->w->logits + row * vocab, *b = r->w->base_logits + row * vocab;
    const double total = ops_log_sum_exp(x, vocab), base_total = ops_log_sum_exp(b, vocab);
    double sum = 0.0;
    (void)thread;
    for (size_t i = 0; i < vocab; i++) {
        const double base_log = (double)b[i] - base_total;
        sum += (double)expf((float)base_log) * (base_log - ((double)x[i] - total));
    }
    r->divergence[row] = sum;
}

/* `weight` where the changed model has its output matrix, the source's for the base. */
static void diverge_window(struct walk *w, size_t window, const float *states)
{
    const struct tensor *changed = w->weights.output.weight;
    for (size_t at = 0; at < w->scored; at += LOGIT_ROWS) {
        const size_t left = w->scored - at, rows = left < LOGIT_ROWS ? left : LOGIT_ROWS;
        struct rows r = {w, w->divergence + window * w->scored + at};
        forward_logits(&w->forward, states + at * w->embd, rows, w->logits);
        w->weights.output.weight = w->o->weights->output.weight;
        forward_logits(&w->forward, w->base + (window * w->scored + at) * w->embd, rows,
                       w->base_logits);
        w->weights.output.weight = changed;
        pool_for(w->o->trial.pool, rows, diverge_row, &r);
    }
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Of the model as it stands, from the stream before `half`. */
static bool diverge(struct walk *w, size_t half, double *mean, double *p99, struct err *err)
{
    const size_t n = w->windows * w->scored;
    double sum = 0.0;
    for (size_t i = 0; i < w->windows; i++)
        diverge_window(w, i, run_window(w, half, i));
    for (size_t i = 0; i < n; i++)
        sum += w->divergence[i];
    qsort(w->divergence, n, sizeof *w->divergence, by_size);
    *mean = sum / (double)n;
    *p99 = w->divergence[(n - 1) * 99 / 100];
    return isfinite(sum) || err_set(err, ERR_NUMERIC, "the model's predictions are not finite");
}

static bool run_base(struct walk *w, struct err *err)
{
    const size_t n = w->scored * w->embd;
    if (!embed_all(w, err))
        return false;
    for (size_t i = 0; i < w->windows; i++)
        memcpy(w->base + i * n, run_window(w, 0, i), n * sizeof *w->base);
    return true;
}

/* The reference, or the next larger type whose blocks fit. */
static enum dtype_id fitting(const struct trial *t, const struct tensor *tensor,
                             enum dtype_id reference)
{
    static const enum dtype_id other[] = {DTYPE_Q4_0, DTYPE_F16};
    for (size_t i = 0; i < 2 && !trial_possible(t, tensor, reference); i++)
        reference = other[i];
    return reference;
}

/* Costs of all types, from what the reference cost. */
static bool price(struct walk *w, struct sensitivity_matrix *m, struct err *err)
{
    const struct trial *t = &w->o->trial;
    double reference, loss;
    if (!trial_run(t, m->tensor, m->reference, SENSITIVITY_TILES, NULL, &reference, err))
        return false;
    for (int d = 0; d < DTYPE_COUNT; d++) {
        m->cost[d] = NAN;
        if (!w->o->type[d] || !trial_possible(t, m->tensor, (enum dtype_id)d))
            continue;
        if (!trial_run(t, m->tensor, (enum dtype_id)d, SENSITIVITY_TILES, NULL, &loss, err))
            return false;
        m->cost[d] = reference > 0.0 ? m->measured * loss / reference : 0.0;
    }
    return true;
}

/* The blocks of one type, as a tensor that takes the source's place. */
static bool replace(const struct trial *t, const struct tensor *tensor, enum dtype_id type,
                    struct tensor *to, uint8_t **blocks, struct err *err)
{
    double loss;
    *to = *tensor;
    to->dtype = dtype_get(type);
    if (!tensor_size(to, &to->bytes, err))
        return false;
    *blocks = mem_alloc(to->bytes, 1);
    to->data = *blocks;
    return *blocks ? trial_run(t, tensor, type, 0, *blocks, &loss, err)
                   : err_set(err, ERR_MEMORY, "tensor '%s': %zu bytes", to->name, to->bytes);
}

/* The matrix at *slot (and *twin, if it is not NULL: a tied embedding), measured and priced. */
static bool measure(struct walk *w, struct sensitivity *s, size_t half, const struct tensor **slot,
                    const struct tensor **twin, struct err *err)
{
    struct sensitivity_matrix *m = &s->matrix[s->matrices];
    uint8_t *blocks = NULL;
    *m = (struct sensitivity_matrix){.tensor = *slot,
                                     .reference = fitting(&w->o->trial, *slot, w->o->reference)};
    bool ok = replace(&w->o->trial, *slot, m->reference, &w->replaced, &blocks, err);
    if (ok) {
        *slot = &w->replaced;
        if (twin)
            *twin = &w->replaced;
        ok = (half > 0 || !twin || embed_all(w, err)) &&
             diverge(w, half, &m->measured, &m->p99, err);
        *slot = m->tensor;
        if (twin)
            *twin = m->tensor;
    }
    free(blocks);
    ok = ok && price(w, m, err);
    s->matrices++;
    progress_step(w->o->progress, m->tensor->name, 1);
    return ok || err_wrap(err, "%s", m->tensor->name);
}

/* The embedding, with the output where they are one. */
static bool measure_embedding(struct walk *w, struct sensitivity *s, struct err *err)
{
    struct weights *m = &w->weights;
    const bool tied = m->output.weight == m->embedding;
    const struct tensor *own = m->output.weight;
    const bool ok = measure(w, s, 0, &m->embedding, tied ? &m->output.weight : &own, err);
    return ok && embed_all(w, err);
}

static bool measure_half(struct walk *w, struct sensitivity *s, size_t half, struct err *err)
{
    struct linear *linear[LINEARS + 1];
    const size_t n = linears_of(w, half, linear);
    for (size_t i = 0; i < n; i++)
        if (linear[i]->weight && linear[i]->weight != w->weights.embedding &&
            !measure(w, s, half, &linear[i]->weight, NULL, err))
            return false;
    for (size_t i = 0; half < halves_of(w) && i < w->windows; i++)
        run_half(w, half, w->stream + i * w->tokens * w->embd);
    return true;
}

static bool measure_all(struct walk *w, struct sensitivity *s, struct err *err)
{
    const size_t most = 2 + halves_of(w) * (LINEARS + 1);
    struct progress *p = w->o->progress;
    if (!(s->matrix = mem_alloc(most, sizeof *s->matrix)))
        return err_set(err, ERR_MEMORY, "%zu matrices", most);
    if (p) {
        p->done = 0;
        p->total = 1 + (uint64_t)w->weights.hparams.layers * 7;
    }
    if (!run_base(w, err) || !measure_embedding(w, s, err))
        return false;
    for (size_t half = 0; half <= halves_of(w); half++)
        if (!measure_half(w, s, half, err))
            return false;
    return true;
}

bool sensitivity_measure(struct sensitivity *s, const struct sensitivity_options *o,
                         struct err *err)
{
    struct walk w;
    *s = (struct sensitivity){0};
    const bool ok = walk_open(&w, o, err) && measure_all(&w, s, err);
    walk_close(&w);
    if (!ok)
        sensitivity_close(s);
    return ok;
}

void sensitivity_close(struct sensitivity *s)
{
    free(s->matrix);
    *s = (struct sensitivity){0};
}

const struct sensitivity_matrix *sensitivity_find(const struct sensitivity *s, const char *name)
{
    for (size_t i = 0; i < s->matrices; i++)
        if (strcmp(s->matrix[i].tensor->name, name) == 0)
            return &s->matrix[i];
    return NULL;
}

/* All places in the model that have this tensor get the other. */
static void exchange(struct walk *w, const struct tensor *from, const struct tensor *to)
{
    if (w->weights.embedding == from)
        w->weights.embedding = to;
    for (size_t half = 0; half <= halves_of(w); half++) {
        struct linear *linear[LINEARS + 1];
        const size_t n = linears_of(w, half, linear);
        for (size_t i = 0; i < n; i++)
            if (linear[i]->weight == from)
                linear[i]->weight = to;
    }
}

static bool replace_all(struct walk *w, const struct sensitivity *s, const enum dtype_id *type,
                        struct tensor *to, uint8_t **blocks, struct err *err)
{
    for (size_t i = 0; i < s->matrices; i++) {
        if (type[i] == DTYPE_COUNT)
            continue;
        if (!replace(&w->o->trial, s->matrix[i].tensor, type[i], &to[i], &blocks[i], err))
            return false;
        exchange(w, s->matrix[i].tensor, &to[i]);
    }
    return true;
}

bool sensitivity_all(const struct sensitivity *s, const struct sensitivity_options *o,
                     const enum dtype_id *type, double *mean, double *p99, struct err *err)
{
    struct walk w;
    struct tensor *to = mem_alloc(s->matrices, sizeof *to);
    uint8_t **blocks = mem_alloc(s->matrices, sizeof *blocks);
    if (!to || !blocks) {
        free(to);
        free(blocks);
        return err_set(err, ERR_MEMORY, "%zu matrices", s->matrices);
    }
    const bool ok = walk_open(&w, o, err) && run_base(&w, err) &&
                    replace_all(&w, s, type, to, blocks, err) && embed_all(&w, err) &&
                    diverge(&w, 0, mean, p99, err);
    walk_close(&w);
    for (size_t i = 0; i < s->matrices; i++)
        free(blocks[i]);
    free(blocks);
    free(to);
    return ok;
}
