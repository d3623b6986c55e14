/* Sums of inputs beside sums in f64, for any number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "calib/moments.h"
#include "core/mem.h"
#include "core/rng.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { PIECES = 3, TOKENS = 70 };

/* Columns that are correlated, of unequal size, and one that is always 0. */
static float *inputs(size_t cols)
{
    struct rng r = {7};
    float *x = mem_alloc(PIECES * TOKENS * cols, sizeof *x);
    assert_non_null(x);
    for (size_t t = 0; t < PIECES * TOKENS; t++) {
        const float common = rng_normal(&r);
        for (size_t c = 0; c < cols; c++)
            x[t * cols + c] =
                c == 1 ? 0.0f : (common + rng_normal(&r)) * expf(4.0f * sinf((float)c));
    }
    return x;
}

static float *triangle_of(struct moments *m, size_t *values)
{
    struct err err = {0};
    assert_true(calib_triangle(m->cols, values));
    float *upper = mem_alloc(*values, sizeof *upper);
    const struct calib_hessian h = moments_hessian(m);
    for (size_t first = 0; first < *values; first += 1000) { /* in pieces, as a writer asks */
        const size_t left = *values - first, count = left < 1000 ? left : 1000;
        assert_true(h.values(h.arg, 0, first, count, upper + first, &err));
    }
    return upper;
}

static void open_with(struct moments *m, size_t cols, int threads, bool products)
{
    struct err err = {0};
    struct pool *pool;
    assert_true(pool_open(&pool, threads, &err));
    assert_true(moments_open(m, cols, products, pool, &err));
}

static void close_with(struct moments *m)
{
    struct pool *pool = m->pool;
    moments_close(m);
    pool_close(pool);
}

static void add_all(struct moments *m, const float *x)
{
    struct err err = {0};
    for (size_t p = 0; p < PIECES; p++)
        assert_true(moments_add(m, x + p * TOKENS * m->cols, TOKENS, &err));
    assert_int_equal(m->tokens, PIECES * TOKENS);
}

static void equals_f64(size_t cols)
{
    struct moments m;
    size_t values, at = 0;
    float *x = inputs(cols);
    open_with(&m, cols, 2, true);
    add_all(&m, x);
    float *upper = triangle_of(&m, &values);
    float *mean = mem_alloc(cols, sizeof *mean);
    moments_mean_square(&m, mean);
    double error = 0, size = 0;
    for (size_t i = 0; i < cols; i++)
        for (size_t j = i; j < cols; j++, at++) {
            double sum = 0;
            for (size_t t = 0; t < PIECES * TOKENS; t++)
                sum += (double)x[t * cols + i] * (double)x[t * cols + j];
            sum /= PIECES * TOKENS;
            error += (upper[at] - sum) * (upper[at] - sum);
            size += sum * sum;
            if (i == j) {
                assert_true(fabs(upper[at] - sum) <= 6e-8 * sum);
                assert_true(upper[at] == mean[i]);
            }
        }
    assert_int_equal(at, values);
    assert_true(sqrt(error / size) < 3e-7);
    assert_true(mean[1] == 0.0f || cols < 2);
    free(x);
    free(upper);
    free(mean);
    close_with(&m);
}

static void sums_equal_those_in_f64(void **state)
{
    (void)state;
    equals_f64(1);
    equals_f64(5);
    equals_f64(192);
    equals_f64(193);
    equals_f64(450);
}

static void threads_change_nothing(void **state)
{
    (void)state;
    const int threads[] = {1, 2, 5};
    const size_t cols = 450;
    float *x = inputs(cols), *first = NULL;
    for (size_t t = 0; t < 3; t++) {
        struct moments m;
        size_t values;
        open_with(&m, cols, threads[t], true);
        add_all(&m, x);
        float *upper = triangle_of(&m, &values);
        if (first) {
            assert_memory_equal(first, upper, values * sizeof *upper);
            free(upper);
        } else {
            first = upper;
        }
        close_with(&m);
    }
    free(first);
    free(x);
}

static void squares_alone_are_the_same_squares(void **state)
{
    (void)state;
    float *x = inputs(100), whole[100], alone[100];
    struct moments a, b;
    open_with(&a, 100, 2, true);
    open_with(&b, 100, 2, false);
    add_all(&a, x);
    add_all(&b, x);
    moments_mean_square(&a, whole);
    moments_mean_square(&b, alone);
    assert_memory_equal(whole, alone, sizeof whole);
    assert_null(b.upper);
    close_with(&a);
    close_with(&b);
    free(x);
}

static void what_is_not_finite_is_named(void **state)
{
    (void)state;
    const float bad[] = {NAN, INFINITY, -INFINITY};
    for (size_t i = 0; i < 3; i++) {
        struct err err = {0};
        struct moments m;
        float *x = inputs(30);
        x[5 * 30 + 17] = bad[i];
        open_with(&m, 30, 1, true);
        assert_false(moments_add(&m, x, TOKENS, &err));
        assert_int_equal(err.code, ERR_NUMERIC);
        assert_non_null(strstr(err.text, "column 17"));
        close_with(&m);
        free(x);
    }
}

int main(void)
{
    openblas_set_num_threads(1); /* as whoever runs a model does */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sums_equal_those_in_f64),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(squares_alone_are_the_same_squares),
        cmocka_unit_test(what_is_not_finite_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
