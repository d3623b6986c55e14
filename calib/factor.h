/* factor.h - the Hessian of a group of linears, damped, and the factor of its inverse.
 *
 * H is the mean of x x' over the inputs x of a linear, divided by its mean diagonal, so that
 * nothing below depends on its size; H^-1 = U' U, U upper triangular, computed in f64
 * (calib/cholesky.h).
 * Both are kept as f32 in panels of FACTOR_PANEL columns, the shape in which products run through
 * them: row j of panel p holds H[j][16 p .. 16 p + 15].  Columns past the last are those of the
 * identity.  Read-only once open: any number of tensors and threads share it.
 */
#ifndef CALIB_FACTOR_H
#define CALIB_FACTOR_H

#include "core/err.h"
#include "core/pool.h"

#include <stdbool.h>
#include <stddef.h>

enum { FACTOR_PANEL = 16 };

struct factor_options {
    double damp;  /* added to the diagonal, in units of its mean; 0: FACTOR_DAMP */
    double ridge; /* more of the same, for a tensor that serves two ends (a tied embedding) */
};

#define FACTOR_DAMP  0.1
#define FACTOR_RIDGE 0.3 /* of a tied embedding */

struct factor {
    size_t cols, padded; /* padded: to whole panels */
    float *h;            /* padded / 16 panels of padded rows */
    float *u;            /* panel p has rows 0 .. 16 p + 15 alone: factor_u() */
    float *diagonal;     /* of H: padded; the importance that plain rounding takes */
    double mean;         /* of the diagonal as it was given */
    double damp;         /* in the end, ridge included */
    unsigned retries;    /* steps of the damping ladder: each ten times the one before */
    size_t dead;         /* columns that were never anything but zero */
};

/* upper: the packed upper triangle, row by row, cols (cols + 1) / 2 numbers; not needed later.
 * Where H is not positive definite, damping is raised up to six times.  Fails with ERR_MEMORY,
 * ERR_STOPPED, or ERR_NUMERIC: a number is not finite, a diagonal negative, or no damping helps.
 * Takes 6 cols^2 bytes, at no time more, and 2/3 cols^3 operations; numbers do not depend on the
 * pool.  Sets OpenBLAS to one thread (calib/cholesky.h). */
bool factor_open(struct factor *f, const float *upper, size_t cols, const struct factor_options *o,
                 struct pool *pool, struct err *err);

/* Seconds of a core that it takes, about: for a progress alone. */
static inline double factor_seconds(size_t cols)
{
    return 2e-11 * (double)cols * (double)cols * (double)cols;
}

/* A zeroed or closed factor is allowed. */
void factor_close(struct factor *f);

/* Panel p of H, padded rows, and of U, 16 (p + 1) rows. */
static inline const float *factor_h(const struct factor *f, size_t panel)
{
    return f->h + panel * FACTOR_PANEL * f->padded;
}

static inline const float *factor_u(const struct factor *f, size_t panel)
{
    return f->u + FACTOR_PANEL * FACTOR_PANEL * (panel * (panel + 1) / 2);
}

/* H[row][col]; U[row][col] for row <= col. */
static inline float factor_h_at(const struct factor *f, size_t row, size_t col)
{
    return factor_h(f, col / FACTOR_PANEL)[row * FACTOR_PANEL + col % FACTOR_PANEL];
}

static inline float factor_u_at(const struct factor *f, size_t row, size_t col)
{
    return factor_u(f, col / FACTOR_PANEL)[row * FACTOR_PANEL + col % FACTOR_PANEL];
}

/* For small ones: turns the symmetric n x n `a` (its lower triangle counts) into the upper U with
 * a^-1 = U' U, row-major, zeros below.  False where a is not positive definite. */
bool factor_small(double *a, size_t n);

#endif
