/* The small floats, against tables worked out another way: numbers built with ldexp. */
#include "core/half.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

/* A float of 1 + exponent + mantissa bits, by its definition. */
static double small_float(uint32_t bits, int exponent_bits, int mantissa_bits)
{
    const int bias = (1 << (exponent_bits - 1)) - 1;
    const int exponent = (int)(bits >> mantissa_bits & ((1u << exponent_bits) - 1));
    const double mantissa = (double)(bits & ((1u << mantissa_bits) - 1));
    const double sign = bits >> (exponent_bits + mantissa_bits) & 1 ? -1.0 : 1.0;
    if (exponent == 0)
        return sign * ldexp(mantissa, 1 - bias - mantissa_bits);
    return sign * ldexp(mantissa + ldexp(1.0, mantissa_bits), exponent - bias - mantissa_bits);
}

static void every_half_has_its_value(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = half_to_float((uint16_t)h);
        if ((h & 0x7c00) != 0x7c00) {
            assert_true((double)f == small_float(h, 5, 10));
            assert_int_equal(signbit(f) != 0, h >> 15);
        } else if (h & 0x3ff) {
            assert_true(isnan(f));
        } else {
            assert_true(isinf(f) && (f < 0) == (h >> 15 == 1));
        }
    }
}

static void every_half_survives_the_way_there_and_back(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const uint16_t back = half_from_float(half_to_float((uint16_t)h));
        if ((h & 0x7c00) == 0x7c00 && (h & 0x3ff)) /* a NaN comes back quiet */
            assert_int_equal(back, h | 0x200);
        else
            assert_int_equal(back, h);
    }
}

/* Between two neighbours: below the middle down, above it up, the middle to the even one. */
static void halves_round_to_nearest_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x7bff; h++) {
        const float low = half_to_float((uint16_t)h), high = half_to_float((uint16_t)(h + 1));
        const float middle = (float)(0.5 * ((double)low + (double)high));
        const uint16_t even = (uint16_t)(h + (h & 1));
        assert_int_equal(half_from_float(middle), even);
        assert_int_equal(half_from_float(nextafterf(middle, 0.0f)), h);
        assert_int_equal(half_from_float(nextafterf(middle, INFINITY)), h + 1);
        assert_int_equal(half_from_float(-middle), even | 0x8000);
    }
    assert_int_equal(half_from_float(nextafterf(65520.0f, 0.0f)), 0x7bff);
    assert_int_equal(half_from_float(65520.0f), 0x7c00);
    assert_int_equal(half_from_float(-3e38f), 0xfc00);
    assert_int_equal(half_from_float(0x1p-149f), 0);
    assert_int_equal(half_from_float(NAN) & 0x7e00, 0x7e00);
}

static void every_bf16_survives_and_rounds_to_even(void **state)
{
    (void)state;
    for (uint32_t h = 0; h < 0x10000; h++) {
        const float f = bf16_to_float((uint16_t)h);
        assert_int_equal(float_bits(f), h << 16);
        if (isnan(f)) {
            assert_int_equal(bf16_from_float(f), h | 0x40);
            continue;
        }
        assert_int_equal(bf16_from_float(f), h);
        if (isinf(f))
            continue;
        const uint32_t middle = h << 16 | 0x8000; /* half way to the next, away from zero */
        assert_int_equal(bf16_from_float(float_from_bits(middle)), h + (h & 1));
        assert_int_equal(bf16_from_float(float_from_bits(middle - 1)), h);
        assert_int_equal(bf16_from_float(float_from_bits(middle + 1)), h + 1);
    }
}

/* OCP FP8: E4M3 has no infinity and one NaN a sign; E5M2 is as IEEE. */
static void every_fp8_has_its_value(void **state)
{
    (void)state;
    for (uint32_t v = 0; v < 256; v++) {
        const float a = e4m3_to_float((uint8_t)v), b = e5m2_to_float((uint8_t)v);
        if ((v & 0x7f) == 0x7f)
            assert_true(isnan(a));
        else
            assert_true((double)a == small_float(v, 4, 3));
        if ((v & 0x7c) != 0x7c)
            assert_true((double)b == small_float(v, 5, 2));
        else
            assert_true(v & 3 ? isnan(b) : isinf(b));
    }
    assert_true(e4m3_to_float(0x7e) == 448.0f);
    assert_true(e4m3_to_float(0x01) == 0x1p-9f);
    assert_true(e5m2_to_float(0x7b) == 57344.0f);
    assert_true(e5m2_to_float(0x01) == 0x1p-16f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_half_has_its_value),
        cmocka_unit_test(every_half_survives_the_way_there_and_back),
        cmocka_unit_test(halves_round_to_nearest_even),
        cmocka_unit_test(every_bf16_survives_and_rounds_to_even),
        cmocka_unit_test(every_fp8_has_its_value),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
