/* ternary_impl.h - encoders of TQ1_0 and TQ2_0: d * {-1, 0, 1}, one d per 256.  Include a
 * lanes header first.  Here a vector holds eight consecutive weights of one super-block:
 * sums run along each lane, then over the lanes in order.
 *
 * Given a threshold, weights past it become +-d, and the best d is their (weighted) mean
 * size; given d, the best threshold is d / 2.  The gain of symmetric_search_impl.h picks among
 * a few thresholds, then both steps alternate.  Weights that are ternary already have one
 * scale whatever the threshold: they stay what they are.
 */
#ifndef QUANTIZE_TERNARY_IMPL_H
#define QUANTIZE_TERNARY_IMPL_H

#include "quantize/symmetric_search_impl.h"

#include <stddef.h>

enum { TERNARY_STEPS = SUPER_ELEMS / LANES, TERNARY_REFITS = 3 };

struct ternary {
    f8 x[TERNARY_STEPS], w[TERNARY_STEPS];
};

static inline void ternary_load(struct ternary *t, const float *src, const float *importance)
{
    const f8 one = f8_set1(1.0f);
    for (size_t j = 0; j < TERNARY_STEPS; j++) {
        t->x[j] = f8_load(src + j * LANES);
        t->w[j] = importance ? f8_load(importance + j * LANES) : one;
    }
    limit_weights(t->x, TERNARY_STEPS);
    if (importance) {
        const float largest = f8_largest(extremum_of(t->w, TERNARY_STEPS));
        scale_importance(t->w, TERNARY_STEPS, f8_set1(largest));
    }
}

/* The sums over the weights past the threshold, lane by lane. */
static inline struct sums ternary_sums(const struct ternary *t, float threshold)
{
    const f8 zero = f8_set1(0.0f), least = f8_set1(threshold);
    struct sums s = {zero, zero};
    for (int j = 0; j < TERNARY_STEPS; j++) {
        const f8 size = f8_abs(t->x[j]);
        const f8 w = f8_select(f8_lt(least, size), t->w[j], zero);
        s.xq = f8_add(s.xq, f8_mul(w, size));
        s.qq = f8_add(s.qq, w);
    }
    return s;
}

struct ternary_scale {
    float gain, scale;
};

static inline void ternary_try(struct ternary_scale *best, struct sums s)
{
    const float xq = f8_sum(s.xq), qq = f8_sum(s.qq);
    const float scale = xq / qq; /* NaN where no weight is past the threshold: never better */
    if (xq * scale > best->gain)
        *best = (struct ternary_scale){xq * scale, scale};
}

/* Thresholds: half the largest (what makes a ternary block exact), and some around the mean
 * size; large ones where few weights hold most of the signal.  Within 0.04% of the best there
 * is, on normal and heavy-tailed weights. */
static inline float ternary_fit(const struct ternary *t)
{
    static const float of_mean[] = {0.6f, 0.9f, 1.4f, 2.5f, 5.0f, 10.0f};
    const struct sums all = ternary_sums(t, 0.0f);
    const float weight = f8_sum(all.qq), mean = weight > 0.0f ? f8_sum(all.xq) / weight : 0.0f;
    const float largest = f8_largest(f8_abs(extremum_of(t->x, TERNARY_STEPS)));
    struct ternary_scale best = {0.0f, 0.0f};
    ternary_try(&best, ternary_sums(t, 0.5f * largest));
    for (size_t i = 0; i < sizeof of_mean / sizeof *of_mean; i++)
        ternary_try(&best, ternary_sums(t, of_mean[i] * mean));
    for (int i = 0; i < TERNARY_REFITS; i++)
        ternary_try(&best, ternary_sums(t, 0.5f * best.scale));
    return best.scale;
}

/* q + 1 of every weight; d as fp16 holds it. */
static inline void ternary_codes(f8 code[TERNARY_STEPS], const struct ternary *t, f8 d)
{
    const f8 one = f8_set1(1.0f), two = f8_set1(2.0f), zero = f8_set1(0.0f);
    const f8 threshold = f8_mul(d, f8_set1(0.5f));
    for (int j = 0; j < TERNARY_STEPS; j++) {
        const f8 low = f8_select(f8_lt(t->x[j], f8_neg(threshold)), zero, one);
        code[j] = f8_select(f8_lt(threshold, t->x[j]), two, low);
    }
}

/* The next super-block: its codes and d. */
static inline uint16_t ternary_next(f8 code[TERNARY_STEPS], const float *src,
                                    const float *importance)
{
    struct ternary t;
    uint16_t d[LANES];
    ternary_load(&t, src, importance);
    const f8 scale = half_scale(f8_set1(ternary_fit(&t)));
    ternary_codes(code, &t, scale);
    f8_store_half(d, scale);
    return d[0];
}

/* `count` codes, `step` vectors apart, as digits of that base, the first the highest. */
static inline f8 ternary_digits(const f8 *code, int count, int step, float base)
{
    f8 sum = code[0];
    for (int k = 1; k < count; k++)
        sum = f8_add(f8_mul(sum, f8_set1(base)), code[k * step]);
    return sum;
}

static void encode_tq2_0(void *restrict dst, const float *restrict src,
                         const float *restrict importance, size_t n)
{
    struct block_tq2_0 *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        f8 code[TERNARY_STEPS];
        block->d = ternary_next(code, src + i, importance ? importance + i : NULL);
        for (int v = 0; v < 4; v++) {
            f8_store_uint8(block->qs + LANES * v, ternary_digits(code + 12 + v, 4, -4, 4.0f));
            f8_store_uint8(block->qs + 32 + LANES * v, ternary_digits(code + 28 + v, 4, -4, 4.0f));
        }
    }
}

/* A byte's five trits are kept as a fraction of 243, in 256ths, rounded up. */
static inline uint8_t trits_byte(int digits) { return (uint8_t)((digits * 256 + 242) / 243); }

static void encode_tq1_0(void *restrict dst, const float *restrict src,
                         const float *restrict importance, size_t n)
{
    struct block_tq1_0 *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        f8 code[TERNARY_STEPS];
        uint8_t digits[48], last[16];
        block->d = ternary_next(code, src + i, importance ? importance + i : NULL);
        for (int v = 0; v < 4; v++)
            f8_store_uint8(digits + LANES * v, ternary_digits(code + v, 5, 4, 3.0f));
        for (int v = 0; v < 2; v++) {
            f8_store_uint8(digits + 32 + LANES * v, ternary_digits(code + 20 + v, 5, 2, 3.0f));
            f8_store_uint8(last + LANES * v, code[30 + v]);
        }
        for (int j = 0; j < 48; j++)
            block->qs[j] = trits_byte(digits[j]);
        for (int j = 0; j < 4; j++)
            block->qh[j] =
                trits_byte(81 * last[j] + 27 * last[4 + j] + 9 * last[8 + j] + 3 * last[12 + j]);
    }
}

#endif
