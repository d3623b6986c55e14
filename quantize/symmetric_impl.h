/* symmetric_impl.h - encoders of Q4_0, Q5_0 and Q8_0, eight blocks of 32 at a time.
 *
 * Include a lanes header first.  Q4_0 and Q5_0 try a few scales in both
 * orientations and refit the best; weights that are already the values of Q4_0
 * blocks (a checkpoint trained for it) keep those blocks.  Q8_0 does so only
 * where importance is known: at eight bits the extremum alone is near the best.
 */
#ifndef QUANTIZE_SYMMETRIC_IMPL_H
#define QUANTIZE_SYMMETRIC_IMPL_H

#include "quantize/row_tile.h"
#include "quantize/symmetric_search_impl.h"

#include <stdbool.h>

enum { TILE = LANES * BLOCK_ELEMS }; /* weights of eight blocks */

/* Eight blocks of a row, fewer at its end: lanes past it are zero. */
struct tile {
    f8 x[BLOCK_ELEMS];
    f8 importance[BLOCK_ELEMS];
    const f8 *w; /* importance, or NULL */
    size_t blocks;
};

static inline void tile_load(struct tile *t, const float *src, const float *importance, size_t left)
{
    float spare[TILE];
    t->blocks = left < TILE ? left / BLOCK_ELEMS : LANES;
    t->w = NULL;
    load_lanes(t->x, row_tile(spare, TILE, src, left), BLOCK_ELEMS);
    limit_weights(t->x, BLOCK_ELEMS);
    if (!importance)
        return;
    load_lanes(t->importance, row_tile(spare, TILE, importance, left), BLOCK_ELEMS);
    scale_importance(t->importance, BLOCK_ELEMS, extremum_of(t->importance, BLOCK_ELEMS));
    t->w = t->importance;
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
static inline m8 find_grid(const f8 x[BLOCK_ELEMS], f8 *scale)
{
    const f8 first = half_scale(f8_mul(extremum_of(x, BLOCK_ELEMS), f8_set1(-0.125f)));
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

static inline void encode_q4_0_tile(struct block_q4_0 *dst, const struct tile *t)
{
    static const struct starts plain = {4, {-8.2f, -7.8f, -8.6f, -7.1f}};
    static const struct starts weighted = {
        8, {-8.4f, -9.0f, -7.9f, -7.1f, -9.7f, -10.8f, -6.1f, 8.7f}};
    const struct fit fit = fit_blocks(t->x, t->w, BLOCK_ELEMS, 8.0f, t->w ? &weighted : &plain);
    f8 grid, scale = half_scale(fit.scale);
    const m8 on = find_grid(t->x, &grid);
    if (m8_any(on))
        scale = f8_select(on, grid, scale);
    const f8 inverse = inverse_of(scale);
    f8 pair[16]; /* q - 8 of weight j + 16 high, of weight j low */
    for (int j = 0; j < 16; j++) {
        const f8 low = code_of(f8_mul(t->x[j], inverse), 8.0f);
        const f8 high = code_of(f8_mul(t->x[j + 16], inverse), 8.0f);
        pair[j] = f8_add(f8_add(low, f8_mul(high, f8_set1(16.0f))), f8_set1(136.0f));
    }
    uint16_t d[LANES];
    uint8_t bytes[4][LANES][4];
    f8_store_half(d, scale);
    for (int j = 0; j < 4; j++)
        f8_store_bytes(bytes[j], pair[4 * j], pair[4 * j + 1], pair[4 * j + 2], pair[4 * j + 3]);
    for (size_t b = 0; b < t->blocks; b++) {
        dst[b].d = d[b];
        for (int j = 0; j < 4; j++)
            memcpy(dst[b].qs + 4 * j, bytes[j][b], 4);
    }
}

static inline void encode_q4_0(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    struct block_q4_0 *out = dst;
    struct tile t;
    for (size_t i = 0; i < n; i += TILE) {
        tile_load(&t, src + i, importance ? importance + i : NULL, n - i);
        encode_q4_0_tile(out + i / BLOCK_ELEMS, &t);
    }
}

static inline void encode_q5_0_tile(struct block_q5_0 *dst, const struct tile *t)
{
    static const struct starts plain = {5, {-16.4f, -16.0f, -15.6f, -15.0f, -14.0f}};
    static const struct starts weighted = {
        8, {-16.4f, -17.0f, -15.8f, -15.0f, -18.0f, -14.0f, -19.2f, -13.0f}};
    const f8 zero = f8_set1(0.0f), one = f8_set1(1.0f), sixteen = f8_set1(16.0f);
    const struct fit fit = fit_blocks(t->x, t->w, BLOCK_ELEMS, 16.0f, t->w ? &weighted : &plain);
    const f8 scale = half_scale(fit.scale), inverse = inverse_of(scale);
    f8 low[BLOCK_ELEMS], high[4] = {zero, zero, zero, zero}; /* nibbles; bytes of fifth bits */
    for (int j = BLOCK_ELEMS - 1; j >= 0; j--) {
        const f8 q = code_of(f8_mul(t->x[j], inverse), 16.0f);
        const m8 positive = f8_le(zero, q);
        low[j] = f8_add(q, f8_select(positive, zero, sixteen));
        high[j / 8] = f8_add(f8_add(high[j / 8], high[j / 8]), f8_select(positive, one, zero));
    }
    for (int j = 0; j < 16; j++)
        low[j] = f8_add(low[j], f8_mul(low[j + 16], sixteen));
    uint16_t d[LANES];
    uint8_t bytes[5][LANES][4];
    f8_store_half(d, scale);
    for (int j = 0; j < 4; j++)
        f8_store_bytes(bytes[j], low[4 * j], low[4 * j + 1], low[4 * j + 2], low[4 * j + 3]);
    f8_store_bytes(bytes[4], high[0], high[1], high[2], high[3]);
    for (size_t b = 0; b < t->blocks; b++) {
        dst[b].d = d[b];
        memcpy(dst[b].qh, bytes[4][b], 4);
        for (int j = 0; j < 4; j++)
            memcpy(dst[b].qs + 4 * j, bytes[j][b], 4);
    }
}

static inline void encode_q5_0(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    struct block_q5_0 *out = dst;
    struct tile t;
    for (size_t i = 0; i < n; i += TILE) {
        tile_load(&t, src + i, importance ? importance + i : NULL, n - i);
        encode_q5_0_tile(out + i / BLOCK_ELEMS, &t);
    }
}

/* Puts the extremum of each block at -128, or at 127 where -128 would cut off the other end. */
static inline f8 q8_0_scale(const float *src)
{
    f8 low[LANES], high[LANES];
    for (int b = 0; b < LANES; b++, src += BLOCK_ELEMS) {
        low[b] = high[b] = f8_load(src);
        for (int j = LANES; j < BLOCK_ELEMS; j += LANES) {
            low[b] = f8_min(low[b], f8_load(src + j));
            high[b] = f8_max(high[b], f8_load(src + j));
        }
    }
    f8_transpose(low);
    f8_transpose(high);
    f8 least = low[0], most = high[0];
    for (int j = 1; j < LANES; j++) {
        least = f8_min(least, low[j]);
        most = f8_max(most, high[j]);
    }
    const f8 depth = f8_neg(least), far = f8_max(most, depth), near = f8_min(most, depth);
    const m8 cut = f8_lt(f8_mul(far, f8_set1(127.5f / 128.0f)), near);
    const f8 unit = f8_select(f8_lt(depth, most), f8_set1(-1.0f / 128.0f), f8_set1(1.0f / 128.0f));
    return half_scale(f8_mul(far, f8_select(cut, f8_set1(1.0f / 127.0f), unit)));
}

static inline f8 q8_0_weighted_scale(const float *src, const float *importance, size_t left)
{
    static const struct starts starts = {6, {-128.0f, -127.0f, -126.0f, -125.0f, -124.0f, -123.0f}};
    struct tile t;
    tile_load(&t, src, importance, left);
    return half_scale(fit_blocks(t.x, t.w, BLOCK_ELEMS, 128.0f, &starts).scale);
}

/* Codes are rounded along the block, not across: nothing is summed. */
static inline void q8_0_store(struct block_q8_0 *dst, const float *src, f8 scale, size_t blocks)
{
    float inverse[LANES];
    uint16_t d[LANES];
    f8_store(inverse, inverse_of(scale));
    f8_store_half(d, scale);
    for (size_t b = 0; b < blocks; b++, src += BLOCK_ELEMS) {
        const f8 unit = f8_set1(inverse[b]);
        f8 q[4];
        for (int j = 0; j < 4; j++)
            q[j] = code_of(f8_mul(f8_load(src + LANES * j), unit), 128.0f);
        dst[b].d = d[b];
        f8_store_int8(dst[b].qs, q[0], q[1], q[2], q[3]);
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
