/* ternary_impl.h - encoders of TQ1_0 and TQ2_0: d * {-1, 0, 1}, one d per 256.  Include a
 * lanes header first; a lane is one super-block.
 *
 * Given a threshold, weights past it become +-d, and the best d is their (weighted) mean
 * size; given d, the best threshold is d / 2.  The gain of symmetric_search_impl.h picks among
 * a few thresholds, then both steps alternate.  Weights that are ternary already have one
 * scale whatever the threshold: they stay what they are.
 */
#ifndef QUANTIZE_TERNARY_IMPL_H
#define QUANTIZE_TERNARY_IMPL_H

#include "quantize/row_tile.h"
#include "quantize/symmetric_search_impl.h"

#include <stddef.h>

enum { TERNARY_TILE = LANES * SUPER_ELEMS };

/* Eight super-blocks of a row, fewer at its end: lanes past it are zero. */
struct ternary_tile {
    f8 x[SUPER_ELEMS], w[SUPER_ELEMS];
    size_t blocks;
};

static inline void ternary_load(struct ternary_tile *t, const float *src, const float *importance,
                                size_t left)
{
    float spare[TERNARY_TILE];
    t->blocks = left < TERNARY_TILE ? left / SUPER_ELEMS : LANES;
    load_lanes(t->x, row_tile(spare, TERNARY_TILE, src, left), SUPER_ELEMS);
    limit_weights(t->x, SUPER_ELEMS);
    if (importance) {
        load_lanes(t->w, row_tile(spare, TERNARY_TILE, importance, left), SUPER_ELEMS);
        scale_importance(t->w, SUPER_ELEMS, extremum_of(t->w, SUPER_ELEMS));
    } else {
        for (int j = 0; j < SUPER_ELEMS; j++)
            t->w[j] = f8_set1(1.0f);
    }
}

/* The sums over the weights past the threshold. */
static inline struct sums ternary_sums(const struct ternary_tile *t, f8 threshold)
{
    const f8 zero = f8_set1(0.0f);
    struct sums s = {zero, zero};
    for (int j = 0; j < SUPER_ELEMS; j++) {
        const f8 size = f8_abs(t->x[j]);
        const f8 w = f8_select(f8_lt(threshold, size), t->w[j], zero);
        s.xq = f8_add(s.xq, f8_mul(w, size));
        s.qq = f8_add(s.qq, w);
    }
    return s;
}

/* d of each super-block, as fp16 holds it.  Thresholds: half the largest (what makes a ternary
 * block exact), and some around the mean size; large ones where few weights hold most of the
 * signal.  Within 0.04% of the best there is, on normal and heavy-tailed weights. */
static inline f8 ternary_fit(const struct ternary_tile *t)
{
    static const float of_mean[] = {0.6f, 0.9f, 1.4f, 2.5f, 5.0f, 10.0f};
    const f8 zero = f8_set1(0.0f), half = f8_set1(0.5f);
    const f8 largest = f8_abs(extremum_of(t->x, SUPER_ELEMS));
    struct fit best = {f8_set1(-1.0f), zero, zero};
    const struct sums all = ternary_sums(t, zero);
    const f8 mean = f8_mul(all.xq, inverse_of(all.qq));
    fit_try(&best, ternary_sums(t, f8_mul(largest, half)));
    for (size_t i = 0; i < sizeof of_mean / sizeof *of_mean; i++)
        fit_try(&best, ternary_sums(t, f8_mul(mean, f8_set1(of_mean[i]))));
    for (int i = 0; i < 3; i++)
        fit_try(&best, ternary_sums(t, f8_mul(best.scale, half)));
    return half_scale(best.scale);
}

/* q + 1 of every weight. */
static inline void ternary_codes(f8 code[SUPER_ELEMS], const struct ternary_tile *t, f8 d)
{
    const f8 one = f8_set1(1.0f), two = f8_set1(2.0f), zero = f8_set1(0.0f);
    const f8 threshold = f8_mul(d, f8_set1(0.5f));
    for (int j = 0; j < SUPER_ELEMS; j++) {
        const f8 low = f8_select(f8_lt(t->x[j], f8_neg(threshold)), zero, one);
        code[j] = f8_select(f8_lt(threshold, t->x[j]), two, low);
    }
}

/* Eight columns' `count` codes, `step` apart, as digits of that base, the first the highest. */
static inline f8 ternary_digits(const f8 *code, int count, int step, float base)
{
    f8 sum = code[0];
    for (int k = 1; k < count; k++)
        sum = f8_add(f8_mul(sum, f8_set1(base)), code[k * step]);
    return sum;
}

/* Columns of numbers 0..255, a multiple of eight, to the bytes of each lane. */
static inline void ternary_bytes(uint8_t *out, size_t stride, f8 *column, int columns)
{
    for (int j = 0; j < columns; j += LANES) {
        f8_transpose(column + j);
        for (int l = 0; l < LANES; l++)
            f8_store_uint8(out + (size_t)l * stride + j, column[j + l]);
    }
}

static void encode_tq2_0(void *restrict dst, const float *restrict src,
                         const float *restrict importance, size_t n)
{
    struct block_tq2_0 *block = dst;
    for (size_t i = 0; i < n; i += TERNARY_TILE) {
        struct ternary_tile t;
        f8 code[SUPER_ELEMS], column[64];
        uint16_t d[LANES];
        uint8_t bytes[LANES][64];
        ternary_load(&t, src + i, importance ? importance + i : NULL, n - i);
        const f8 scale = ternary_fit(&t);
        ternary_codes(code, &t, scale);
        for (int j = 0; j < 64; j++)
            column[j] = ternary_digits(code + 128 * (j / 32) + 96 + j % 32, 4, -32, 4.0f);
        ternary_bytes(bytes[0], sizeof bytes[0], column, 64);
        f8_store_half(d, scale);
        for (size_t b = 0; b < t.blocks; b++, block++) {
            block->d = d[b];
            memcpy(block->qs, bytes[b], sizeof block->qs);
        }
    }
}

/* A byte's five trits are kept as a fraction of 243, in 256ths, rounded up. */
static inline uint8_t trits_byte(uint8_t digits) { return (uint8_t)((digits * 256 + 242) / 243); }

static void encode_tq1_0(void *restrict dst, const float *restrict src,
                         const float *restrict importance, size_t n)
{
    struct block_tq1_0 *block = dst;
    for (size_t i = 0; i < n; i += TERNARY_TILE) {
        struct ternary_tile t;
        f8 code[SUPER_ELEMS], column[56];
        uint16_t d[LANES];
        uint8_t bytes[LANES][56]; /* 48 of qs, 4 of qh, 4 unused */
        ternary_load(&t, src + i, importance ? importance + i : NULL, n - i);
        const f8 scale = ternary_fit(&t), three = f8_set1(3.0f);
        ternary_codes(code, &t, scale);
        for (int j = 0; j < 32; j++)
            column[j] = ternary_digits(code + j, 5, 32, 3.0f);
        for (int j = 0; j < 16; j++)
            column[32 + j] = ternary_digits(code + 160 + j, 5, 16, 3.0f);
        for (int j = 0; j < 4; j++)
            column[48 + j] = f8_mul(ternary_digits(code + 240 + j, 4, 4, 3.0f), three);
        for (int j = 52; j < 56; j++)
            column[j] = f8_set1(0.0f);
        ternary_bytes(bytes[0], sizeof bytes[0], column, 56);
        f8_store_half(d, scale);
        for (size_t b = 0; b < t.blocks; b++, block++) {
            block->d = d[b];
            for (int j = 0; j < 48; j++)
                block->qs[j] = trits_byte(bytes[b][j]);
            for (int j = 0; j < 4; j++)
                block->qh[j] = trits_byte(bytes[b][48 + j]);
        }
    }
}

#endif
