#include "calib/fold_proof.h"

#include "core/mem.h"
#include "core/rng.h"
#include "core/stop.h"
#include "model/forward.h"
#include "model/plan_weights.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Any tokens will do: a function is the same on all of them. */
enum { WINDOWS = 3, TOKENS = 64, ALL = WINDOWS * TOKENS, LOGIT_ROWS = 1024, HALF_MAX = 4 };

/* One of the two models, and where its windows are. */
struct side {
    struct plan plan; /* the given one, with tensors of its own */
    struct plan_weights w;
    struct forward forward;
    struct kv_cache cache;
    float *x; /* ALL x embd */
};

struct proof {
    const struct kernels *kernels;
    struct pool *pool;
    struct side side[2]; /* plain, folded */
    uint32_t token[ALL];
    float *room;      /* of the matrices in work */
    float *logits[2]; /* ALL x LOGIT_ROWS */
};

static void side_close(struct side *s)
{
    forward_close(&s->forward);
    kv_cache_close(&s->cache);
    plan_weights_close(&s->w);
    free(s->plan.tensor);
    free(s->x);
}

static bool side_open(struct side *s, const struct proof *p, const struct plan *plan, bool folded,
                      struct err *err)
{
    s->plan = *plan;
    s->plan.tensor = mem_alloc(plan->tensors, sizeof *s->plan.tensor);
    if (!s->plan.tensor)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", plan->tensors);
    for (size_t i = 0; i < plan->tensors; i++) {
        s->plan.tensor[i] = plan->tensor[i];
        if (!folded)
            s->plan.tensor[i].by_row = s->plan.tensor[i].by_col = NULL;
    }
    if (!plan_weights_open(&s->w, &s->plan, p->kernels, err))
        return false;
    struct hparams one = s->w.weights.hparams;
    one.layers = 1;
    s->x = mem_alloc(ALL, (size_t)one.embd * sizeof *s->x);
    if (!s->x)
        return err_set(err, ERR_MEMORY, "%d tokens of %zu floats", ALL, (size_t)one.embd);
    return forward_open(&s->forward, &s->w.weights, p->kernels, p->pool, err) &&
           kv_cache_open(&s->cache, &one, p->kernels, DTYPE_F32, 1, TOKENS, err);
}

/* The matrices of half a layer: attention, feed-forward, attention ... */
static size_t matrices_of(const struct weights *w, size_t half, const struct tensor **matrix)
{
    const struct weights_layer *l = &w->layer[half / 2];
    const struct linear *const part[2][HALF_MAX] = {{&l->q, &l->k, &l->v, &l->o},
                                                    {&l->gate, &l->up, &l->down, NULL}};
    size_t n = 0;
    for (size_t i = 0; i < HALF_MAX; i++)
        if (part[half % 2][i] && part[half % 2][i]->weight)
            matrix[n++] = part[half % 2][i]->weight;
    return n;
}

static void load(struct proof *p, struct side *s, const struct tensor *const *matrix, size_t n)
{
    float *room = p->room;
    for (size_t i = 0; i < n; i++) {
        plan_weights_load(&s->w, matrix[i], p->pool, room);
        room += plan_weights_room(&s->w, matrix[i]);
    }
}

static void run_half(struct proof *p, struct side *s, size_t half)
{
    const struct tensor *matrix[HALF_MAX];
    const size_t embd = (size_t)s->w.weights.hparams.embd;
    load(p, s, matrix, matrices_of(&s->w.weights, half, matrix));
    for (size_t i = 0; i < WINDOWS; i++) {
        float *x = s->x + i * TOKENS * embd;
        s->cache.length[0] = 0;
        if (half % 2 == 0)
            forward_attention(&s->forward, &s->cache, half / 2, x, TOKENS);
        else
            forward_ffn(&s->forward, half / 2, x, TOKENS);
    }
}

/* The most floats that a half layer, the embedding or a piece of the output takes. */
static size_t room_of(const struct side *s)
{
    const struct weights *w = &s->w.weights;
    size_t most = LOGIT_ROWS * (size_t)w->hparams.embd;
    const size_t embedding = plan_weights_room(&s->w, w->embedding);
    for (size_t half = 0; half < 2 * (size_t)w->hparams.layers; half++) {
        const struct tensor *matrix[HALF_MAX];
        const size_t n = matrices_of(w, half, matrix);
        size_t room = 0;
        for (size_t i = 0; i < n; i++)
            room += plan_weights_room(&s->w, matrix[i]);
        most = room > most ? room : most;
    }
    return embedding > most ? embedding : most;
}

/* Rows [row, row + rows) of the output matrix, times the states. */
static void some_logits(struct proof *p, struct side *s, size_t row, size_t rows, float *logits)
{
    const struct plan_tensor *from =
        &s->plan.tensor[s->w.weights.output.weight - s->w.checkpoint.tensor];
    const struct tensor part = {.name = from->out.name,
                                .dtype = dtype_get(DTYPE_F32),
                                .dims = 2,
                                .shape = {rows, s->w.weights.hparams.embd},
                                .data = (const uint8_t *)p->room,
                                .bytes = rows * (size_t)s->w.weights.hparams.embd * sizeof(float)};
    const struct linear linear = {.weight = &part};
    plan_read(from, p->kernels, row, rows, p->room);
    linear_run(&s->forward.linear, s->x, ALL, &(struct linear_job){&linear, logits}, 1);
}

static bool compare(struct proof *p, double *error, struct err *err)
{
    const size_t vocab = (size_t)p->side[0].w.weights.hparams.vocab;
    double apart = 0.0, size = 0.0;
    for (size_t row = 0; row < vocab; row += LOGIT_ROWS) {
        const size_t rows = vocab - row < LOGIT_ROWS ? vocab - row : LOGIT_ROWS;
        for (int i = 0; i < 2; i++)
            some_logits(p, &p->side[i], row, rows, p->logits[i]);
        for (size_t i = 0; i < ALL * rows; i++) {
            const double a = p->logits[0][i], b = p->logits[1][i];
            apart += (a - b) * (a - b);
            size += a * a;
        }
        if (!stop_check(err))
            return false;
    }
    *error = size > 0.0 ? sqrt(apart / size) : 0.0;
    return *error < FOLD_PROOF_BOUND ||
           err_set(err, ERR_NUMERIC,
                   "the folded model is another function: its logits are off by %.1e of their size "
                   "(at most %.0e is rounding)",
                   *error, FOLD_PROOF_BOUND);
}

static bool run_model(struct proof *p, struct side *s, struct err *err)
{
    const struct weights *w = &s->w.weights;
    plan_weights_load(&s->w, w->embedding, p->pool, p->room);
    if (!forward_embed(&s->forward, p->token, ALL, s->x, err))
        return false;
    for (size_t half = 0; half < 2 * (size_t)w->hparams.layers; half++) {
        run_half(p, s, half);
        if (!stop_check(err))
            return false;
    }
    forward_states(&s->forward, s->x, ALL, s->x);
    return true;
}

static bool open_all(struct proof *p, const struct plan *plan, uint64_t *memory, struct err *err)
{
    struct rng rng = {1};
    size_t room = 0;
    for (int i = 0; i < 2; i++) {
        if (!side_open(&p->side[i], p, plan, i == 1, err))
            return false;
        const size_t more = room_of(&p->side[i]);
        room = more > room ? more : room;
        p->logits[i] = mem_alloc(ALL * (size_t)LOGIT_ROWS, sizeof *p->logits[i]);
    }
    p->room = mem_alloc(room, sizeof *p->room);
    *memory = (room + (size_t)(2 * ALL) * (LOGIT_ROWS + p->side[0].w.weights.hparams.embd)) *
              sizeof(float);
    const uint64_t vocab = p->side[0].w.weights.hparams.vocab;
    for (size_t i = 0; i < ALL; i++)
        p->token[i] = vocab ? (uint32_t)(rng_u64(&rng) % vocab) : 0;
    return (p->room && p->logits[0] && p->logits[1]) ||
           err_set(err, ERR_MEMORY, "half a layer of %zu floats", room);
}

bool fold_proof(const struct plan *plan, const struct kernels *k, struct pool *pool, double *error,
                uint64_t *memory, struct err *err)
{
    struct kernels exact = *k;
    struct proof p = {.kernels = &exact, .pool = pool};
    exact.dot = NULL;
    const bool ok = open_all(&p, plan, memory, err) && run_model(&p, &p.side[0], err) &&
                    run_model(&p, &p.side[1], err) && compare(&p, error, err);
    for (int i = 0; i < 2; i++) {
        side_close(&p.side[i]);
        free(p.logits[i]);
    }
    free(p.room);
    return ok;
}
