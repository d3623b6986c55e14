/* Means, quantiles and their errors, and what is made of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rng.h"
#include "eval/divergence.h"
#include "eval/perplexity.h"

#include <math.h>
#include <stdlib.h>

static bool near(double a, double b, double within) { return fabs(a - b) <= within * fabs(b); }

static void a_mean_has_its_standard_error(void **state)
{
    (void)state;
    struct tally t = {0};
    assert_true(tally_mean(&t).value == 0.0);
    tally_add(&t, 5.0);
    assert_true(tally_mean(&t).value == 5.0 && tally_mean(&t).error == 0.0);
    for (int i = 1; i < 5; i++)
        tally_add(&t, 5.0 + i);
    assert_true(near(tally_mean(&t).value, 7.0, 1e-15));
    assert_true(near(tally_mean(&t).error, sqrt(2.0 / 4.0), 1e-12)); /* variance 2, n - 1 = 4 */
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Estimates from many samples scatter as their errors say. */
static void errors_are_what_estimates_scatter_by(void **state)
{
    (void)state;
    enum { SAMPLES = 400, SIZE = 500 };
    struct rng rng = {1};
    static const double part[] = {0.5, 0.9};
    for (int p = 0; p < 2; p++) {
        struct tally value = {0}, error = {0};
        for (int s = 0; s < SAMPLES; s++) {
            double x[SIZE];
            for (int i = 0; i < SIZE; i++)
                x[i] = exp((double)rng_normal(&rng));
            qsort(x, SIZE, sizeof x[0], compare);
            const struct estimate e = estimate_quantile(x, SIZE, part[p]);
            tally_add(&value, e.value);
            tally_add(&error, e.error);
        }
        const double scatter = tally_mean(&value).error * sqrt(SAMPLES);
        assert_true(near(tally_mean(&error).value, scatter, 0.15));
        const double want = p ? exp(1.2815515655446004) : 1.0;
        assert_true(fabs(tally_mean(&value).value - want) < 4.0 * tally_mean(&value).error + 0.01);
    }
}

static void quantiles_lie_between_values(void **state)
{
    (void)state;
    const double x[] = {1.0, 2.0, 4.0, 8.0, 16.0};
    assert_true(estimate_quantile(x, 5, 0.5).value == 4.0);
    assert_true(near(estimate_quantile(x, 5, 0.9).value, 12.8, 1e-12));
    assert_true(estimate_quantile(x, 1, 0.99).value == 1.0);
    assert_true(estimate_quantile(x, 1, 0.99).error == 0.0);
}

static void perplexity_is_exp_of_the_mean_loss(void **state)
{
    (void)state;
    const struct score score[] = {{.loss = 1.0}, {.loss = 2.0}, {.loss = 3.0}};
    const struct estimate p = perplexity_of(score, 3);
    assert_true(near(p.value, exp(2.0), 1e-12));
    assert_true(near(p.error, exp(2.0) * sqrt(2.0 / 3.0 / 2.0), 1e-12));
}

static void a_divergence_has_its_figures(void **state)
{
    (void)state;
    const struct score score[] = {
        {.loss = log(2.0), .base_loss = log(4.0), .divergence = 0.1, .same_top = true},
        {.loss = log(8.0), .base_loss = log(4.0), .divergence = 0.3, .same_top = true},
        {.loss = log(4.0), .base_loss = log(2.0), .divergence = 0.2, .same_top = false},
    };
    struct divergence d;
    struct err err = {0};
    assert_true(divergence_of(score, 3, &d, &err));
    assert_true(near(d.mean.value, 0.2, 1e-12));
    assert_true(near(d.mean.error, sqrt(0.02 / 3.0 / 2.0), 1e-9));
    assert_true(near(d.quantile[0].value, 0.2, 1e-12));
    assert_true(d.max == 0.3);
    assert_true(near(d.same_top.value, 2.0 / 3.0, 1e-12));
    assert_true(near(d.same_top.error, sqrt(2.0 / 9.0 / 2.0), 1e-12));
    assert_true(near(d.change.value, (0.25 - 0.125 - 0.25) / 3.0, 1e-12));
    assert_true(near(d.rms_change.value, sqrt((0.0625 + 0.015625 + 0.0625) / 3.0), 1e-12));
    assert_true(near(d.ratio.value, exp(log(2.0) / 3.0), 1e-12));
    assert_true(near(d.base_perplexity.value, exp(log(32.0) / 3.0), 1e-12));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mean_has_its_standard_error),
        cmocka_unit_test(errors_are_what_estimates_scatter_by),
        cmocka_unit_test(quantiles_lie_between_values),
        cmocka_unit_test(perplexity_is_exp_of_the_mean_loss),
        cmocka_unit_test(a_divergence_has_its_figures),
    };
    return cmocka_run_group_tests_name("estimate", tests, NULL, NULL);
}
