#include "calib/cholesky.h"

#include "../quantize/sample_weights.h"
#include "core/mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <lapacke.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Below, across and above the edges of tiles. */
static const size_t sizes[] = {1,   16, CHOLESKY_TILE - 1, CHOLESKY_TILE, CHOLESKY_TILE + 1,
                               450, 600};
enum { SIZES = sizeof sizes / sizeof *sizes };

/* n x n, row-major: columns like their neighbours, of sizes that differ tenfold. */
static double *make(size_t n)
{
    struct seed s = {n};
    double *a = mem_alloc(n, n * sizeof *a), *size = mem_alloc(n, sizeof *size);
    for (size_t i = 0; i < n; i++)
        size[i] = exp(0.8 * seed_normal(&s));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            a[i * n + j] = a[j * n + i] =
                size[i] * size[j] * (pow(0.95, (double)(i - j)) + (i == j ? 0.1 : 0.0));
    free(size);
    return a;
}

/* L^-1 by tiles; false where `a` is not positive definite. */
static bool invert(struct cholesky *c, const double *a, size_t n, int threads)
{
    struct pool *pool;
    assert_true(pool_open(&pool, threads, NULL));
    assert_true(cholesky_open(c, n));
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            *cholesky_at(c, i, j) = a[i * n + j];
    const bool ok = cholesky_invert(c, pool);
    pool_close(pool);
    return ok;
}

static void agrees_with_lapack(void **state)
{
    (void)state;
    for (size_t s = 0; s < SIZES; s++) {
        const size_t n = sizes[s];
        const lapack_int order = (lapack_int)n;
        double *a = make(n), largest = 0.0, worst = 0.0;
        struct cholesky c;
        assert_true(invert(&c, a, n, 2));
        assert_int_equal(LAPACKE_dpotrf(LAPACK_ROW_MAJOR, 'L', order, a, order), 0);
        assert_int_equal(LAPACKE_dtrtri(LAPACK_ROW_MAJOR, 'L', 'N', order, a, order), 0);
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j <= i; j++) {
                largest = fmax(largest, fabs(a[i * n + j]));
                worst = fmax(worst, fabs(a[i * n + j] - *cholesky_at(&c, i, j)));
            }
        assert_true(worst <= 1e-12 * largest);
        cholesky_close(&c);
        cholesky_close(&c);
        free(a);
    }
}

/* X A X' = 1 for X = L^-1, by sums that nobody optimized. */
static void is_the_inverse(void **state)
{
    (void)state;
    for (size_t s = 0; s < SIZES - 1; s++) {
        const size_t n = sizes[s];
        double *a = make(n), *xa = mem_alloc(n, n * sizeof *xa);
        struct cholesky c;
        assert_true(invert(&c, a, n, 2));
        for (size_t i = 0; i < n; i++)
            for (size_t k = 0; k <= i; k++)
                for (size_t j = 0; j < n; j++)
                    xa[i * n + j] += *cholesky_at(&c, i, k) * a[k * n + j];
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < n; j++) {
                double sum = i == j ? -1.0 : 0.0;
                for (size_t k = 0; k <= j; k++)
                    sum += xa[i * n + k] * *cholesky_at(&c, j, k);
                assert_true(fabs(sum) < 1e-11);
            }
        cholesky_close(&c);
        free(xa);
        free(a);
    }
}

static void same_bytes_for_any_pool(void **state)
{
    (void)state;
    enum { N = 600 };
    const int threads[] = {1, 2, 5};
    struct cholesky c[3];
    double *a = make(N);
    for (size_t t = 0; t < 3; t++)
        assert_true(invert(&c[t], a, N, threads[t]));
    for (size_t i = 0; i < N; i++)
        for (size_t j = 0; j <= i; j++)
            for (size_t t = 1; t < 3; t++)
                assert_memory_equal(cholesky_at(&c[0], i, j), cholesky_at(&c[t], i, j),
                                    sizeof(double));
    for (size_t t = 0; t < 3; t++)
        cholesky_close(&c[t]);
    free(a);
}

static void what_is_not_positive_definite_is_said(void **state)
{
    (void)state;
    const size_t at[] = {0, 100, CHOLESKY_TILE, 449};
    for (size_t i = 0; i < sizeof at / sizeof *at; i++) {
        double *a = make(450);
        struct cholesky c;
        a[at[i] * 451] *= -1.0;
        assert_false(invert(&c, a, 450, 2));
        cholesky_close(&c);
        free(a);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(agrees_with_lapack),
        cmocka_unit_test(is_the_inverse),
        cmocka_unit_test(same_bytes_for_any_pool),
        cmocka_unit_test(what_is_not_positive_definite_is_said),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
