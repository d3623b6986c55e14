#include "model/forward.h"

#include "core/mem.h"
#include "model/ops.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

struct widths {
    size_t embd, ffn, q, k, v, mixed;
};

static struct widths widths_of(const struct hparams *h)
{
    return (struct widths){
        .embd = (size_t)h->embd,
        .ffn = (size_t)h->ffn,
        .q = (size_t)(h->heads * h->head_dim),
        .k = (size_t)(h->kv_heads * h->head_dim),
        .v = (size_t)(h->kv_heads * h->value_dim),
        .mixed = (size_t)(h->heads * h->value_dim),
    };
}

static bool allocate(struct forward *f, struct err *err)
{
    const struct widths w = widths_of(&f->weights->hparams);
    const size_t width[] = {
        w.embd, w.embd, w.q, w.k, w.v, w.mixed, w.ffn, w.ffn, f->weights->rope.dims};
    float **const part[] = {&f->x,     &f->normed, &f->q,  &f->k,    &f->v,
                            &f->mixed, &f->gate,   &f->up, &f->angle};
    const size_t parts = sizeof part / sizeof part[0];
    size_t total = 0;
    for (size_t i = 0; i < parts; i++)
        total += width[i];
    f->memory = mem_alloc_large(total, FORWARD_PIECE * sizeof *f->memory);
    f->token = mem_alloc(FORWARD_PIECE, sizeof *f->token);
    f->span = mem_alloc(FORWARD_PIECE, sizeof *f->span);
    if (!f->memory || !f->token || !f->span)
        return err_set(err, ERR_MEMORY, "%d tokens of %zu floats", FORWARD_PIECE, total);
    float *at = f->memory;
    for (size_t i = 0; i < parts; i++) {
        *part[i] = at;
        at += width[i] * FORWARD_PIECE;
    }
    return true;
}

bool forward_open(struct forward *f, const struct weights *w, const struct kernels *k,
                  struct pool *pool, struct err *err)
{
    const struct widths width = widths_of(&w->hparams);
    size_t cols = width.embd > width.ffn ? width.embd : width.ffn;
    cols = cols > width.mixed ? cols : width.mixed;
    *f = (struct forward){.weights = w, .kernels = k, .pool = pool};
    if (linear_open(&f->linear, k, pool, cols, err) &&
        attention_open(&f->attention, &w->hparams, pool, err) && allocate(f, err))
        return true;
    forward_close(f);
    return false;
}

void forward_close(struct forward *f)
{
    linear_close(&f->linear);
    attention_close(&f->attention);
    free(f->memory);
    free(f->token);
    free(f->span);
    *f = (struct forward){0};
}

/* What the steps on single tokens need. */
struct piece {
    struct forward *f;
    struct kv_cache *cache;
    size_t tokens, spans;
    size_t layer;
    const struct weights_layer *weights; /* of the layer */
};

static void embed_token(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    const struct forward *f = p->f;
    const struct tensor *t = f->weights->embedding;
    const size_t embd = (size_t)tensor_cols(t), row = t->bytes / (size_t)tensor_rows(t);
    (void)thread;
    f->kernels->decode[t->dtype->id](f->x + i * embd, t->data + row * (size_t)f->token[i].id, embd);
}

static void turn_token(size_t i, int thread, void *arg)
{
    const struct forward *f = ((const struct piece *)arg)->f;
    (void)thread;
    rope_angles(&f->weights->rope, f->token[i].position, f->angle + i * f->weights->rope.dims);
}

static void begin_token(size_t i, int thread, void *arg)
{
    embed_token(i, thread, arg);
    turn_token(i, thread, arg);
}

/* One row of what a part of the layer added goes into the stream. */
static void add_to_stream(const struct forward *f, size_t i)
{
    const size_t embd = (size_t)f->weights->hparams.embd;
    f->kernels->vector.add(f->x + i * embd, f->normed + i * embd, embd);
}

static void norm_stream(const struct forward *f, size_t i, const float *gain, float *to)
{
    const struct hparams *h = &f->weights->hparams;
    ops_rms_norm(&f->kernels->vector, to, f->x + i * h->embd, gain, (size_t)h->embd, h->norm_eps);
}

static void enter_attention(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    (void)thread;
    norm_stream(p->f, i, p->weights->attn_norm, p->f->normed + i * p->f->weights->hparams.embd);
}

static void enter_ffn(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    (void)thread;
    norm_stream(p->f, i, p->weights->ffn_norm, p->f->normed + i * p->f->weights->hparams.embd);
}

static void change_halves(size_t i, int thread, void *arg)
{
    add_to_stream(((const struct piece *)arg)->f, i);
    enter_ffn(i, thread, arg);
}

static void leave_layer(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    (void)thread;
    add_to_stream(p->f, i);
}

static void leave_model(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    (void)thread;
    if (p->f->token[i].state)
        norm_stream(p->f, i, p->f->weights->output_norm, p->f->token[i].state);
}

/* Norms (where the model has them) and turns the heads of one token. */
static void place_heads(const struct forward *f, float *head, size_t heads, const float *gain,
                        const float *angle)
{
    const struct hparams *h = &f->weights->hparams;
    for (size_t j = 0; j < heads; j++, head += h->head_dim) {
        if (gain)
            ops_rms_norm(&f->kernels->vector, head, head, gain, (size_t)h->head_dim, h->norm_eps);
        rope_turn(&f->weights->rope, angle, head);
    }
}

static void place_token(size_t i, int thread, void *arg)
{
    const struct piece *p = arg;
    const struct forward *f = p->f;
    const struct hparams *h = &f->weights->hparams;
    const struct widths w = widths_of(h);
    const float *angle = f->angle + i * f->weights->rope.dims;
    (void)thread;
    place_heads(f, f->q + i * w.q, (size_t)h->heads, p->weights->q_norm, angle);
    place_heads(f, f->k + i * w.k, (size_t)h->kv_heads, p->weights->k_norm, angle);
    kv_cache_put(p->cache, p->layer, f->token[i].sequence, f->token[i].position, f->k + i * w.k,
                 f->v + i * w.v);
}

static void gate_token(size_t i, int thread, void *arg)
{
    const struct forward *f = ((const struct piece *)arg)->f;
    const size_t ffn = (size_t)f->weights->hparams.ffn;
    (void)thread;
    f->kernels->vector.silu_gate(f->gate + i * ffn, f->up + i * ffn, ffn);
}

static bool probe(const struct piece *p, enum forward_input input, const float *x)
{
    const struct forward_probe *probe = &p->f->probe;
    return !probe->look || probe->look(probe->arg, input, x, p->tokens);
}

/* What attention adds to the stream, from the stream normed; false: nothing. */
static bool run_attention(struct piece *p)
{
    struct forward *f = p->f;
    const struct weights_layer *w = p->weights;
    const struct linear_job qkv[] = {{&w->q, f->q}, {&w->k, f->k}, {&w->v, f->v}};
    if (!probe(p, FORWARD_ATTN_IN, f->normed))
        return false;
    linear_run(&f->linear, f->normed, p->tokens, qkv, 3);
    pool_for(f->pool, p->tokens, place_token, p);
    attention_run(&f->attention, p->cache, p->layer, f->span, p->spans, f->q, f->mixed);
    if (!probe(p, FORWARD_ATTN_OUT, f->mixed))
        return false;
    linear_run(&f->linear, f->mixed, p->tokens, &(struct linear_job){&w->o, f->normed}, 1);
    return true;
}

/* The same, of the feed-forward. */
static bool run_ffn(struct piece *p)
{
    struct forward *f = p->f;
    const struct weights_layer *w = p->weights;
    const struct linear_job gate_up[] = {{&w->gate, f->gate}, {&w->up, f->up}};
    if (!probe(p, FORWARD_FFN_IN, f->normed))
        return false;
    linear_run(&f->linear, f->normed, p->tokens, gate_up, 2);
    pool_for(f->pool, p->tokens, gate_token, p);
    if (!probe(p, FORWARD_FFN_MID, f->gate))
        return false;
    linear_run(&f->linear, f->gate, p->tokens, &(struct linear_job){&w->down, f->normed}, 1);
    return true;
}

static void run_layer(struct piece *p)
{
    struct pool *pool = p->f->pool;
    pool_for(pool, p->tokens, enter_attention, p);
    pool_for(pool, p->tokens, run_attention(p) ? change_halves : enter_ffn, p);
    if (run_ffn(p))
        pool_for(pool, p->tokens, leave_layer, p);
}

static void look(const struct piece *p, size_t layer)
{
    const struct forward_tap *tap = &p->f->tap;
    if (tap->look)
        tap->look(tap->arg, layer, p->f->x, p->tokens);
}

static void run_piece(struct forward *f, struct kv_cache *cache, size_t tokens, size_t spans)
{
    const size_t layers = (size_t)f->weights->hparams.layers;
    struct piece p = {.f = f, .cache = cache, .tokens = tokens, .spans = spans};
    pool_for(f->pool, tokens, begin_token, &p);
    for (p.layer = 0; p.layer < layers; p.layer++) {
        p.weights = &f->weights->layer[p.layer];
        look(&p, p.layer);
        run_layer(&p);
    }
    look(&p, layers);
    pool_for(f->pool, tokens, leave_model, &p);
}

static bool check_tokens(const struct forward *f, const uint32_t *token, size_t tokens,
                         struct err *err)
{
    const uint64_t vocab = f->weights->hparams.vocab;
    for (size_t i = 0; i < tokens; i++)
        if (token[i] >= vocab)
            return err_set(err, ERR_USAGE,
                           "token %zu is %" PRIu32 ", the model's vocabulary has %" PRIu64, i,
                           token[i], vocab);
    return true;
}

static bool check(const struct forward *f, const struct kv_cache *cache,
                  const struct forward_sequence *s, struct err *err)
{
    const size_t length = cache->length[s->sequence];
    if (s->tokens > cache->context - length)
        return err_set(err, ERR_USAGE, "%zu tokens behind %zu do not fit in a context of %zu",
                       s->tokens, length, cache->context);
    return check_tokens(f, s->token, s->tokens, err);
}

bool forward_run(struct forward *f, struct kv_cache *cache, const struct forward_sequence *s,
                 size_t sequences, float *states, struct err *err)
{
    const size_t embd = (size_t)f->weights->hparams.embd;
    size_t used = 0, spans = 0;
    for (size_t i = 0; i < sequences; i++)
        if (!check(f, cache, &s[i], err))
            return false;
    for (size_t i = 0; i < sequences; i++)
        for (size_t done = 0; done < s[i].tokens;) {
            const size_t left = s[i].tokens - done, room = FORWARD_PIECE - used;
            const size_t count = left < room ? left : room;
            size_t *length = &cache->length[s[i].sequence];
            f->span[spans++] = (struct attention_span){s[i].sequence, *length, used, count};
            for (size_t end = done + count; done < end; done++, used++, ++*length) {
                const bool wanted = done >= s[i].tokens - s[i].states;
                f->token[used] = (struct forward_token){s[i].token[done], s[i].sequence, *length,
                                                        wanted ? states : NULL};
                if (wanted)
                    states += embd;
            }
            if (used == FORWARD_PIECE) {
                run_piece(f, cache, used, spans);
                used = spans = 0;
            }
        }
    if (used > 0)
        run_piece(f, cache, used, spans);
    return true;
}

void forward_logits(struct forward *f, const float *states, size_t rows, float *logits)
{
    linear_run(&f->linear, states, rows, &(struct linear_job){&f->weights->output, logits}, 1);
}

/* A piece of one sequence, as if x were the forward's own stream; ended by end_half. */
static struct piece begin_half(struct forward *f, size_t layer, float *x, size_t tokens)
{
    assert(tokens <= FORWARD_PIECE);
    f->x = x;
    return (struct piece){.f = f, .tokens = tokens, .weights = &f->weights->layer[layer]};
}

static void end_half(struct forward *f) { f->x = f->memory; }

bool forward_embed(struct forward *f, const uint32_t *token, size_t tokens, float *x,
                   struct err *err)
{
    if (!check_tokens(f, token, tokens, err))
        return false;
    struct piece p = begin_half(f, 0, x, tokens);
    for (size_t i = 0; i < tokens; i++)
        f->token[i] = (struct forward_token){.id = token[i]};
    pool_for(f->pool, tokens, embed_token, &p);
    end_half(f);
    return true;
}

void forward_attention(struct forward *f, struct kv_cache *cache, size_t layer, float *x,
                       size_t tokens)
{
    struct piece p = begin_half(f, layer, x, tokens);
    p.cache = cache;
    p.spans = 1;
    f->span[0] = (struct attention_span){0, cache->length[0], 0, tokens};
    for (size_t i = 0; i < tokens; i++)
        f->token[i] = (struct forward_token){.position = cache->length[0]++};
    pool_for(f->pool, tokens, turn_token, &p);
    pool_for(f->pool, tokens, enter_attention, &p);
    if (run_attention(&p))
        pool_for(f->pool, tokens, leave_layer, &p);
    end_half(f);
}

void forward_ffn(struct forward *f, size_t layer, float *x, size_t tokens)
{
    struct piece p = begin_half(f, layer, x, tokens);
    pool_for(f->pool, tokens, enter_ffn, &p);
    if (run_ffn(&p))
        pool_for(f->pool, tokens, leave_layer, &p);
    end_half(f);
}

void forward_states(struct forward *f, const float *x, size_t tokens, float *states)
{
    const struct hparams *h = &f->weights->hparams;
    for (size_t i = 0; i < tokens; i++)
        ops_rms_norm(&f->kernels->vector, states + i * h->embd, x + i * h->embd,
                     f->weights->output_norm, (size_t)h->embd, h->norm_eps);
}
