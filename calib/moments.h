/* moments.h - sums over the inputs of a linear: x_j^2 of each column, and x x'.
 *
 * Inputs come in pieces of some hundred tokens.  A piece's products are summed in f32 by BLAS, tile by
 * tile, and added to the triangle in f64; squares are summed in f64 throughout and replace the
 * triangle's diagonal.  The sums depend on the pieces and their order, not on the pool.
 *
 * Memory: 4 cols (cols + 1) bytes, and a tile a thread.
 */
#ifndef CALIB_MOMENTS_H
#define CALIB_MOMENTS_H

#include "core/err.h"
#include "core/pool.h"
#include "formats/calib_store.h"

struct moments {
    struct pool *pool;
    size_t cols;
    uint64_t tokens;
    double *square;     /* cols */
    double *upper;      /* the triangle, row by row; NULL: squares alone */
    float *product;     /* a tile a thread */
    const float *scale; /* cols: what means are of is x times these; the caller's; NULL: x */
};

/* Bytes that moments_open takes. */
size_t moments_bytes(size_t cols, bool products, int threads);

/* Fails with ERR_MEMORY. */
bool moments_open(struct moments *m, size_t cols, bool products, struct pool *pool,
                  struct err *err);
void moments_close(struct moments *m);

/* Adds x (tokens x cols).  Fails with ERR_NUMERIC (the first column whose sum is not finite). */
bool moments_add(struct moments *m, const float *x, size_t tokens, struct err *err);

/* The means of squares (cols floats), and for a writer the triangle's means. */
void moments_mean_square(const struct moments *m, float *mean);
struct calib_hessian moments_hessian(struct moments *m);

#endif
