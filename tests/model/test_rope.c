/* Rotary embedding: a rotation, relative, in both layouts, with every scaling. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rng.h"
#include "model/rope.h"

#include <math.h>
#include <string.h>

enum { DIMS = 32, HEAD = 40 };

static const struct hparams plain = {
    .rope_dims = DIMS,
    .head_dim = HEAD,
    .rope = {.theta = 10000.0, .factor = 1.0, .original_context = 128},
};

static struct rope made(const struct hparams *h, enum arch_rope layout, const float *factors,
                        struct arena *arena)
{
    struct rope r;
    struct err err = {0};
    if (!rope_init(&r, h, layout, factors, arena, &err))
        fail_msg("%s", err.text);
    return r;
}

static void fill(float *x, uint64_t seed)
{
    struct rng rng = {seed};
    for (int i = 0; i < HEAD; i++)
        x[i] = rng_normal(&rng);
}

/* x turned to a position. */
static void turned(float *to, const struct rope *r, const float *x, size_t position)
{
    float angle[DIMS];
    memcpy(to, x, HEAD * sizeof *to);
    rope_angles(r, position, angle);
    rope_turn(r, angle, to);
}

static double dot(const float *a, const float *b)
{
    double sum = 0.0;
    for (int i = 0; i < HEAD; i++)
        sum += (double)a[i] * b[i];
    return sum;
}

static void a_turn_keeps_lengths_and_what_is_beyond(void **state)
{
    (void)state;
    for (int layout = ARCH_ROPE_PAIRS; layout <= ARCH_ROPE_HALVES; layout++) {
        struct arena arena = {0};
        const struct rope r = made(&plain, (enum arch_rope)layout, NULL, &arena);
        float x[HEAD], y[HEAD];
        fill(x, 1);
        turned(y, &r, x, 0);
        assert_memory_equal(x, y, sizeof x);
        for (size_t p = 1; p < 100000; p *= 7) {
            turned(y, &r, x, p);
            assert_true(fabs(dot(y, y) / dot(x, x) - 1.0) < 1e-5);
            assert_true(memcmp(x, y, sizeof x) != 0);
            assert_memory_equal(x + DIMS, y + DIMS, (HEAD - DIMS) * sizeof *x);
        }
        arena_close(&arena);
    }
}

static void products_depend_on_the_distance_alone(void **state)
{
    (void)state;
    for (int layout = ARCH_ROPE_PAIRS; layout <= ARCH_ROPE_HALVES; layout++) {
        struct arena arena = {0};
        const struct rope r = made(&plain, (enum arch_rope)layout, NULL, &arena);
        float q[HEAD], k[HEAD], x[HEAD], y[HEAD];
        fill(q, 2);
        fill(k, 3);
        turned(x, &r, q, 30);
        turned(y, &r, k, 13);
        const double want = dot(x, y);
        turned(x, &r, q, 530);
        turned(y, &r, k, 513);
        assert_true(fabs(dot(x, y) - want) < 1e-3);
        turned(y, &r, k, 514);
        assert_true(fabs(dot(x, y) - want) > 1e-2);
        arena_close(&arena);
    }
}

static void layouts_differ_in_the_order_of_columns(void **state)
{
    (void)state;
    struct arena arena = {0};
    const struct rope pairs = made(&plain, ARCH_ROPE_PAIRS, NULL, &arena);
    const struct rope halves = made(&plain, ARCH_ROPE_HALVES, NULL, &arena);
    float x[HEAD], moved[HEAD], y[HEAD], z[HEAD];
    fill(x, 4);
    memcpy(moved, x, sizeof x);
    for (int i = 0; i < DIMS / 2; i++) {
        moved[2 * i] = x[i];
        moved[2 * i + 1] = x[DIMS / 2 + i];
    }
    turned(y, &halves, x, 77);
    turned(z, &pairs, moved, 77);
    for (int i = 0; i < DIMS / 2; i++) {
        assert_true(y[i] == z[2 * i]);
        assert_true(y[DIMS / 2 + i] == z[2 * i + 1]);
    }
    arena_close(&arena);
}

static void linear_scaling_slows_all_pairs(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct hparams h = plain;
    h.rope.type = HF_ROPE_LINEAR;
    h.rope.factor = 4.0;
    const struct rope slow = made(&h, ARCH_ROPE_PAIRS, NULL, &arena);
    const struct rope fast = made(&plain, ARCH_ROPE_PAIRS, NULL, &arena);
    for (int i = 0; i < DIMS / 2; i++)
        assert_true(slow.frequency[i] == fast.frequency[i] / 4.0f);
    arena_close(&arena);
}

static void yarn_slows_the_slow_pairs(void **state)
{
    (void)state;
    struct arena arena = {0};
    struct hparams h = plain;
    h.rope.type = HF_ROPE_YARN;
    h.rope.factor = 4.0;
    const struct rope yarn = made(&h, ARCH_ROPE_HALVES, NULL, &arena);
    const struct rope fast = made(&plain, ARCH_ROPE_HALVES, NULL, &arena);
    const int last = DIMS / 2 - 1;
    assert_true(yarn.frequency[0] == fast.frequency[0]);
    assert_true(fabsf(yarn.frequency[last] * 4.0f / fast.frequency[last] - 1.0f) < 1e-6f);
    for (int i = 0; i < last; i++)
        assert_true(yarn.frequency[i] / fast.frequency[i] >=
                    yarn.frequency[i + 1] / fast.frequency[i + 1] * 0.999999f);
    assert_true(fabs(yarn.magnitude - (1.0 + 0.1 * log(4.0))) < 1e-6);
    h.rope.attention_factor = 0.5;
    assert_true(made(&h, ARCH_ROPE_HALVES, NULL, &arena).magnitude == 0.5f);
    arena_close(&arena);
}

static void factors_divide_frequencies(void **state)
{
    (void)state;
    struct arena arena = {0};
    float factor[DIMS / 2];
    for (int i = 0; i < DIMS / 2; i++)
        factor[i] = (float)(i + 1);
    const struct rope slow = made(&plain, ARCH_ROPE_PAIRS, factor, &arena);
    const struct rope fast = made(&plain, ARCH_ROPE_PAIRS, NULL, &arena);
    for (int i = 0; i < DIMS / 2; i++)
        assert_true(fabsf(slow.frequency[i] * factor[i] / fast.frequency[i] - 1.0f) < 1e-6f);
    arena_close(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_keeps_lengths_and_what_is_beyond),
        cmocka_unit_test(products_depend_on_the_distance_alone),
        cmocka_unit_test(layouts_differ_in_the_order_of_columns),
        cmocka_unit_test(linear_scaling_slows_all_pairs),
        cmocka_unit_test(yarn_slows_the_slow_pairs),
        cmocka_unit_test(factors_divide_frequencies),
    };
    return cmocka_run_group_tests_name("rope", tests, NULL, NULL);
}
