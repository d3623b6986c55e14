#include "calib/factor.h"

#include "calib/cholesky.h"
#include "core/mem.h"
#include "core/stop.h"
#include "core/triangle.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RETRIES_MAX = 6, RETRY_FACTOR = 10 };

/* H = R R' with R upper gives H^-1 = U' U with U = R^-1, without forming the inverse.  R is the
 * Cholesky factor L of H with rows and columns in reverse order, itself reversed: (i, j) of U is
 * (n-1-i, n-1-j) of L^-1.  LAPACK counts by columns. */
static size_t reversed(size_t i, size_t j, size_t n) { return (n - 1 - j) * n + (n - 1 - i); }

bool factor_small(double *a, size_t n)
{
    double *r = mem_alloc(n * n, sizeof *r);
    const lapack_int order = (lapack_int)n;
    if (!r)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            r[reversed(i, j, n)] = a[j * n + i];
    const bool ok = LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', order, r, order) == 0 &&
                    LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'L', 'N', order, r, order) == 0;
    memset(a, 0, n * n * sizeof *a);
    for (size_t i = 0; ok && i < n; i++)
        for (size_t j = i; j < n; j++)
            a[i * n + j] = r[reversed(i, j, n)];
    free(r);
    return ok;
}

/* Checks the numbers and takes the measure of the diagonal. */
static bool measure(struct factor *f, const float *upper, struct err *err)
{
    const float *at = upper;
    double sum = 0.0;
    for (size_t i = 0; i < f->cols; i++, at += f->cols - i + 1) {
        if (at[0] < 0.0f)
            return err_set(err, ERR_NUMERIC, "the Hessian's diagonal is negative in column %zu", i);
        for (size_t j = 0; j < f->cols - i; j++)
            if (!isfinite(at[j]))
                return err_set(err, ERR_NUMERIC, "the Hessian is not finite in row %zu, column %zu",
                               i, i + j);
        f->dead += at[0] == 0.0f;
        sum += (double)at[0];
    }
    f->mean = sum / (double)f->cols;
    return true;
}

/* One Hessian on its way. */
struct work {
    struct factor *f;
    const float *upper;
    double unit; /* 1 / mean */
    struct cholesky reversed;
};

/* H at (i, j): divided by the mean, damped. */
static float value(const struct work *w, size_t i, size_t j)
{
    return (float)(w->upper[triangle_at(w->f->cols, i, j)] * w->unit + (i == j ? w->f->damp : 0.0));
}

static void reverse_row(size_t i, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t last = w->f->cols - 1;
    (void)thread;
    for (size_t j = i; j <= last; j++)
        *cholesky_at(&w->reversed, last - i, last - j) = (double)value(w, i, j);
}

/* Columns past the last are those of the identity. */
static void take_u(size_t p, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t cols = w->f->cols, rows = FACTOR_PANEL * (p + 1);
    float *u = w->f->u + (factor_u(w->f, p) - w->f->u);
    (void)thread;
    for (size_t i = 0; i < rows; i++)
        for (size_t c = 0; c < FACTOR_PANEL; c++) {
            const size_t j = FACTOR_PANEL * p + c;
            *u++ = j >= cols ? (float)(i == j)
                   : i > j   ? 0.0f
                             : (float)*cholesky_at(&w->reversed, cols - 1 - i, cols - 1 - j);
        }
}

static void take_h(size_t p, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t cols = w->f->cols;
    float *h = w->f->h + FACTOR_PANEL * p * w->f->padded;
    (void)thread;
    for (size_t i = 0; i < w->f->padded; i++)
        for (size_t c = 0; c < FACTOR_PANEL; c++) {
            const size_t j = FACTOR_PANEL * p + c;
            *h++ = i < cols && j < cols ? value(w, i, j) : (float)(i == j);
        }
}

static bool is_finite(const float *x, size_t n)
{
    while (n > 0 && isfinite(x[n - 1]))
        n--;
    return n == 0;
}

/* U, and the damping that it took. */
static bool solve(struct work *w, double damp, double ridge, struct pool *pool, struct err *err)
{
    struct factor *f = w->f;
    const size_t panels = f->padded / FACTOR_PANEL;
    for (; f->retries <= RETRIES_MAX; f->retries++, damp *= RETRY_FACTOR) {
        f->damp = damp + ridge + (f->mean > 0.0 ? 0.0 : 1.0);
        if (!stop_check(err))
            return false;
        pool_for(pool, f->cols, reverse_row, w);
        if (!cholesky_invert(&w->reversed, pool))
            continue;
        pool_for(pool, panels, take_u, w);
        if (is_finite(f->u, (size_t)(factor_u(f, panels) - f->u)))
            return true;
    }
    return err_set(err, ERR_NUMERIC,
                   "the Hessian of %zu columns is not positive definite, not even with %g of its "
                   "mean diagonal added",
                   f->cols, f->damp);
}

/* H comes when the work is done and its memory given back: the two are the largest. */
static bool make(struct work *w, double damp, double ridge, struct pool *pool, struct err *err)
{
    struct factor *f = w->f;
    const size_t panels = f->padded / FACTOR_PANEL;
    const bool room =
        cholesky_open(&w->reversed, f->cols) &&
        (f->u = mem_alloc(panels * (panels + 1) / 2, sizeof(float) * FACTOR_PANEL * FACTOR_PANEL));
    const bool solved = room && solve(w, damp, ridge, pool, err);
    cholesky_close(&w->reversed);
    if (room && !solved)
        return false;
    if (!room || !(f->h = mem_alloc(f->padded, f->padded * sizeof *f->h)) ||
        !(f->diagonal = mem_alloc(f->padded, sizeof *f->diagonal)))
        return err_set(err, ERR_MEMORY, "a Hessian of %zu columns", f->cols);
    pool_for(pool, panels, take_h, w);
    for (size_t i = 0; i < f->padded; i++)
        f->diagonal[i] = factor_h_at(f, i, i);
    return true;
}

bool factor_open(struct factor *f, const float *upper, size_t cols, const struct factor_options *o,
                 struct pool *pool, struct err *err)
{
    *f = (struct factor){.cols = cols};
    f->padded = (cols + FACTOR_PANEL - 1) / FACTOR_PANEL * FACTOR_PANEL;
    const double damp = o && o->damp > 0.0 ? o->damp : FACTOR_DAMP, ridge = o ? o->ridge : 0.0;
    if (!measure(f, upper, err))
        return false;
    struct work w = {.f = f, .upper = upper, .unit = f->mean > 0.0 ? 1.0 / f->mean : 0.0};
    if (make(&w, damp, ridge, pool, err))
        return true;
    factor_close(f);
    return false;
}

void factor_close(struct factor *f)
{
    free(f->h);
    free(f->u);
    free(f->diagonal);
    *f = (struct factor){0};
}
