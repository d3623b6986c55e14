/* Plain uniform groups: what is a form, what comes back, and what no scale can hold. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rng.h"
#include "quantize/uniform.h"

#include <math.h>
#include <string.h>

enum { COLS = 256 };

struct encoded {
    uint8_t code[COLS], zero[COLS / 32];
    uint16_t scale[COLS / 32];
    float v[COLS];
};

static void encode(const struct uniform *u, const float *x, const float *importance,
                   struct encoded *e)
{
    struct err err;
    assert_true(uniform_check(u, COLS, &err));
    uniform_encode_row(u, x, importance, COLS, e->code, e->scale, e->zero);
    uniform_decode_row(u, e->code, e->scale, e->zero, COLS, e->v);
    for (size_t i = 0; i < COLS; i++)
        assert_true(e->code[i] <= uniform_max(u));
}

static double error_of(const float *x, const float *v, const float *importance)
{
    double error = 0.0, size = 0.0;
    for (size_t i = 0; i < COLS; i++) {
        const double w = importance ? importance[i] : 1.0;
        error += w * ((double)x[i] - v[i]) * ((double)x[i] - v[i]);
        size += w * x[i] * x[i];
    }
    return sqrt(error / size);
}

static const struct uniform forms[] = {
    {2, 32, false}, {2, 0, true},    {3, 64, false}, {3, 128, true}, {4, 32, true},
    {4, 0, false},  {4, 128, false}, {8, 128, true}, {8, 0, false},
};
enum { FORMS = sizeof forms / sizeof forms[0] };

static void normal_values_lose_what_their_bits_say(void **state)
{
    (void)state;
    static const double bound[] = {[2] = 0.48, [3] = 0.24, [4] = 0.115, [8] = 0.0095};
    struct rng rng = {3};
    float x[COLS];
    for (size_t i = 0; i < COLS; i++)
        x[i] = rng_normal(&rng);
    for (size_t f = 0; f < FORMS; f++) {
        struct encoded e;
        encode(&forms[f], x, NULL, &e);
        const double error = error_of(x, e.v, NULL);
        print_message("# %d bits, group %zu: %.4f\n", forms[f].bits, forms[f].group, error);
        assert_true(error < bound[forms[f].bits]);
    }
}

/* The columns that count are nearer than without saying so. */
static void importance_counts(void **state)
{
    (void)state;
    struct rng rng = {4};
    float x[COLS], importance[COLS];
    for (size_t i = 0; i < COLS; i++) {
        x[i] = rng_normal(&rng);
        importance[i] = i % 8 == 0 ? 50.0f : 1.0f;
    }
    for (size_t f = 0; f < FORMS; f++) {
        struct encoded with, without;
        encode(&forms[f], x, importance, &with);
        encode(&forms[f], x, NULL, &without);
        assert_true(error_of(x, with.v, importance) <= error_of(x, without.v, importance));
        assert_true(error_of(x, without.v, NULL) <= error_of(x, with.v, NULL));
    }
}

static void values_on_the_grid_stay(void **state)
{
    (void)state;
    for (size_t f = 0; f < FORMS; f++) {
        const struct uniform *u = &forms[f];
        const int top = uniform_max(u), zero = 1 << (u->bits - 1);
        float x[COLS];
        struct encoded e;
        for (int i = 0; i < COLS; i++) /* from end to end, so that the whole range is needed */
            x[i] = 0.25f * (float)(i % (top + 1) - (u->symmetric ? zero : 1));
        encode(u, x, NULL, &e);
        if (u->symmetric) /* its range is one step wider below */
            assert_true(error_of(x, e.v, NULL) < 0.3);
        else
            assert_memory_equal(x, e.v, sizeof x);
    }
}

static void zeros_and_extremes_stay_finite(void **state)
{
    (void)state;
    static const float size[] = {0.0f, 1e-42f, 1e-7f, 1e5f, 1e30f, 3e38f};
    for (size_t f = 0; f < FORMS; f++)
        for (size_t s = 0; s < sizeof size / sizeof size[0]; s++) {
            float x[COLS];
            struct encoded e;
            for (int i = 0; i < COLS; i++)
                x[i] = size[s] * (float)(i % 5 - 2) / 2.0f;
            encode(&forms[f], x, NULL, &e);
            for (int i = 0; i < COLS; i++) {
                assert_true(isfinite(e.v[i]));
                assert_true(size[s] > 0.0f || e.v[i] == 0.0f);
                assert_true(x[i] != 0.0f || e.v[i] == 0.0f);
            }
        }
}

static void other_forms_are_refused(void **state)
{
    (void)state;
    static const struct {
        struct uniform form;
        size_t cols;
        enum err_code code;
    } bad[] = {{{5, 128, false}, 256, ERR_UNSUPPORTED},
               {{0, 128, false}, 256, ERR_UNSUPPORTED},
               {{4, 48, false}, 96, ERR_UNSUPPORTED},
               {{4, 128, true}, 192, ERR_FORMAT},
               {{4, 0, true}, 0, ERR_FORMAT}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err;
        assert_false(uniform_check(&bad[i].form, bad[i].cols, &err));
        assert_int_equal(err.code, bad[i].code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(normal_values_lose_what_their_bits_say),
        cmocka_unit_test(importance_counts),
        cmocka_unit_test(values_on_the_grid_stay),
        cmocka_unit_test(zeros_and_extremes_stay_finite),
        cmocka_unit_test(other_forms_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
