/* affine_impl.h - the encoders of Q4_1, Q5_1, Q2_K, Q4_K and Q5_K, written once
 * for any lanes (include a lanes header first).  Layouts: core/block.h. */
#ifndef QUANTIZE_AFFINE_IMPL_H
#define QUANTIZE_AFFINE_IMPL_H

#include "quantize/affine_search_impl.h"
#include "quantize/affine_super_impl.h"

#include "core/block.h"
#include "core/half.h"
#include "quantize/kernels.h"
#include "quantize/pack.h"

#include <string.h>

/* Takes the fifth bits off eight codes: bit i of the result is that of codes[i]. */
static inline f8 take_fifth_bits(f8 codes[LANES])
{
    const f8 zero = f8_set1(0.0f), one = f8_set1(1.0f), sixteen = f8_set1(16.0f);
    f8 bits = zero;
    for (int i = LANES - 1; i >= 0; i--) {
        const m8 set = f8_le(sixteen, codes[i]);
        codes[i] = f8_sub(codes[i], f8_select(set, sixteen, zero));
        bits = f8_add(f8_add(bits, bits), f8_select(set, one, zero));
    }
    return bits;
}

static inline f8 nibbles(f8 low, f8 high) { return f8_add(low, f8_mul(high, f8_set1(16.0f))); }

/* Q4_1 and Q5_1: the blocks are on their own, and eight are fitted at once. */

struct legacy {
    uint16_t d[LANES], m[LANES];
    uint8_t qh[LANES][4];
    uint8_t qs[4][LANES][4]; /* bytes 4 g .. 4 g + 3 of block l: qs[g][l] */
};

static inline void legacy_pack(struct legacy *out, f8 *codes, bool fifth_bits)
{
    if (fifth_bits)
        f8_store_bytes(out->qh, take_fifth_bits(codes), take_fifth_bits(codes + 8),
                       take_fifth_bits(codes + 16), take_fifth_bits(codes + 24));
    for (int g = 0; g < 4; g++) {
        const f8 *c = codes + 4 * g;
        f8_store_bytes(out->qs[g], nibbles(c[0], c[16]), nibbles(c[1], c[17]), nibbles(c[2], c[18]),
                       nibbles(c[3], c[19]));
    }
}

static inline void legacy_fit(struct legacy *out, struct tile *t, const struct affine_search *how)
{
    struct moments fit;
    struct grid g = tile_search(t, how, &fit);
    g.scale = to_half(g.scale);
    const f8 offset = to_half(f8_add(grid_offset(t, g), t->base));
    g.offset = f8_sub(offset, t->base);
    f8 codes[STEPS_MAX];
    grid_codes(codes, t, g, false);
    legacy_pack(out, codes, t->top > 15.0f);
    f8_store_half(out->d, g.scale);
    f8_store_half(out->m, offset);
}

/* The next blocks of a row, eight or as many as are left. */
static inline void legacy_next(struct legacy *out, float top, const struct affine_search *how,
                               const float *src, const float *importance, size_t blocks)
{
    float x[LANES * BLOCK_ELEMS], w[LANES * BLOCK_ELEMS];
    struct tile t;
    t.steps = BLOCK_ELEMS;
    t.top = top;
    if (blocks < LANES) {
        const size_t size = blocks * BLOCK_ELEMS * sizeof *src;
        memset(x, 0, sizeof x);
        memset(w, 0, sizeof w);
        src = memcpy(x, src, size);
        importance = importance ? memcpy(w, importance, size) : NULL;
    }
    tile_weigh(&t, tile_load(&t, src, importance, NO_LIMIT));
    legacy_fit(out, &t, how);
}

static void encode_q4_1(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    const struct affine_search *how = importance ? &affine_weighted_q4 : &affine_plain_q4;
    uint8_t *out = dst;
    for (size_t i = 0; i < n; i += LANES * BLOCK_ELEMS) {
        const size_t left = (n - i) / BLOCK_ELEMS, blocks = left < LANES ? left : LANES;
        struct legacy c;
        legacy_next(&c, 15.0f, how, src + i, importance ? importance + i : NULL, blocks);
        for (size_t b = 0; b < blocks; b++) {
            struct block_q4_1 block = {.d = c.d[b], .m = c.m[b]};
            for (int g = 0; g < 4; g++)
                memcpy(block.qs + 4 * g, c.qs[g][b], 4);
            memcpy(out, &block, sizeof block);
            out += sizeof block;
        }
    }
}

static void encode_q5_1(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    const struct affine_search *how = importance ? &affine_weighted_q5 : &affine_plain_q5;
    uint8_t *out = dst;
    for (size_t i = 0; i < n; i += LANES * BLOCK_ELEMS) {
        const size_t left = (n - i) / BLOCK_ELEMS, blocks = left < LANES ? left : LANES;
        struct legacy c;
        legacy_next(&c, 31.0f, how, src + i, importance ? importance + i : NULL, blocks);
        for (size_t b = 0; b < blocks; b++) {
            struct block_q5_1 block = {.d = c.d[b], .m = c.m[b]};
            memcpy(block.qh, c.qh[b], sizeof block.qh);
            for (int g = 0; g < 4; g++)
                memcpy(block.qs + 4 * g, c.qs[g][b], 4);
            memcpy(out, &block, sizeof block);
            out += sizeof block;
        }
    }
}

/* The K types. */

/* qs of tile k, whose block l = 2 * s + h holds columns 16 h .. 16 h + 15 of shift s. */
static inline void pack_two_bits(uint8_t *qs, const f8 *codes)
{
    const f8 four = f8_set1(4.0f);
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 2; j++) {
            const f8 *c = codes + j * LANES + h;
            f8 sum = c[6];
            for (int l = 4; l >= 0; l -= 2)
                sum = f8_add(f8_mul(sum, four), c[l]);
            f8_store_uint8(qs + 16 * h + 8 * j, sum);
        }
}

static inline void pack_nibbles(uint8_t *qs, const f8 *codes)
{
    for (int p = 0; p < 4; p++)
        for (int j = 0; j < 4; j++) {
            const f8 *c = codes + j * LANES + 2 * p;
            f8_store_uint8(qs + 32 * p + 8 * j, nibbles(c[0], c[1]));
        }
}

/* The whole scales and minima of eight blocks. */
static inline void pack_scales(uint8_t *dst, const struct super *s)
{
    uint8_t sc[LANES], m[LANES];
    f8_store_uint8(sc, s->sc[0]);
    f8_store_uint8(m, s->m[0]);
    pack_scales_mins(dst, sc, m);
}

static void encode_q2_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    const struct affine_search *how = importance ? &affine_weighted_q2 : &affine_plain_q2;
    uint8_t *out = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct super s;
        super_load(&s, 16, 3.0f, 15.0f, src + i, importance ? importance + i : NULL);
        super_fit(&s, how);
        struct block_q2_k block = {.d = half_from_float(s.d), .dmin = half_from_float(s.dmin)};
        for (int k = 0; k < 2; k++) {
            f8 codes[STEPS_MAX];
            super_codes(codes, &s, k);
            pack_two_bits(block.qs + 32 * k, codes);
            f8_store_uint8(block.scales + LANES * k, nibbles(s.sc[k], s.m[k]));
        }
        memcpy(out, &block, sizeof block);
        out += sizeof block;
    }
}

static void encode_q4_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    const struct affine_search *how = importance ? &affine_weighted_q4 : &affine_plain_q4;
    uint8_t *out = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct super s;
        super_load(&s, 32, 15.0f, 63.0f, src + i, importance ? importance + i : NULL);
        super_fit(&s, how);
        struct block_q4_k block = {.d = half_from_float(s.d), .dmin = half_from_float(s.dmin)};
        pack_scales(block.scales, &s);
        f8 codes[STEPS_MAX];
        super_codes(codes, &s, 0);
        pack_nibbles(block.qs, codes);
        memcpy(out, &block, sizeof block);
        out += sizeof block;
    }
}

static void encode_q5_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    const struct affine_search *how = importance ? &affine_weighted_q5 : &affine_plain_q5;
    uint8_t *out = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct super s;
        super_load(&s, 32, 31.0f, 63.0f, src + i, importance ? importance + i : NULL);
        super_fit(&s, how);
        struct block_q5_k block = {.d = half_from_float(s.d), .dmin = half_from_float(s.dmin)};
        pack_scales(block.scales, &s);
        f8 codes[STEPS_MAX];
        super_codes(codes, &s, 0);
        for (int j = 0; j < 4; j++)
            f8_store_uint8(block.qh + LANES * j, take_fifth_bits(codes + LANES * j));
        pack_nibbles(block.qs, codes);
        memcpy(out, &block, sizeof block);
        out += sizeof block;
    }
}

static inline void affine_init(struct kernels *k)
{
    k->encode[DTYPE_Q4_1] = encode_q4_1;
    k->encode[DTYPE_Q5_1] = encode_q5_1;
    k->encode[DTYPE_Q2_K] = encode_q2_k;
    k->encode[DTYPE_Q4_K] = encode_q4_k;
    k->encode[DTYPE_Q5_K] = encode_q5_k;
}

#endif
