/* With P = softmax(scale Q K'), M = P V and dM given:
 *
 *     dV = P' dM    dP = dM V'    dS = P (dP - rowsum(P dP))    dQ = scale dS K    dK = scale dS' Q
 *
 * A window's scores fit in memory, so P is made whole, a head at a time. */
#include "calib/backward_parts.h"

#include "model/ops.h"

#include <cblas.h>
#include <string.h>

struct heads {
    struct backward *b;
    const struct weights_layer *w;
    size_t tokens;
};

/* Norms (where the model has them) and turns: raw to head, all heads of a token. */
static void place(const struct backward *b, float *head, const float *raw, size_t heads,
                  const float *gain, const float *angle)
{
    const struct hparams *h = &b->weights->hparams;
    const size_t n = (size_t)h->head_dim;
    memcpy(head, raw, heads * n * sizeof *head);
    for (size_t j = 0; j < heads; j++, head += n) {
        if (gain)
            ops_rms_norm(&b->kernels->vector, head, head, gain, n, h->norm_eps);
        rope_turn(&b->weights->rope, angle, head);
    }
}

/* d: from the gradient of what place() made to that of raw.  A turn back is a turn by minus the
 * angle. */
static void place_back(const struct backward *b, float *d, const float *raw, size_t heads,
                       const float *gain, const float *back)
{
    const struct hparams *h = &b->weights->hparams;
    const size_t n = (size_t)h->head_dim;
    for (size_t j = 0; j < heads; j++, d += n, raw += n) {
        rope_turn(&b->weights->rope, back, d);
        if (gain)
            backward_norm(d, raw, gain, d, n, h->norm_eps);
    }
}

static void place_token(size_t i, int thread, void *arg)
{
    const struct heads *t = arg;
    struct backward *b = t->b;
    const struct hparams *h = &b->weights->hparams;
    const struct backward_widths w = backward_widths(h);
    float *angle = b->angle + i * b->weights->rope.dims;
    (void)thread;
    rope_angles(&b->weights->rope, i, angle);
    place(b, b->q + i * w.q, b->raw_q + i * w.q, (size_t)h->heads, t->w->q_norm, angle);
    place(b, b->k + i * w.k, b->raw_k + i * w.k, (size_t)h->kv_heads, t->w->k_norm, angle);
}

static void place_token_back(size_t i, int thread, void *arg)
{
    const struct heads *t = arg;
    struct backward *b = t->b;
    const struct hparams *h = &b->weights->hparams;
    const struct backward_widths w = backward_widths(h);
    float *angle = b->angle + i * b->weights->rope.dims;
    (void)thread;
    for (size_t j = 1; j < b->weights->rope.dims; j += 2)
        angle[j] = -angle[j];
    place_back(b, b->dq + i * w.q, b->raw_q + i * w.q, (size_t)h->heads, t->w->q_norm, angle);
    place_back(b, b->dk + i * w.k, b->raw_k + i * w.k, (size_t)h->kv_heads, t->w->k_norm, angle);
}

/* Row i of scores to probabilities; what it does not see is 0. */
static void soften(const struct backward *b, float *score, size_t i, size_t tokens)
{
    const struct vector_kernels *v = &b->kernels->vector;
    const size_t window = b->forward.attention.window;
    const size_t from = window && i + 1 > window ? i + 1 - window : 0, seen = i + 1 - from;
    const float top = v->max(score + from, seen);
    const double sum = v->exp(score + from, score + from, top, seen);
    v->scale(score + from, score + from, (float)(1.0 / sum), seen);
    memset(score, 0, from * sizeof *score);
    memset(score + i + 1, 0, (tokens - i - 1) * sizeof *score);
}

/* p (tokens x tokens): what a head makes of the keys of its group. */
static void weigh_keys(const struct heads *t, size_t head, const float *k, float *p)
{
    const struct backward *b = t->b;
    const struct attention *a = &b->forward.attention;
    const struct backward_widths w = backward_widths(&b->weights->hparams);
    const int n = (int)t->tokens, dim = (int)a->key_dim;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, dim, a->scale,
                b->q + head * a->key_dim, (int)w.q, k, (int)w.k, 0.0f, p, n);
    for (size_t i = 0; i < t->tokens; i++)
        soften(b, p + i * t->tokens, i, t->tokens);
}

/* The heads that share keys and values, one after another. */
static void attend_forward(size_t group, int thread, void *arg)
{
    const struct heads *t = arg;
    struct backward *b = t->b;
    const struct attention *a = &b->forward.attention;
    const struct backward_widths w = backward_widths(&b->weights->hparams);
    const size_t per = a->heads / a->kv_heads;
    const int n = (int)t->tokens, value = (int)a->value_dim;
    float *p = b->score + 2 * b->most * b->most * (size_t)thread;
    const float *k = b->k + group * a->key_dim, *v = b->v + group * a->value_dim;
    for (size_t head = group * per; head < (group + 1) * per; head++) {
        weigh_keys(t, head, k, p);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, value, n, 1.0f, p, n, v, (int)w.v,
                    0.0f, b->mixed + head * a->value_dim, (int)w.mixed);
    }
}

/* dS in place of dP. */
static void soften_back(const float *p, float *d, size_t tokens)
{
    double dot = 0.0;
    for (size_t j = 0; j < tokens; j++)
        dot += (double)p[j] * d[j];
    for (size_t j = 0; j < tokens; j++)
        d[j] = p[j] * (d[j] - (float)dot);
}

static void attend_back(size_t group, int thread, void *arg)
{
    const struct heads *t = arg;
    struct backward *b = t->b;
    const struct attention *a = &b->forward.attention;
    const struct backward_widths w = backward_widths(&b->weights->hparams);
    const size_t per = a->heads / a->kv_heads;
    const int n = (int)t->tokens, dim = (int)a->key_dim, value = (int)a->value_dim;
    float *p = b->score + 2 * b->most * b->most * (size_t)thread, *d = p + b->most * b->most;
    const float *k = b->k + group * a->key_dim, *v = b->v + group * a->value_dim;
    float *dk = b->dk + group * a->key_dim, *dv = b->dv + group * a->value_dim;
    for (size_t head = group * per; head < (group + 1) * per; head++) {
        const float *q = b->q + head * a->key_dim, *dm = b->dmixed + head * a->value_dim;
        const float sum = head == group * per ? 0.0f : 1.0f;
        weigh_keys(t, head, k, p);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, value, n, 1.0f, p, n, dm,
                    (int)w.mixed, sum, dv, (int)w.v);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, n, n, value, 1.0f, dm, (int)w.mixed, v,
                    (int)w.v, 0.0f, d, n);
        for (size_t i = 0; i < t->tokens; i++)
            soften_back(p + i * t->tokens, d + i * t->tokens, t->tokens);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, n, dim, n, a->scale, d, n, k,
                    (int)w.k, 0.0f, b->dq + head * a->key_dim, (int)w.q);
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, n, dim, n, a->scale, d, n, q, (int)w.q,
                    sum, dk, (int)w.k);
    }
}

void backward_attention(struct backward *b, const struct weights_layer *w, const float *x,
                        size_t tokens)
{
    const struct linear_job qkv[] = {{&w->q, b->raw_q}, {&w->k, b->raw_k}, {&w->v, b->v}};
    const size_t groups = b->forward.attention.kv_heads;
    struct heads t = {b, w, tokens};
    backward_enter(b, x, w->attn_norm, tokens);
    linear_run(&b->forward.linear, b->normed, tokens, qkv, 3);
    pool_for(b->pool, tokens, place_token, &t);
    pool_for(b->pool, groups, attend_forward, &t);
    backward_look(b, &w->o, b->mixed, b->dx, tokens);
    memset(b->dmixed, 0, tokens * backward_widths(&b->weights->hparams).mixed * sizeof *b->dmixed);
    backward_linear(b, &w->o, b->dx, tokens, b->dmixed);
    pool_for(b->pool, groups, attend_back, &t);
    pool_for(b->pool, tokens, place_token_back, &t);
    backward_look(b, &w->v, b->normed, b->dv, tokens);
    backward_look(b, &w->k, b->normed, b->dk, tokens);
    backward_look(b, &w->q, b->normed, b->dq, tokens);
    backward_linear(b, &w->v, b->dv, tokens, b->dnormed);
    backward_linear(b, &w->k, b->dk, tokens, b->dnormed);
    backward_linear(b, &w->q, b->dq, tokens, b->dnormed);
    backward_leave(b, x, w->attn_norm, tokens);
}
