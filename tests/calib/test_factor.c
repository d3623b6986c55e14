#include "calib/factor.h"

#include "hessians.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

/* The largest |(U H U')[i][j] - (i == j)|: H^-1 = U' U says it is zero. */
static double distance_from_inverse(const struct factor *f)
{
    const size_t n = f->padded;
    double *uh = malloc(n * n * sizeof *uh), worst = 0.0;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t k = i; k < n; k++)
                sum += (double)factor_u_at(f, i, k) * (double)factor_h_at(f, k, j);
            uh[i * n + j] = sum;
        }
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = i == j ? -1.0 : 0.0;
            for (size_t k = j; k < n; k++)
                sum += uh[i * n + k] * (double)factor_u_at(f, j, k);
            worst = fmax(worst, fabs(sum));
        }
    free(uh);
    return worst;
}

static void factor_is_that_of_the_inverse(void **state)
{
    (void)state;
    const size_t sizes[] = {1, 15, 16, 64, 200};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        float *upper = hessian_make(sizes[i], 3 * sizes[i], 0, i);
        struct factor f;
        assert_true(hessian_factor(&f, upper, sizes[i], NULL, NULL));
        assert_true(distance_from_inverse(&f) < 1e-4);
        assert_int_equal(f.retries, 0);
        assert_int_equal(f.dead, 0);
        factor_close(&f);
        free(upper);
    }
}

static void hessian_is_kept_over_its_mean(void **state)
{
    (void)state;
    enum { N = 48 };
    float *upper = hessian_make(N, 100, 0, 5);
    double mean = 0.0;
    for (size_t i = 0; i < N; i++)
        mean += (double)upper[triangle_row(N, i)] / N;
    struct factor f;
    const struct factor_options options = {.damp = 0.02, .ridge = 0.3};
    assert_true(hessian_factor(&f, upper, N, &options, NULL));
    assert_true(fabs(f.mean / mean - 1.0) < 1e-6);
    assert_true(fabs(f.damp - 0.32) < 1e-12);
    for (size_t i = 0; i < N; i++)
        for (size_t j = i; j < N; j++) {
            const double h = (double)upper[triangle_at(N, i, j)] / mean + (i == j ? 0.32 : 0.0);
            assert_true(fabs((double)factor_h_at(&f, i, j) - h) < 1e-5);
            assert_true(factor_h_at(&f, i, j) == factor_h_at(&f, j, i));
        }
    factor_close(&f);
    factor_close(&f);
    free(upper);
}

/* Fewer inputs than columns, and numbers that no inputs give: damping goes up until it holds. */
static void damping_rises_where_it_must(void **state)
{
    (void)state;
    enum { N = 64 };
    float *upper = hessian_make(N, 20, 0, 6);
    struct factor f;
    assert_true(hessian_factor(&f, upper, N, NULL, NULL));
    assert_int_equal(f.retries, 0);
    assert_true(distance_from_inverse(&f) < 1e-2);
    factor_close(&f);
    const float big = upper[0] + upper[triangle_row(N, 1)];
    upper[1] = big; /* column 1 is not this much like column 0 */
    assert_true(hessian_factor(&f, upper, N, NULL, NULL));
    assert_true(f.retries > 0);
    assert_true(f.damp > 0.05);
    assert_true(distance_from_inverse(&f) < 1e-2);
    factor_close(&f);
    for (size_t j = 1; j < N; j++)
        upper[j] = 1e30f;
    struct err err = {0};
    assert_false(hessian_factor(&f, upper, N, NULL, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    free(upper);
}

static void dead_columns_are_counted(void **state)
{
    (void)state;
    float *upper = hessian_make(64, 200, 7, 7);
    struct factor f;
    assert_true(hessian_factor(&f, upper, 64, NULL, NULL));
    assert_int_equal(f.dead, 10);
    assert_true(distance_from_inverse(&f) < 1e-4);
    factor_close(&f);
    memset(upper, 0, 64 * 65 / 2 * sizeof *upper);
    assert_true(hessian_factor(&f, upper, 64, NULL, NULL));
    assert_int_equal(f.dead, 64);
    assert_true(factor_h_at(&f, 3, 3) > 0.0f && factor_h_at(&f, 3, 4) == 0.0f);
    factor_close(&f);
    free(upper);
}

static void bad_numbers_are_named(void **state)
{
    (void)state;
    float *upper = hessian_make(32, 64, 0, 8);
    const float kept = upper[triangle_at(32, 3, 7)];
    struct factor f;
    struct err err = {0};
    upper[triangle_at(32, 3, 7)] = NAN;
    assert_false(hessian_factor(&f, upper, 32, NULL, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.text, "row 3, column 7"));
    upper[triangle_at(32, 3, 7)] = kept;
    upper[triangle_row(32, 9)] = -1.0f;
    assert_false(hessian_factor(&f, upper, 32, NULL, &err));
    assert_non_null(strstr(err.text, "column 9"));
    free(upper);
}

static void small_ones_too(void **state)
{
    (void)state;
    enum { N = 32 };
    struct seed s = {9};
    double a[N * N] = {0}, u[N * N];
    for (int t = 0; t < 2 * N; t++) {
        double x[N];
        for (int i = 0; i < N; i++)
            x[i] = seed_normal(&s);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++)
                a[i * N + j] += x[i] * x[j];
    }
    memcpy(u, a, sizeof u);
    assert_true(factor_small(u, N));
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            double sum = 0.0; /* (U' U a)[i][j] */
            for (int k = 0; k < N; k++)
                for (int l = 0; l < N; l++)
                    sum += u[k * N + i] * u[k * N + l] * a[l * N + j];
            assert_true(fabs(sum - (i == j)) < 1e-9);
            assert_true(j >= i || u[i * N + j] == 0.0);
        }
    a[0] = -1.0;
    assert_false(factor_small(a, N));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(factor_is_that_of_the_inverse),
        cmocka_unit_test(hessian_is_kept_over_its_mean),
        cmocka_unit_test(damping_rises_where_it_must),
        cmocka_unit_test(dead_columns_are_counted),
        cmocka_unit_test(bad_numbers_are_named),
        cmocka_unit_test(small_ones_too),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
