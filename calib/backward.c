#include "calib/backward.h"

#include "calib/backward_parts.h"
#include "core/mem.h"
#include "model/ops.h"

#include <assert.h>
#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Floats of logits, and of a matrix's rows, that are there at once. */
enum { LOGITS_MOST = 16 << 20, PANEL_MOST = 16 << 20, COLUMNS = 128 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }
static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

struct backward_widths backward_widths(const struct hparams *h)
{
    return (struct backward_widths){
        .embd = (size_t)h->embd,
        .ffn = (size_t)h->ffn,
        .q = (size_t)(h->heads * h->head_dim),
        .k = (size_t)(h->kv_heads * h->head_dim),
        .v = (size_t)(h->kv_heads * h->value_dim),
        .mixed = (size_t)(h->heads * h->value_dim),
    };
}

enum { PARTS = 23 };

/* Lays the floats out from `at` on (NULL: only counts them); returns how many. */
static size_t lay_out(struct backward *b, float *at)
{
    const struct hparams *h = &b->weights->hparams;
    const struct backward_widths w = backward_widths(h);
    const size_t most = b->most, vocab = (size_t)h->vocab;
    const size_t cols = largest(largest(w.embd, w.ffn), w.mixed);
    b->piece = least(most, largest(LOGITS_MOST / vocab, 1));
    b->panel_floats = largest(PANEL_MOST, cols);
    const struct {
        float **part;
        size_t floats;
    } table[PARTS] = {
        {&b->dx, w.embd * most},
        {&b->normed, w.embd * most},
        {&b->dnormed, w.embd * most},
        {&b->q, w.q * most},
        {&b->k, w.k * most},
        {&b->v, w.v * most},
        {&b->mixed, w.mixed * most},
        {&b->dq, w.q * most},
        {&b->dk, w.k * most},
        {&b->dv, w.v * most},
        {&b->dmixed, w.mixed * most},
        {&b->raw_q, w.q * most},
        {&b->raw_k, w.k * most},
        {&b->gate, w.ffn * most},
        {&b->up, w.ffn * most},
        {&b->hidden, w.ffn * most},
        {&b->dgate, w.ffn * most},
        {&b->dup, w.ffn * most},
        {&b->dhidden, w.ffn * most},
        {&b->angle, b->weights->rope.dims * most},
        {&b->score, 2 * most * most * (size_t)b->threads},
        {&b->logits, b->piece * vocab},
        {&b->panel, b->panel_floats},
    };
    size_t total = 0;
    for (size_t i = 0; i < PARTS; i++) {
        *table[i].part = at ? at + total : NULL;
        total += (table[i].floats + 15) / 16 * 16;
    }
    return total;
}

size_t backward_bytes(const struct weights *w, int threads, size_t most)
{
    struct backward b = {.weights = w, .threads = threads, .most = most};
    return lay_out(&b, NULL) * sizeof(float);
}

static bool allocate(struct backward *b, struct err *err)
{
    const size_t total = lay_out(b, NULL);
    if (!(b->memory = mem_alloc(total, sizeof *b->memory)))
        return err_set(err, ERR_MEMORY, "a backward pass over %zu tokens: %zu floats", b->most,
                       total);
    lay_out(b, b->memory);
    return true;
}

bool backward_open(struct backward *b, const struct weights *w, const struct kernels *k,
                   struct pool *pool, size_t most, struct err *err)
{
    struct hparams one = w->hparams;
    assert(most > 0 && most <= FORWARD_PIECE);
    one.layers = 1;
    *b = (struct backward){
        .weights = w, .kernels = k, .pool = pool, .threads = pool_threads(pool), .most = most};
    if (forward_open(&b->forward, w, k, pool, err) &&
        kv_cache_open(&b->cache, &one, k, DTYPE_F32, 1, most, err) && allocate(b, err))
        return true;
    backward_close(b);
    return false;
}

void backward_close(struct backward *b)
{
    if (b->forward.memory)
        forward_close(&b->forward);
    kv_cache_close(&b->cache);
    free(b->memory);
    *b = (struct backward){0};
}

void backward_look(const struct backward *b, const struct linear *linear, const float *x,
                   const float *gradient, size_t tokens)
{
    if (b->tap.look)
        b->tap.look(b->tap.arg, linear, x, gradient, tokens);
}

/* A product back through some rows of a matrix. */
struct through {
    const struct backward *b;
    const struct tensor *weight;
    const float *gradient;
    size_t tokens, rows, cols;
    size_t first, count; /* rows in work, in b->panel */
    float *dx;
};

static void decode_row(size_t i, int thread, void *arg)
{
    const struct through *t = arg;
    const struct tensor *w = t->weight;
    (void)thread;
    t->b->kernels->decode[w->dtype->id](t->b->panel + i * t->cols,
                                        w->data + w->bytes / t->rows * (t->first + i), t->cols);
}

static void multiply_columns(size_t i, int thread, void *arg)
{
    const struct through *t = arg;
    const size_t col = i * COLUMNS, cols = least(t->cols - col, COLUMNS);
    (void)thread;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)t->tokens, (int)cols, (int)t->count,
                1.0f, t->gradient + t->first, (int)t->rows, t->b->panel + col, (int)t->cols, 1.0f,
                t->dx + col, (int)t->cols);
}

void backward_linear(const struct backward *b, const struct linear *linear, const float *gradient,
                     size_t tokens, float *dx)
{
    struct through t = {.b = b, .weight = linear->weight, .gradient = gradient, .tokens = tokens};
    t.rows = (size_t)tensor_rows(linear->weight);
    t.cols = (size_t)tensor_cols(linear->weight);
    t.dx = dx;
    const size_t most = b->panel_floats / t.cols;
    for (t.first = 0; t.first < t.rows; t.first += t.count) {
        t.count = least(t.rows - t.first, most);
        pool_for(b->pool, t.count, decode_row, &t);
        pool_for(b->pool, (t.cols + COLUMNS - 1) / COLUMNS, multiply_columns, &t);
    }
}

void backward_norm(float *dx, const float *x, const float *gain, const float *dy, size_t n,
                   double epsilon)
{
    double squares = 0.0, dot = 0.0;
    for (size_t i = 0; i < n; i++) {
        squares += (double)x[i] * x[i];
        dot += (double)dy[i] * gain[i] * x[i];
    }
    const double r = 1.0 / sqrt(squares / (double)n + epsilon);
    const double pull = r * r * r * dot / (double)n;
    for (size_t i = 0; i < n; i++)
        dx[i] = (float)(r * gain[i] * dy[i] - pull * x[i]);
}

/* The stream at a token, normed, and back. */
struct norm_job {
    struct backward *b;
    const float *x, *gain;
};

static void norm_token(size_t i, int thread, void *arg)
{
    const struct norm_job *j = arg;
    const struct hparams *h = &j->b->weights->hparams;
    const size_t n = (size_t)h->embd;
    (void)thread;
    ops_rms_norm(&j->b->kernels->vector, j->b->normed + i * n, j->x + i * n, j->gain, n,
                 h->norm_eps);
}

static void norm_token_back(size_t i, int thread, void *arg)
{
    const struct norm_job *j = arg;
    const struct hparams *h = &j->b->weights->hparams;
    const size_t n = (size_t)h->embd;
    (void)thread;
    float *d = j->b->dnormed + i * n;
    backward_norm(d, j->x + i * n, j->gain, d, n, h->norm_eps);
    j->b->kernels->vector.add(j->b->dx + i * n, d, n);
}

void backward_enter(struct backward *b, const float *x, const float *gain, size_t tokens)
{
    struct norm_job j = {b, x, gain};
    pool_for(b->pool, tokens, norm_token, &j);
    memset(b->dnormed, 0, tokens * b->weights->hparams.embd * sizeof *b->dnormed);
}

void backward_leave(struct backward *b, const float *x, const float *gain, size_t tokens)
{
    struct norm_job j = {b, x, gain};
    pool_for(b->pool, tokens, norm_token_back, &j);
}

static void gate_back(size_t i, int thread, void *arg)
{
    struct backward *b = arg;
    const size_t n = (size_t)b->weights->hparams.ffn;
    float *dgate = b->dgate + i * n, *dup = b->dup + i * n;
    const float *gate = b->gate + i * n, *up = b->up + i * n, *d = b->dhidden + i * n;
    (void)thread;
    for (size_t j = 0; j < n; j++) {
        const float s = 1.0f / (1.0f + expf(-gate[j]));
        dup[j] = d[j] * gate[j] * s;
        dgate[j] = d[j] * up[j] * s * (1.0f + gate[j] * (1.0f - s));
    }
}

static void gate_forward(size_t i, int thread, void *arg)
{
    struct backward *b = arg;
    const size_t n = (size_t)b->weights->hparams.ffn;
    (void)thread;
    memcpy(b->hidden + i * n, b->gate + i * n, n * sizeof *b->hidden);
    b->kernels->vector.silu_gate(b->hidden + i * n, b->up + i * n, n);
}

static void ffn_back(struct backward *b, const struct weights_layer *w, const float *x,
                     size_t tokens)
{
    const struct linear_job gate_up[] = {{&w->gate, b->gate}, {&w->up, b->up}};
    backward_enter(b, x, w->ffn_norm, tokens);
    linear_run(&b->forward.linear, b->normed, tokens, gate_up, 2);
    pool_for(b->pool, tokens, gate_forward, b);
    backward_look(b, &w->down, b->hidden, b->dx, tokens);
    memset(b->dhidden, 0, tokens * b->weights->hparams.ffn * sizeof *b->dhidden);
    backward_linear(b, &w->down, b->dx, tokens, b->dhidden);
    pool_for(b->pool, tokens, gate_back, b);
    backward_look(b, &w->up, b->normed, b->dup, tokens);
    backward_look(b, &w->gate, b->normed, b->dgate, tokens);
    backward_linear(b, &w->up, b->dup, tokens, b->dnormed);
    backward_linear(b, &w->gate, b->dgate, tokens, b->dnormed);
    backward_leave(b, x, w->ffn_norm, tokens);
}

/* Draws from the probabilities exp(logit - largest) / sum. */
static uint32_t draw(const float *probability, size_t vocab, double sum, struct rng *rng)
{
    double left = (double)rng_uniform(rng) * sum;
    size_t i = 0;
    while (i + 1 < vocab && (left -= (double)probability[i]) >= 0.0)
        i++;
    return (uint32_t)i;
}

/* Logits of a token become the gradient of its loss, which is returned. */
static double loss_of(const struct backward *b, float *logits, const uint32_t *next,
                      struct rng *rng)
{
    const struct vector_kernels *v = &b->kernels->vector;
    const size_t vocab = (size_t)b->weights->hparams.vocab;
    const float top = v->max(logits, vocab);
    const double sum = v->exp(logits, logits, top, vocab);
    const uint32_t drawn = next ? *next : draw(logits, vocab, sum, rng);
    const double loss = log(sum) - log((double)logits[drawn]);
    v->scale(logits, logits, (float)(1.0 / sum), vocab);
    logits[drawn] -= 1.0f;
    return loss;
}

/* The output matrix and the loss, a few tokens at a time. */
double backward_output(struct backward *b, const float *x, size_t tokens, const uint32_t *next,
                       struct rng *rng)
{
    const struct weights *w = b->weights;
    const size_t embd = (size_t)w->hparams.embd, vocab = (size_t)w->hparams.vocab;
    double loss = 0.0;
    backward_enter(b, x, w->output_norm, tokens);
    memset(b->dx, 0, tokens * embd * sizeof *b->dx);
    for (size_t done = 0, count; done < tokens; done += count) {
        const float *state = b->normed + done * embd;
        count = least(tokens - done, b->piece);
        forward_logits(&b->forward, state, count, b->logits);
        for (size_t i = 0; i < count; i++)
            loss += loss_of(b, b->logits + i * vocab, next ? next + done + i : NULL, rng);
        backward_look(b, &w->output, state, b->logits, count);
        backward_linear(b, &w->output, b->logits, count, b->dnormed + done * embd);
    }
    backward_leave(b, x, w->output_norm, tokens);
    return loss;
}

bool backward_embed(struct backward *b, const uint32_t *token, size_t tokens, float *x,
                    struct err *err)
{
    if (tokens > b->most)
        return err_set(err, ERR_USAGE, "a window of %zu tokens, not of up to %zu", tokens, b->most);
    return forward_embed(&b->forward, token, tokens, x, err);
}

void backward_ahead(struct backward *b, size_t half, float *x, size_t tokens)
{
    b->cache.length[0] = 0;
    if (half % 2 == 0)
        forward_attention(&b->forward, &b->cache, half / 2, x, tokens);
    else
        forward_ffn(&b->forward, half / 2, x, tokens);
}

void backward_half(struct backward *b, size_t half, const float *x, size_t tokens)
{
    const struct weights_layer *w = &b->weights->layer[half / 2];
    if (half % 2 == 0)
        backward_attention(b, w, x, tokens);
    else
        ffn_back(b, w, x, tokens);
}
