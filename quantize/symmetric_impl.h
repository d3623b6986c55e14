/* symmetric_impl.h - encoders of Q4_0, Q5_0 and Q8_0, eight blocks of 32 at a time.
 *
 * Include a lanes header first, and its pairs header where it has one.  Q4_0 and Q5_0 try a
 * few scales in both orientations; weights that are already the values of Q4_0 blocks (a
 * checkpoint trained for it) keep those blocks.  Q8_0 does so only where importance is known:
 * at eight bits the extremum alone is near the best.
 */
#ifndef QUANTIZE_SYMMETRIC_IMPL_H
#define QUANTIZE_SYMMETRIC_IMPL_H

#include "quantize/pack.h"
#include "quantize/row_tile.h"
#include "quantize/symmetric_blocks_impl.h"

#include <stdbool.h>

enum { TILE = LANES * BLOCK_ELEMS }; /* weights of eight blocks */

/* Eight blocks of a row, fewer at its end: those past it are zero. */
struct tile {
    const float *src;
    size_t count;
    struct blocks blocks;
    float spare[TILE];
    p16 pair[BLOCK_ELEMS / 2];              /* without importance; */
    f8 x[BLOCK_ELEMS], weight[BLOCK_ELEMS]; /* with it */
};

INLINE void tile_load(struct tile *t, const float *src, const float *importance, size_t left,
                      float half)
{
    float spare[TILE];
    t->count = left < TILE ? left / BLOCK_ELEMS : LANES;
    t->src = row_tile(t->spare, TILE, src, left);
    if (!importance) {
        pair_blocks(&t->blocks, t->pair, t->src, BLOCK_ELEMS, half);
        return;
    }
    load_lanes(t->x, t->src, BLOCK_ELEMS);
    limit_weights(t->x, BLOCK_ELEMS);
    load_lanes(t->weight, row_tile(spare, TILE, importance, left), BLOCK_ELEMS);
    scale_importance(t->weight, BLOCK_ELEMS, extremum_of(t->weight, BLOCK_ELEMS));
    weighted_blocks(&t->blocks, t->x, t->weight, BLOCK_ELEMS);
}

/* The codes of a block. */
static inline void block_codes(int8_t q[BLOCK_ELEMS], const float *src, float inverse, float half)
{
    const f8 by = f8_set1(inverse);
    f8_store_codes(q, half, f8_mul(f8_load(src), by), f8_mul(f8_load(src + 8), by),
                   f8_mul(f8_load(src + 16), by), f8_mul(f8_load(src + 24), by));
}

/* The same counted from 0. */
static inline void counted_codes(uint8_t codes[BLOCK_ELEMS], const float *src, float inverse,
                                 float half)
{
    int8_t q[BLOCK_ELEMS];
    block_codes(q, src, inverse, half);
    for (int j = 0; j < BLOCK_ELEMS; j++)
        codes[j] = (uint8_t)(q[j] + (int)half);
}

/* Lanes that decode, with that scale, to numbers which a file of fp32, fp16 or bf16 would
 * hold as x. */
static inline m8 on_grid(const f8 x[BLOCK_ELEMS], f8 scale)
{
    const f8 inverse = inverse_of(scale);
    m8 on = f8_eq(scale, scale);
    for (int j = 0; j < BLOCK_ELEMS && m8_any(on); j++) {
        const f8 y = f8_mul(scale, code_of(f8_mul(x[j], inverse), 8.0f));
        const m8 half = m8_or(f8_eq(x[j], y), f8_eq(x[j], f8_through_half(y)));
        on = m8_and(on, m8_or(half, f8_eq(x[j], f8_through_bf16(y))));
    }
    return on;
}

/* Finds the scale of blocks that are on a Q4_0 grid, and which they are.  The scale is that
 * of the extremum at -8, up to the rounding of the file that held the weights: in bf16 every
 * weight bounds it by half a unit in its last place (half of that below a power of two). */
static inline m8 find_grid(const f8 x[BLOCK_ELEMS], f8 extremum, f8 *scale)
{
    const f8 first = half_scale(f8_mul(extremum, f8_set1(-0.125f)));
    const f8 inverse = inverse_of(first), zero = f8_set1(0.0f);
    f8 low = zero, high = f8_set1(HALF_MAX);
    m8 on = f8_eq(zero, zero);
    for (int j = 0; j < BLOCK_ELEMS; j++) {
        const f8 q = f8_abs(code_of(f8_mul(x[j], inverse), 8.0f)), a = f8_abs(x[j]);
        const f8 power = f8_power(a), slack = f8_mul(power, f8_set1(0x1p-8f));
        const f8 below = f8_select(f8_eq(a, power), f8_mul(slack, f8_set1(0.5f)), slack);
        const m8 none = f8_eq(q, zero);
        low = f8_select(none, low, f8_max(low, f8_div(f8_sub(a, below), q)));
        high = f8_select(none, high, f8_min(high, f8_div(f8_add(a, slack), q)));
        on = m8_and(on, m8_and(f8_le(low, high), f8_le(f8_select(none, a, zero), zero)));
        if (!m8_any(on))
            return on;
    }
    const f8 middle = half_scale(f8_mul(f8_add(low, high), f8_set1(0.5f)));
    const f8 second = f8_select(f8_lt(first, zero), f8_neg(middle), middle);
    const m8 on_first = on_grid(x, first);
    *scale = f8_select(on_first, first, second);
    return m8_or(on_first, on_grid(x, second));
}

/* Could a block be on a grid?  Then its weights are multiples of an eighth of the extremum, but
 * for the rounding of both to bf16, which moves none by 4 parts. */
static inline bool near_grid(const struct blocks *b)
{
    const f8 zero = f8_set1(0.0f);
    m8 near = f8_eq(zero, zero);
    for (int j = 0; j < BLOCK_ELEMS / 2 && m8_any(near); j++)
        near = m8_and(near, p16_near_multiples(b->pair[j], PARTS, 5));
    return m8_any(near);
}

/* In place of the fitted scale that of the grid, for the blocks that are on one. */
static inline f8 keep_grid(struct tile *t, f8 scale)
{
    if (!t->blocks.w) {
        if (!near_grid(&t->blocks))
            return scale;
        load_lanes(t->x, t->src, BLOCK_ELEMS);
    }
    f8 grid;
    const m8 on = find_grid(t->x, t->blocks.extremum, &grid);
    return m8_any(on) ? f8_select(on, grid, scale) : scale;
}

static inline void encode_q4_0_tile(struct block_q4_0 *dst, struct tile *t)
{
    static const struct starts plain = {4, {-8.2f, -7.8f, -8.6f, -7.1f}};
    static const struct starts weighted = {
        8, {-8.4f, -9.0f, -7.9f, -7.1f, -9.7f, -10.8f, -6.1f, 8.7f}};
    const struct fit fit =
        fit_blocks(&t->blocks, BLOCK_ELEMS, 8.0f, t->blocks.w ? &weighted : &plain);
    const f8 scale = keep_grid(t, half_scale(fit.scale));
    float inverse[LANES];
    uint16_t d[LANES];
    f8_store(inverse, inverse_of(scale));
    f8_store_half(d, scale);
    for (size_t b = 0; b < t->count; b++) {
        uint8_t codes[BLOCK_ELEMS];
        counted_codes(codes, t->src + b * BLOCK_ELEMS, inverse[b], 8.0f);
        dst[b].d = d[b];
        pack_nibbles32(dst[b].qs, codes);
    }
}

static inline void encode_q4_0(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    struct block_q4_0 *out = dst;
    struct tile t;
    for (size_t i = 0; i < n; i += TILE) {
        tile_load(&t, src + i, importance ? importance + i : NULL, n - i, 8.0f);
        encode_q4_0_tile(out + i / BLOCK_ELEMS, &t);
    }
}

static inline void encode_q5_0_tile(struct block_q5_0 *dst, struct tile *t)
{
    static const struct starts plain = {5, {-16.4f, -16.0f, -15.6f, -15.0f, -14.0f}};
    static const struct starts weighted = {
        8, {-16.4f, -17.0f, -15.8f, -15.0f, -18.0f, -14.0f, -19.2f, -13.0f}};
    const struct fit fit =
        fit_blocks(&t->blocks, BLOCK_ELEMS, 16.0f, t->blocks.w ? &weighted : &plain);
    const f8 scale = half_scale(fit.scale);
    float inverse[LANES];
    uint16_t d[LANES];
    f8_store(inverse, inverse_of(scale));
    f8_store_half(d, scale);
    for (size_t b = 0; b < t->count; b++) {
        uint8_t codes[BLOCK_ELEMS];
        counted_codes(codes, t->src + b * BLOCK_ELEMS, inverse[b], 16.0f);
        dst[b].d = d[b];
        pack_fifth_bits32(dst[b].qh, codes);
        pack_nibbles32(dst[b].qs, codes);
    }
}

static inline void encode_q5_0(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    struct block_q5_0 *out = dst;
    struct tile t;
    for (size_t i = 0; i < n; i += TILE) {
        tile_load(&t, src + i, importance ? importance + i : NULL, n - i, 16.0f);
        encode_q5_0_tile(out + i / BLOCK_ELEMS, &t);
    }
}

/* Puts the extremum of each block at -128, or at 127 where -128 would cut off the other end. */
static inline f8 q8_0_scale(const float *src)
{
    f8 least, most;
    range_of(src, BLOCK_ELEMS, &least, &most);
    const f8 depth = f8_neg(least), far = f8_max(most, depth), near = f8_min(most, depth);
    const m8 cut = f8_lt(f8_mul(far, f8_set1(127.5f / 128.0f)), near);
    const f8 unit = f8_select(f8_lt(depth, most), f8_set1(-1.0f / 128.0f), f8_set1(1.0f / 128.0f));
    return half_scale(f8_mul(far, f8_select(cut, f8_set1(1.0f / 127.0f), unit)));
}

static inline f8 q8_0_weighted_scale(const float *src, const float *importance, size_t left)
{
    static const struct starts starts = {6, {-128.0f, -127.0f, -126.0f, -125.0f, -124.0f, -123.0f}};
    struct tile t;
    tile_load(&t, src, importance, left, 128.0f);
    return half_scale(fit_blocks(&t.blocks, BLOCK_ELEMS, 128.0f, &starts).scale);
}

static inline void q8_0_store(struct block_q8_0 *dst, const float *src, f8 scale, size_t blocks)
{
    float inverse[LANES];
    uint16_t d[LANES];
    f8_store(inverse, inverse_of(scale));
    f8_store_half(d, scale);
    for (size_t b = 0; b < blocks; b++) {
        dst[b].d = d[b];
        block_codes(dst[b].qs, src + b * BLOCK_ELEMS, inverse[b], 128.0f);
    }
}

static inline void encode_q8_0(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    struct block_q8_0 *out = dst;
    float spare[TILE];
    for (size_t i = 0; i < n; i += TILE) {
        const size_t left = n - i;
        const float *p = row_tile(spare, TILE, src + i, left);
        const f8 scale =
            importance ? q8_0_weighted_scale(src + i, importance + i, left) : q8_0_scale(p);
        q8_0_store(out + i / BLOCK_ELEMS, p, scale, left < TILE ? left / BLOCK_ELEMS : LANES);
    }
}

#endif
