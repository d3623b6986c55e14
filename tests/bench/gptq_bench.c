/* gptq_bench.c - what GPTQ costs at a number of columns: the factor of a Hessian, rows encoded with
 * it, and the most memory that was there.  Hessian and weights are made up; the factor's seconds are
 * of the clock and of the processors, those of rows are one thread's, per million weights.
 *
 *   gptq_bench TYPE THREADS ROWS COLUMNS...
 */
#include "calib/gptq.h"

#include "core/clock.h"
#include "core/cpu.h"
#include "core/mem.h"
#include "core/rng.h"
#include "core/triangle.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static double cpu_seconds(void) { return (double)clock() / CLOCKS_PER_SEC; }

/* Columns like their neighbours, of sizes that differ tenfold. */
static float *make_hessian(size_t n)
{
    struct rng rng = {n};
    float *upper = mem_alloc(triangle_row(n, n), sizeof *upper), *size = mem_alloc(n, sizeof *size);
    for (size_t i = 0; upper && size && i < n; i++)
        size[i] = expf(0.8f * rng_normal(&rng));
    for (size_t i = 0; upper && size && i < n; i++) {
        float near = 1.0f;
        for (size_t j = i; j < n; j++, near = 0.99f * near)
            upper[triangle_at(n, i, j)] = size[i] * size[j] * (near + (i == j ? 0.1f : 0.0f));
    }
    free(size);
    return upper;
}

static bool time_rows(const struct factor *f, const struct dtype *type, bool fast, size_t rows,
                      struct err *err)
{
    const struct gptq_options options = {.fast = fast, .cpu = cpu_features()};
    struct rng rng = {rows};
    struct kernels kernels;
    struct gptq g = {0};
    struct gptq_scratch scratch = {0};
    struct gptq_sums sums = {0};
    kernels_init(&kernels, options.cpu);
    float *w = mem_alloc(rows, f->cols * sizeof *w);
    for (size_t i = 0; w && i < rows * f->cols; i++)
        w[i] = 0.02f * rng_normal(&rng);
    const double start = cpu_seconds();
    bool ok = w && gptq_open(&g, f, type->id, &options, &kernels, err);
    const double opened = cpu_seconds();
    uint8_t *blocks = ok ? mem_alloc(rows, gptq_row_bytes(&g)) : NULL;
    ok = blocks && gptq_scratch_open(&scratch, &g, err);
    if (ok)
        gptq_rows(&g, w, rows, blocks, &scratch, &sums);
    if (ok)
        printf("  %s: opened in %.2f s, %.2f s/M, loss %.3f of plain rounding's\n",
               fast ? "fast" : "best", opened - start,
               (cpu_seconds() - opened) / ((double)(rows * f->cols) / 1e6),
               sums.loss / sums.rounding);
    gptq_scratch_close(&scratch);
    gptq_close(&g);
    free(blocks);
    free(w);
    return ok;
}

static bool time_columns(size_t cols, size_t rows, const struct dtype *type, struct pool *pool,
                         struct err *err)
{
    struct factor f = {0};
    struct rusage usage;
    float *upper = make_hessian(cols);
    const double wall = clock_seconds(), cpu = cpu_seconds();
    bool ok = upper && factor_open(&f, upper, cols, NULL, pool, err);
    const double wall_end = clock_seconds(), cpu_end = cpu_seconds();
    free(upper);
    getrusage(RUSAGE_SELF, &usage);
    if (ok)
        printf("%zu columns: factor %.2f s, %.2f s of processors; most memory %.0f MiB\n", cols,
               wall_end - wall, cpu_end - cpu, (double)usage.ru_maxrss / 1024.0);
    ok = ok && time_rows(&f, type, true, rows, err) && time_rows(&f, type, false, rows, err);
    factor_close(&f);
    return ok;
}

int main(int argc, char **argv)
{
    const struct dtype *type = argc > 4 ? dtype_find(argv[1]) : NULL;
    struct pool *pool = NULL;
    struct err err = {.text = "no memory"};
    if (!type) {
        fputs("usage: gptq_bench TYPE THREADS ROWS COLUMNS...\n", stderr);
        return 2;
    }
    bool ok = pool_open(&pool, atoi(argv[2]), &err);
    for (int i = 4; ok && i < argc; i++)
        ok = time_columns(strtoul(argv[i], NULL, 10), strtoul(argv[3], NULL, 10), type, pool, &err);
    if (!ok)
        fprintf(stderr, "gptq_bench: %s\n", err.text);
    pool_close(pool);
    return ok ? 0 : 1;
}
