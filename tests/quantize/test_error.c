/* The error sums, their figures, and the finite check. */
#include "core/cpu.h"
#include "quantize/error.h"
#include "quantize/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void near(double got, double expected)
{
    assert_true(fabs(got - expected) <= 1e-12 * fabs(expected));
}

static void figures_are_those_of_the_definition(void **state)
{
    (void)state;
    struct kernels k;
    kernels_init(&k, cpu_features());
    const float x[] = {1, 2, -3, 4, 0, 0, 0, 0, 10}, y[] = {1, 2.5f, -3, 3, 0, 0, 0, 0, 10};
    const float w[] = {1, 4, 1, 2, 1, 1, 1, 1, 4};
    struct error_sums sums = {0};
    k.add_error(&sums, x, y, w, 9);
    const struct error_figures f = error_figures(&sums);
    near(f.mse, 1.25 / 9);
    near(f.rmse, sqrt(1.25 / 9));
    near(f.snr_db, 10 * log10(130 / 1.25));
    near(f.max_abs, 1.0);
    near(f.cosine, 127.0 / sqrt(130 * 125.25));
    near(f.weighted_mse, 3.0 / 16);
    assert_int_equal(sums.count, 9);
}

static void an_exact_copy_has_infinite_snr_and_no_weighted_error(void **state)
{
    (void)state;
    struct kernels k;
    kernels_init(&k, cpu_features());
    const float x[] = {1, 2, 3};
    struct error_sums sums = {0};
    k.add_error(&sums, x, x, NULL, 3);
    const struct error_figures f = error_figures(&sums);
    assert_true(f.mse == 0.0 && f.max_abs == 0.0);
    assert_true(isinf(f.snr_db) && f.snr_db > 0);
    assert_true(f.cosine == 1.0);
    assert_true(isnan(f.weighted_mse));
}

static void nothing_is_at_a_right_angle_to_something(void **state)
{
    (void)state;
    struct kernels k;
    kernels_init(&k, cpu_features());
    const float x[] = {1, 2, 3}, none[] = {0, 0, 0}, across[] = {3, 0, -1};
    struct error_sums a = {0}, b = {0};
    k.add_error(&a, x, none, NULL, 3);
    k.add_error(&b, x, across, NULL, 3);
    assert_true(error_figures(&a).cosine == 0.0);
    assert_true(error_figures(&b).cosine == 0.0);
}

static void no_weights_have_no_error(void **state)
{
    (void)state;
    const struct error_sums sums = {0};
    assert_true(error_figures(&sums).mse == 0.0);
}

/* A stretch of numbers that are not alike, none exactly representable sums. */
static float *numbers(size_t n, uint32_t seed)
{
    float *x = malloc((n ? n : 1) * sizeof *x);
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = ldexpf((float)(int32_t)seed, -31 - (int)(seed >> 8 & 15));
    }
    return x;
}

static void scalar_and_fast_sums_are_the_same_bits(void **state)
{
    (void)state;
    struct kernels ref, fast;
    kernels_init(&ref, 0);
    kernels_init(&fast, cpu_features());
    for (size_t n = 0; n < 70; n++)
        for (int weighted = 0; weighted < 2; weighted++) {
            float *x = numbers(n, 1), *y = numbers(n, 2), *w = numbers(n, 3);
            struct error_sums a = {0}, b = {0};
            for (int row = 0; row < 3; row++) {
                ref.add_error(&a, x, y, weighted ? w : NULL, n);
                fast.add_error(&b, x, y, weighted ? w : NULL, n);
            }
            assert_memory_equal(&a, &b, sizeof a);
            free(x);
            free(y);
            free(w);
        }
}

static void merging_adds_every_sum(void **state)
{
    (void)state;
    struct kernels k;
    kernels_init(&k, 0);
    float *x = numbers(64, 5), *y = numbers(64, 6), *w = numbers(64, 7);
    for (int i = 0; i < 64; i++)
        w[i] = fabsf(w[i]);
    struct error_sums all = {0}, first = {0}, second = {0};
    k.add_error(&all, x, y, w, 64);
    k.add_error(&first, x, y, w, 40);
    k.add_error(&second, x + 40, y + 40, w + 40, 24);
    error_merge(&first, &second);
    const struct error_figures a = error_figures(&all), b = error_figures(&first);
    near(b.mse, a.mse);
    near(b.weighted_mse, a.weighted_mse);
    near(b.snr_db, a.snr_db);
    near(b.cosine, a.cosine);
    assert_true(a.max_abs == b.max_abs);
    assert_int_equal(first.count, 64);
    free(x);
    free(y);
    free(w);
}

static void the_first_nonfinite_is_found_wherever_it_is(void **state)
{
    (void)state;
    struct kernels ref, fast;
    kernels_init(&ref, 0);
    kernels_init(&fast, cpu_features());
    for (size_t n = 0; n < 50; n++) {
        float *x = numbers(n, 9);
        if (n > 2)
            x[1] = 3.4e38f;
        assert_int_equal(ref.find_nonfinite(x, n), n);
        assert_int_equal(fast.find_nonfinite(x, n), n);
        for (size_t at = 0; at < n; at++) {
            const float kept = x[at], last = x[n - 1];
            x[n - 1] = NAN;
            x[at] = at % 2 ? -INFINITY : NAN;
            assert_int_equal(ref.find_nonfinite(x, n), at);
            assert_int_equal(fast.find_nonfinite(x, n), at);
            x[n - 1] = last;
            x[at] = kept;
        }
        free(x);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(figures_are_those_of_the_definition),
        cmocka_unit_test(an_exact_copy_has_infinite_snr_and_no_weighted_error),
        cmocka_unit_test(nothing_is_at_a_right_angle_to_something),
        cmocka_unit_test(no_weights_have_no_error),
        cmocka_unit_test(scalar_and_fast_sums_are_the_same_bits),
        cmocka_unit_test(merging_adds_every_sum),
        cmocka_unit_test(the_first_nonfinite_is_found_wherever_it_is),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
