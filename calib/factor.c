#include "calib/factor.h"

#include "core/mem.h"

#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

void openblas_set_num_threads(int threads);

enum { RETRIES_MAX = 6, RETRY_FACTOR = 10 };

/* H = R R' with R upper gives H^-1 = U' U with U = R^-1, without forming the inverse.  R is the
 * Cholesky factor of H with rows and columns in reverse order, itself reversed; so all is done on
 * the reversed matrix, whose lower triangle LAPACK's column-major view of `a` holds. */
static bool invert_reversed(double *a, size_t n)
{
    const lapack_int order = (lapack_int)n;
    return LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'L', order, a, order) == 0 &&
           LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'L', 'N', order, a, order) == 0;
}

/* Where (i, j), i <= j, of U is in what invert_reversed leaves: row n-1-i, column n-1-j. */
static size_t reversed(size_t i, size_t j, size_t n) { return (n - 1 - j) * n + (n - 1 - i); }

bool factor_small(double *a, size_t n)
{
    double *r = mem_alloc(n * n, sizeof *r);
    if (!r)
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = i; j < n; j++)
            r[reversed(i, j, n)] = a[j * n + i];
    const bool ok = invert_reversed(r, n);
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

/* H of the given triangle into panels: divided by the mean, damped. */
static void fill_panels(struct factor *f, const float *upper)
{
    const double unit = f->mean > 0.0 ? 1.0 / f->mean : 0.0;
    const float *at = upper;
    for (size_t i = 0; i < f->cols; i++)
        for (size_t j = i; j < f->cols; j++, at++) {
            const float v = (float)(*at * unit + (i == j ? f->damp : 0.0));
            f->h[j / FACTOR_PANEL * FACTOR_PANEL * f->padded + i * FACTOR_PANEL +
                 j % FACTOR_PANEL] = v;
            f->h[i / FACTOR_PANEL * FACTOR_PANEL * f->padded + j * FACTOR_PANEL +
                 i % FACTOR_PANEL] = v;
        }
    for (size_t i = f->cols; i < f->padded; i++)
        f->h[i / FACTOR_PANEL * FACTOR_PANEL * f->padded + i * FACTOR_PANEL + i % FACTOR_PANEL] =
            1.0f;
    for (size_t i = 0; i < f->padded; i++)
        f->diagonal[i] = factor_h_at(f, i, i);
}

/* U of H; a: room for padded x padded. */
static bool invert(struct factor *f, double *a)
{
    const size_t n = f->padded;
    for (size_t j = 0; j < n; j++)
        for (size_t i = 0; i <= j; i++)
            a[reversed(i, j, n)] = (double)factor_h_at(f, i, j);
    if (!invert_reversed(a, n))
        return false;
    for (size_t p = 0; p < n / FACTOR_PANEL; p++) {
        float *panel = f->u + (factor_u(f, p) - f->u);
        for (size_t i = 0; i < FACTOR_PANEL * (p + 1); i++)
            for (size_t c = 0; c < FACTOR_PANEL; c++) {
                const size_t j = FACTOR_PANEL * p + c;
                const float v = i <= j ? (float)a[reversed(i, j, n)] : 0.0f;
                if (!isfinite(v))
                    return false;
                panel[i * FACTOR_PANEL + c] = v;
            }
    }
    return true;
}

static bool solve(struct factor *f, const float *upper, double damp, double ridge, double *a,
                  struct err *err)
{
    for (; f->retries <= RETRIES_MAX; f->retries++, damp *= RETRY_FACTOR) {
        f->damp = damp + ridge + (f->mean > 0.0 ? 0.0 : 1.0);
        fill_panels(f, upper);
        if (invert(f, a))
            return true;
    }
    return err_set(err, ERR_NUMERIC,
                   "the Hessian of %zu columns is not positive definite, not even with %g of its "
                   "mean diagonal added",
                   f->cols, f->damp);
}

bool factor_open(struct factor *f, const float *upper, size_t cols, const struct factor_options *o,
                 struct err *err)
{
    *f = (struct factor){.cols = cols};
    f->padded = (cols + FACTOR_PANEL - 1) / FACTOR_PANEL * FACTOR_PANEL;
    const size_t n = f->padded, panels = n / FACTOR_PANEL;
    const double damp = o && o->damp > 0.0 ? o->damp : FACTOR_DAMP, ridge = o ? o->ridge : 0.0;
    if (!measure(f, upper, err))
        return false;
    size_t square = 0;
    double *a = NULL;
    bool ok = false;
    if (!size_mul(n, n, &square) || !(a = mem_alloc(square, sizeof *a)) ||
        !(f->h = mem_alloc(square, sizeof *f->h)) ||
        !(f->u =
              mem_alloc(panels * (panels + 1) / 2, sizeof(float) * FACTOR_PANEL * FACTOR_PANEL)) ||
        !(f->diagonal = mem_alloc(n, sizeof *f->diagonal))) {
        err_set(err, ERR_MEMORY, "a Hessian of %zu columns", cols);
        goto done;
    }
    openblas_set_num_threads(1);
    ok = solve(f, upper, damp, ridge, a, err);
done:
    free(a);
    if (!ok)
        factor_close(f);
    return ok;
}

void factor_close(struct factor *f)
{
    free(f->h);
    free(f->u);
    free(f->diagonal);
    *f = (struct factor){0};
}
