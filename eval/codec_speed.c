#include "eval/codec_speed.h"

#include "core/clock.h"
#include "core/mem.h"
#include "core/rng.h"
#include "core/stop.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RUNS = 4, FRESH_ROWS = 64 };

/* Fresh weights for some rows, then copies of them: it is their place that counts. */
static void fill(float *weights, size_t rows)
{
    struct rng rng = {1};
    const size_t fresh = rows < FRESH_ROWS ? rows : FRESH_ROWS;
    for (size_t i = 0; i < fresh * CODEC_SPEED_COLS; i++)
        weights[i] = rng_normal(&rng);
    for (size_t row = fresh; row < rows; row++)
        memcpy(weights + row * CODEC_SPEED_COLS, weights + (row - fresh) * CODEC_SPEED_COLS,
               CODEC_SPEED_COLS * sizeof *weights);
}

static size_t largest_row(void)
{
    size_t most = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i);
        const size_t bytes = CODEC_SPEED_COLS / d->block_elems * d->block_bytes;
        most = bytes > most ? bytes : most;
    }
    return most;
}

bool codec_speed_open(struct codec_speed *c, size_t rows, const struct kernels *k,
                      struct pool *pool, struct err *err)
{
    const size_t row = CODEC_SPEED_COLS * sizeof(float);
    *c = (struct codec_speed){.kernels = k, .pool = pool, .rows = rows};
    c->weights = mem_alloc(rows, row);
    c->decoded = mem_alloc(rows, row);
    c->blocks = mem_alloc(rows, largest_row());
    if (!c->weights || !c->decoded || !c->blocks) {
        codec_speed_close(c);
        return err_set(err, ERR_MEMORY, "no memory for %zu rows of weights", rows);
    }
    fill(c->weights, rows);
    return true;
}

void codec_speed_close(struct codec_speed *c)
{
    free(c->weights);
    free(c->decoded);
    free(c->blocks);
    *c = (struct codec_speed){0};
}

struct work {
    const struct codec_speed *c;
    enum dtype_id type;
    size_t row_bytes;
};

static void encode(size_t row, int thread, void *arg)
{
    const struct work *w = arg;
    (void)thread;
    w->c->kernels->encode[w->type](w->c->blocks + row * w->row_bytes,
                                   w->c->weights + row * CODEC_SPEED_COLS, NULL, CODEC_SPEED_COLS);
}

static void decode(size_t row, int thread, void *arg)
{
    const struct work *w = arg;
    (void)thread;
    w->c->kernels->decode[w->type](w->c->decoded + row * CODEC_SPEED_COLS,
                                   w->c->blocks + row * w->row_bytes, CODEC_SPEED_COLS);
}

static bool time_of(void (*run)(size_t row, int thread, void *arg), struct work *w, double *rate,
                    struct err *err)
{
    double least = INFINITY;
    pool_for(w->c->pool, w->c->rows, run, w); /* warms up */
    for (int n = 0; n < RUNS; n++) {
        const double start = clock_seconds();
        if (!stop_check(err))
            return false;
        pool_for(w->c->pool, w->c->rows, run, w);
        least = fmin(least, clock_seconds() - start);
    }
    *rate = (double)(w->c->rows * CODEC_SPEED_COLS) / least;
    return true;
}

bool codec_speed_measure(struct codec_speed *c, enum dtype_id type, struct codec_rates *rates,
                         struct err *err)
{
    const struct dtype *d = dtype_get(type);
    struct work w = {c, type, CODEC_SPEED_COLS / d->block_elems * d->block_bytes};
    struct rng rng = {2};
    *rates = (struct codec_rates){0};
    if (c->kernels->encode[type]) {
        if (!time_of(encode, &w, &rates->encode, err))
            return false;
    } else {
        for (size_t i = 0; i < c->rows * w.row_bytes; i += sizeof(uint64_t)) {
            const uint64_t bits = rng_u64(&rng);
            memcpy(c->blocks + i, &bits, sizeof bits);
        }
    }
    return time_of(decode, &w, &rates->decode, err);
}

double codec_speed_bytes(enum dtype_id type)
{
    return sizeof(float) + dtype_bits(dtype_get(type)) / 8.0;
}
