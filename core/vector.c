#include "core/vector.h"

#include "core/cpu.h"
#include "core/half.h"
#include "core/vector_exp.h"

#include <math.h>

enum { LANES = VECTOR_LANES };

static double add_lanes(double lane[LANES])
{
    for (int apart = LANES / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            lane[i] += lane[i + apart];
    return lane[0];
}

static float max_lanes(float lane[LANES])
{
    for (int apart = LANES / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            lane[i] = lane[i + apart] > lane[i] ? lane[i + apart] : lane[i];
    return lane[0];
}

static float max(const float *x, size_t n)
{
    float lane[LANES];
    for (size_t i = 0; i < LANES; i++)
        lane[i] = -INFINITY;
    for (size_t i = 0; i < n; i++)
        lane[i % LANES] = x[i] > lane[i % LANES] ? x[i] : lane[i % LANES];
    return max_lanes(lane);
}

static double sum_squares(const float *x, size_t n)
{
    double lane[LANES] = {0};
    for (size_t i = 0; i < n; i++)
        lane[i % LANES] += (double)x[i] * (double)x[i];
    return add_lanes(lane);
}

/* x = k ln 2 + r with a whole k, so that e^x is 2^k e^r; r is at most half of ln 2, and e^r - 1 - r
 * over r^2 is a polynomial with a relative error of 3e-9.  Adding exp_round leaves k in the last
 * bits of the sum. */
static float exp_of(float x)
{
    if (x < exp_least)
        return 0.0f;
    if (x > exp_most)
        return INFINITY;
    const float sum = fmaf(x, exp_inverse, exp_round), k = sum - exp_round;
    const float r = fmaf(k, -exp_ln2_low, fmaf(k, -exp_ln2, x));
    float p = exp_term[EXP_TERMS - 1];
    for (int i = EXP_TERMS - 2; i >= 0; i--)
        p = fmaf(p, r, exp_term[i]);
    return float_from_bits(float_bits(p) + (float_bits(sum) << 23));
}

static double exp_row(float *y, const float *x, float shift, size_t n)
{
    double lane[LANES] = {0};
    for (size_t i = 0; i < n; i++) {
        y[i] = exp_of(x[i] - shift);
        lane[i % LANES] += (double)y[i];
    }
    return add_lanes(lane);
}

static void silu_gate(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + exp_of(-gate[i])) * up[i];
}

static void add(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] += x[i];
}

static void scale(float *y, const float *x, float factor, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * factor;
}

static void multiply(float *y, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        y[i] *= x[i];
}

static void widen(float *y, const int8_t *x, const float *scale, size_t rows)
{
    for (size_t i = 0; i < rows * VECTOR_PANEL; i++)
        y[i] = (float)x[i] * scale[i % VECTOR_PANEL];
}

static float at_f32(const void *b, size_t i) { return ((const float *)b)[i]; }

static float at_f16(const void *b, size_t i) { return half_to_float(((const uint16_t *)b)[i]); }

static void outer(const struct vector_outer *o, float (*at)(const void *b, size_t i))
{
    for (size_t r = 0; r < o->rows; r++)
        for (size_t c = 0; c < VECTOR_PANEL; c++) {
            float *y = &o->y[r * o->y_stride + c];
            float sum = o->keep ? o->keep[r] * *y : 0.0f;
            for (size_t i = 0; i < o->depth; i++)
                sum = fmaf(o->a[r * o->a_stride + i], at(o->b, i * VECTOR_PANEL + c), sum);
            *y = sum;
        }
}

static void outer_f32(const struct vector_outer *o) { outer(o, at_f32); }

static void outer_f16(const struct vector_outer *o) { outer(o, at_f16); }

void vector_init(struct vector_kernels *v, unsigned cpu)
{
    *v = (struct vector_kernels){max,   sum_squares, exp_row, silu_gate, add,
                                 scale, multiply,    widen,   outer_f32, outer_f16};
#if defined(QUERN_AVX2)
    if (cpu & CPU_AVX2)
        vector_init_avx2(v);
#endif
#if defined(QUERN_AVX512)
    if (cpu & CPU_AVX512VNNI)
        vector_init_avx512(v);
#endif
#if defined(QUERN_NEON)
    if (cpu & CPU_NEON)
        vector_init_neon(v);
#endif
    (void)cpu;
}
