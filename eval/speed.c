#include "eval/speed.h"

#include "core/clock.h"
#include "core/mem.h"
#include "core/stop.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { MACHINE_RUNS = 7, PASSES_MIN = 3, PASSES_MAX = 200, ROUNDS_MAX = 50 };
static const double pass_seconds = 0.5, round_seconds = 0.03; /* of all passes, and in turn */

/* The machine: sums of pieces, or products of squares; the sums are kept, so that nothing is left
 * out. */
enum { PIECES = 256, PIECE = 1 << 17, SIDE = 512, SQUARES = 3 };

struct machine_work {
    const uint64_t *memory; /* PIECES x PIECE */
    float *squares;         /* for each thread SQUARES x SIDE x SIDE */
    uint64_t sum[PIECES];
};

static void sum_piece(size_t item, int thread, void *arg)
{
    struct machine_work *w = arg;
    const uint64_t *p = w->memory + item * PIECE;
    uint64_t sum[4] = {0};
    (void)thread;
    for (size_t i = 0; i < PIECE; i += 4)
        for (size_t j = 0; j < 4; j++)
            sum[j] += p[i + j];
    w->sum[item] = sum[0] + sum[1] + sum[2] + sum[3];
}

static void multiply_squares(size_t item, int thread, void *arg)
{
    const struct machine_work *w = arg;
    const size_t square = (size_t)SIDE * SIDE;
    float *a = w->squares + (size_t)thread * SQUARES * square;
    (void)item;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, SIDE, SIDE, SIDE, 1.0f, a, SIDE,
                a + square, SIDE, 0.0f, a + 2 * square, SIDE);
}

/* Units a second. */
static double rate(struct pool *pool, size_t items,
                   void (*work)(size_t item, int thread, void *arg), void *arg, double units)
{
    const double start = clock_seconds();
    pool_for(pool, items, work, arg);
    return units / (clock_seconds() - start);
}

/* Bytes a second. */
static double read_rate(const struct speed_machine *m)
{
    struct machine_work w = {.memory = m->memory};
    return rate(m->pool, PIECES, sum_piece, &w, (double)PIECES * PIECE * sizeof *m->memory);
}

bool speed_machine_open(struct speed_machine *m, struct pool *pool, struct err *err)
{
    const size_t threads = (size_t)pool_threads(pool), products = 4 * threads;
    struct machine_work w = {.squares =
                                 mem_alloc(threads, sizeof *w.squares * SQUARES * SIDE * SIDE)};
    *m = (struct speed_machine){.pool = pool,
                                .memory = mem_alloc_large(PIECES, PIECE * sizeof *m->memory)};
    if (!m->memory || !w.squares) {
        free(w.squares);
        speed_machine_close(m);
        return err_set(err, ERR_MEMORY, "memory to be read");
    }
    openblas_set_num_threads(1); /* in each of ours */
    for (int run = 0; run < MACHINE_RUNS; run++) {
        m->read = fmax(m->read, read_rate(m));
        m->multiply = fmax(m->multiply, rate(pool, products, multiply_squares, &w,
                                             2.0 * SIDE * SIDE * SIDE * (double)products));
    }
    free(w.squares);
    return true;
}

void speed_machine_close(struct speed_machine *m)
{
    free(m->memory);
    m->memory = NULL;
}

static void count_weight(struct speed_pass *p, const struct linear *l, size_t vectors)
{
    if (!l->weight)
        return;
    p->bytes += (double)l->weight->bytes;
    p->operations += 2.0 * (double)tensor_elems(l->weight) * (double)vectors;
}

static void count(struct speed_pass *p, const struct weights *w, const struct kv_cache *c)
{
    const size_t layers = (size_t)w->hparams.layers, vectors = p->sequences * p->tokens;
    const double row = (double)(c->key_bytes + c->value_bytes);
    const double rows =
        (double)(p->sequences * layers * c->heads) * ((double)p->context + 0.5 * (double)p->tokens);
    p->bytes = rows * row;
    p->operations = 0.0;
    for (size_t i = 0; i < layers; i++)
        for (size_t j = 0; j < WEIGHTS_LINEARS; j++)
            count_weight(p, weights_linear(&w->layer[i], j), vectors);
    count_weight(p, &w->output, p->sequences);
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* The sequences of a pass, what they need, and where it goes. */
struct pass {
    struct kv_cache cache;
    struct forward_sequence *sequence;
    uint32_t *token;
    float *states, *logits;
};

static bool pass_open(struct pass *a, const struct speed_pass *p, const struct forward *f,
                      enum dtype_id cache, struct err *err)
{
    const struct hparams *h = &f->weights->hparams;
    if (!kv_cache_open(&a->cache, h, f->kernels, cache, p->sequences, p->context + p->tokens, err))
        return false;
    a->sequence = mem_alloc(p->sequences, sizeof *a->sequence);
    a->token = mem_alloc(p->tokens, sizeof *a->token);
    a->states = mem_alloc(p->sequences, (size_t)h->embd * sizeof *a->states);
    a->logits = mem_alloc(p->sequences, (size_t)h->vocab * sizeof *a->logits);
    if (!a->sequence || !a->token || !a->states || !a->logits)
        return err_set(err, ERR_MEMORY, "%zu sequences", p->sequences);
    for (size_t i = 0; i < p->tokens; i++)
        a->token[i] = (uint32_t)(i * 2654435761u % h->vocab);
    for (size_t i = 0; i < p->sequences; i++)
        a->sequence[i] = (struct forward_sequence){
            .token = a->token, .tokens = p->tokens, .sequence = i, .states = 1};
    return true;
}

static void pass_close(struct pass *a)
{
    kv_cache_close(&a->cache);
    free(a->sequence);
    free(a->token);
    free(a->states);
    free(a->logits);
}

/* What is before the tokens are the zeros of a fresh cache, which are read like others. */
static bool run_pass(struct pass *a, const struct speed_pass *p, struct forward *f, double *seconds,
                     struct err *err)
{
    for (size_t i = 0; i < p->sequences; i++)
        a->cache.length[i] = p->context;
    const double start = clock_seconds();
    if (!stop_check(err) || !forward_run(f, &a->cache, a->sequence, p->sequences, a->states, err))
        return false;
    forward_logits(f, a->states, p->sequences, a->logits);
    *seconds = clock_seconds() - start;
    return true;
}

/* Times of passes that follow one another; after them, how fast the machine reads. */
struct rounds {
    double seconds[PASSES_MAX], total;
    double read[ROUNDS_MAX];
    size_t passes, rounds;
};

/* The first pass finds other memory in the caches: it is not timed. */
static bool run_round(struct rounds *r, struct pass *a, const struct speed_pass *p,
                      const struct speed_machine *m, struct forward *f, struct err *err)
{
    double seconds, end = r->total + round_seconds;
    if (!run_pass(a, p, f, &seconds, err))
        return false;
    do {
        if (!run_pass(a, p, f, &seconds, err))
            return false;
        r->seconds[r->passes++] = seconds;
        r->total += seconds;
    } while (r->total < end && r->passes < PASSES_MAX);
    r->read[r->rounds++] = read_rate(m);
    return true;
}

bool speed_of_pass(struct speed_pass *p, const struct speed_machine *m, struct forward *f,
                   enum dtype_id cache, struct err *err)
{
    struct pass a = {0};
    struct rounds r = {.passes = 0};
    bool ok = pass_open(&a, p, f, cache, err);
    while (ok && r.passes < PASSES_MAX && r.rounds < ROUNDS_MAX &&
           (r.passes < PASSES_MIN || r.total < pass_seconds))
        ok = run_round(&r, &a, p, m, f, err);
    if (ok) {
        qsort(r.seconds, r.passes, sizeof *r.seconds, compare);
        qsort(r.read, r.rounds, sizeof *r.read, compare);
        p->seconds = r.seconds[r.passes / 2];
        p->read = r.read[r.rounds / 2];
        count(p, f->weights, &a.cache);
    }
    pass_close(&a);
    return ok;
}
