/* dot_bench.c - how fast a weight is multiplied, beside how fast this machine reads and how much
 * it multiplies.
 *
 *   dot_bench [THREADS] [MEGABYTES]
 *
 * Generation: one x, weights streamed from memory: GB/s, and the share of a plain sum of an array.
 * Prompt: 512 x: billions of multiply-adds a second.  Both the best of several runs by wall clock;
 * on a shared machine also by the processor's time: (a second of one thread). */
#include "core/cpu.h"
#include "core/mem.h"
#include "core/pool.h"
#include "core/rng.h"
#include "quantize/dot.h"
#include "quantize/dot_laid.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum { RUNS = 7, COLS = 2048, PROMPT = 512, PROMPT_ROWS = 2048, COPIES = 256 };
enum { TILE = 64, STREAM = 1024 }; /* rows multiplied at a time, and with one x */

struct bench {
    struct pool *pool;
    const struct dot_kernels *k;
    struct dot_weight w;
    size_t rows, vectors;
    void *x;
    float *y;
    uint8_t *scratch;
    size_t scratch_bytes;
    const uint64_t *array; /* for the sum */
    uint64_t sums[COPIES];
};

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

struct speed {
    double wall, cpu; /* units a second, and a second of one thread's time */
};

static struct speed measure(struct bench *b, size_t items, void (*work)(size_t, int, void *),
                            double units)
{
    struct speed best = {0};
    for (int run = 0; run < RUNS; run++) {
        const double wall = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
        pool_for(b->pool, items, work, b);
        const double dw = now(CLOCK_MONOTONIC) - wall, dc = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
        best.wall = fmax(best.wall, units / dw);
        best.cpu = fmax(best.cpu, units / dc);
    }
    return best;
}

/* Sixteen sums, so that reading is all that is waited for. */
static void sum_array(size_t item, int thread, void *arg)
{
    struct bench *b = arg;
    const size_t words = b->rows * b->w.row_bytes / 8 / COPIES;
    const uint64_t *p = b->array + item * words;
    uint64_t s[16] = {0};
    (void)thread;
    for (size_t i = 0; i + 16 <= words; i += 16)
        for (size_t j = 0; j < 16; j++)
            s[j] += p[i + j];
    for (size_t j = 0; j < 16; j++)
        b->sums[item] += s[j];
}

static size_t tile_rows(const struct bench *b) { return b->vectors == 1 ? STREAM : TILE; }

static void multiply(size_t item, int thread, void *arg)
{
    struct bench *b = arg;
    const size_t rows = tile_rows(b), first = item * rows, left = b->rows - first;
    dot_multiply(b->k, &b->w, first, left < rows ? left : rows, b->x, b->vectors, b->y, b->rows,
                 b->scratch + (size_t)thread * b->scratch_bytes);
}

/* Random codes under harmless scales: rows of encoded normal numbers, again and again; laid out where
 * the kernels like it. */
static bool fill(struct bench *b, uint8_t *data, enum dtype_id type, size_t bytes)
{
    const struct dtype *t = dtype_get(type);
    const size_t row_bytes = COLS / t->block_elems * t->block_bytes;
    struct rng rng = {1};
    float x[COLS];
    for (size_t i = 0; i < COLS; i++)
        x[i] = rng_normal(&rng);
    if (!b->k->codecs->encode[type])
        return false;
    const bool laid = dot_laid_bytes(b->k, type, 1, COLS) > 0;
    uint8_t row[COLS * sizeof(float)];
    b->rows = bytes / row_bytes / TILE * TILE;
    b->w = (struct dot_weight){type, data, row_bytes, COLS, laid};
    b->k->codecs->encode[type](row, x, NULL, COLS);
    for (size_t i = 0; i < b->rows; i += laid ? LAID_ROWS : 1)
        if (laid)
            laid_write(data + i * row_bytes, type, row, 0, LAID_ROWS, COLS);
        else
            memcpy(data + i * row_bytes, row, row_bytes);
    return true;
}

static bool fill_x(struct bench *b, size_t vectors)
{
    const enum dot_form form = dot_form(b->w.type);
    const size_t bytes = dot_input_bytes(form, COLS);
    struct rng rng = {2};
    float x[COLS];
    b->vectors = vectors;
    free(b->x);
    free(b->y);
    b->x = mem_alloc(vectors, bytes);
    b->y = mem_alloc(vectors, b->rows * sizeof *b->y);
    for (size_t v = 0; b->x && v < vectors; v++) {
        for (size_t i = 0; i < COLS; i++)
            x[i] = rng_normal(&rng);
        dot_quantize(b->k, form, (uint8_t *)b->x + v * bytes, x, COLS);
    }
    return b->x && b->y;
}

static void generation(struct bench *b, uint8_t *data, size_t bytes)
{
    b->rows = 1;
    b->w.row_bytes = bytes;
    b->array = (const uint64_t *)(const void *)data;
    const struct speed sum = measure(b, COPIES, sum_array, (double)bytes * 1e-9);
    printf("generation, %s, %zu MB     GB/s  of reading  GB/s a thread's second\n", b->k->name,
           bytes >> 20);
    printf("  %-8s %25.2f %11s %14.2f\n", "reading", sum.wall, "", sum.cpu);
    for (int type = 0; type < DTYPE_COUNT; type++) {
        if (!fill(b, data, (enum dtype_id)type, bytes) || !fill_x(b, 1))
            continue;
        const struct speed s = measure(b, (b->rows + STREAM - 1) / STREAM, multiply,
                                       (double)(b->rows * b->w.row_bytes) * 1e-9);
        printf("  %-8s %25.2f %10.0f%% %14.2f\n", dtype_get((enum dtype_id)type)->name, s.wall,
               100.0 * s.wall / sum.wall, s.cpu);
        fflush(stdout);
    }
}

static void prompt(struct bench *b, uint8_t *data, size_t vectors)
{
    printf("%zu x, %s             1e9 multiply-adds/s   a thread's second\n", vectors, b->k->name);
    for (int type = 0; type < DTYPE_COUNT; type++) {
        const size_t row_bytes = COLS / dtype_get((enum dtype_id)type)->block_elems *
                                 dtype_get((enum dtype_id)type)->block_bytes;
        if (!fill(b, data, (enum dtype_id)type, PROMPT_ROWS * row_bytes) || !fill_x(b, vectors))
            continue;
        const struct speed s =
            measure(b, PROMPT_ROWS / TILE, multiply, 1e-9 * PROMPT_ROWS * COLS * (double)vectors);
        printf("  %-8s %25.1f %20.1f\n", dtype_get((enum dtype_id)type)->name, s.wall, s.cpu);
        fflush(stdout);
    }
}

int main(int argc, char **argv)
{
    const int threads = argc > 1 ? atoi(argv[1]) : 2;
    const size_t bytes = (size_t)(argc > 2 ? atoi(argv[2]) : 192) << 20;
    const size_t least = (size_t)PROMPT_ROWS * COLS * sizeof(float);
    struct kernels codecs;
    struct dot_kernels k;
    struct bench b = {.k = &k, .scratch_bytes = dot_scratch_bytes(COLS)};
    struct err err;
    kernels_init(&codecs, cpu_features());
    dot_init(&k, &codecs, cpu_features());
    uint8_t *data = mem_alloc_large(bytes > least ? bytes : least, 1);
    b.scratch = mem_alloc((size_t)threads, b.scratch_bytes);
    if (!data || !b.scratch || !pool_open(&b.pool, threads, &err))
        return 1;
    memset(data, 1, bytes);
    generation(&b, data, bytes);
    prompt(&b, data, PROMPT);
    for (size_t vectors = 2; vectors <= 16; vectors *= 2)
        prompt(&b, data, vectors);
    pool_close(b.pool);
    free(data);
    free(b.scratch);
    free(b.x);
    free(b.y);
    return 0;
}
