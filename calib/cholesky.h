/* cholesky.h - the inverse of the Cholesky factor of a large matrix, in place, over a pool.
 *
 * A symmetric positive definite, A = L L': what is kept of A is its lower triangle, in square tiles of
 * CHOLESKY_TILE, f64, and L^-1 takes its place.  LAPACK and BLAS work within tiles, in one thread each;
 * tiles are the items of the pool and follow from n alone, and what is summed up in one comes in a
 * stated order, so numbers do not depend on the pool.  2/3 n^3 operations, 4 n^2 bytes.
 */
#ifndef CALIB_CHOLESKY_H
#define CALIB_CHOLESKY_H

#include "core/pool.h"

#include <stdbool.h>
#include <stddef.h>

enum { CHOLESKY_TILE = 192 };

struct cholesky {
    size_t n;
    double *tile; /* row of tiles after row of tiles: 1, 2, 3, ... */
};

/* All zeros.  False where there is no memory. */
bool cholesky_open(struct cholesky *c, size_t n);
void cholesky_close(struct cholesky *c);

/* (row, col), col <= row.  Those to its left and right within the tile lie beside it. */
static inline double *cholesky_at(const struct cholesky *c, size_t row, size_t col)
{
    const size_t t = CHOLESKY_TILE, i = row / t, j = col / t;
    return c->tile + (i * (i + 1) / 2 + j) * t * t + row % t * t + col % t;
}

/* A becomes L^-1.  False where A is not positive definite, and where the work is to be stopped
 * (core/stop.h): numbers are then of no use.  Sets OpenBLAS to one thread, for the whole process
 * (model/linear.h). */
bool cholesky_invert(struct cholesky *c, struct pool *pool);

#endif
