/* hessians.h - Hessians of made-up inputs for the tests: correlated columns of unequal size, some
 * of them never used. */
#ifndef TESTS_HESSIANS_H
#define TESTS_HESSIANS_H

#include "../quantize/sample_weights.h"
#include "calib/factor.h"
#include "core/triangle.h"

#include <math.h>
#include <stdlib.h>

/* The mean of x x' over `tokens` inputs: an autoregressive walk over the columns, a few common
 * directions, sizes that differ tenfold.  Every dead-th column is zero (0: none). */
static inline float *hessian_make(size_t n, size_t tokens, size_t dead, uint64_t seed)
{
    struct seed s = {seed};
    float *upper = calloc(n * (n + 1) / 2, sizeof *upper);
    float *x = malloc(n * sizeof *x), *size = malloc(n * sizeof *size);
    float *common = malloc(4 * n * sizeof *common);
    for (size_t j = 0; j < n; j++)
        size[j] = dead && j % dead == 0 ? 0.0f : (float)exp(0.8 * seed_normal(&s));
    for (size_t j = 0; j < 4 * n; j++)
        common[j] = (float)seed_normal(&s);
    for (size_t t = 0; t < tokens; t++) {
        double walk = seed_normal(&s), z[4];
        for (int k = 0; k < 4; k++)
            z[k] = seed_normal(&s);
        for (size_t j = 0; j < n; j++) {
            walk = 0.8 * walk + 0.6 * seed_normal(&s);
            double v = walk;
            for (size_t k = 0; k < 4; k++)
                v += 0.7 * z[k] * (double)common[k * n + j];
            x[j] = size[j] * (float)v;
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = i; j < n; j++)
                upper[triangle_at(n, i, j)] += x[i] * x[j] / (float)tokens;
    }
    free(x);
    free(size);
    free(common);
    return upper;
}

/* factor_open, with a pool for the time being. */
static inline bool hessian_factor(struct factor *f, const float *upper, size_t cols,
                                  const struct factor_options *o, struct err *err)
{
    struct pool *pool;
    const bool ok = pool_open(&pool, 2, err) && factor_open(f, upper, cols, o, pool, err);
    pool_close(pool);
    return ok;
}

#endif
