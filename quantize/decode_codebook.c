/* decode_codebook.c - the codebook types, which are only read: eight (IQ3: four)
 * weights at a time are a row of a fixed grid, times signs and a block scale.
 *
 * A sign byte negates weight j where bit j is set.  IQ2_XXS, IQ2_XS and IQ3_XXS store
 * seven of its bits: the number of minus signs is even, which gives the eighth. */
#include "quantize/decode.h"

#include "core/half.h"
#include "quantize/value_table.h"

#include <string.h>

static const uint8_t iq2_level[4] = {8, 25, 43, 0};
static const uint8_t iq3_xxs_level[8] = {4, 12, 20, 28, 36, 44, 52, 62};
static const uint8_t iq3_s_level[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/* The i-th of the words at p. */
static uint32_t word(const uint8_t *p, size_t i)
{
    uint32_t v;
    memcpy(&v, p + i * sizeof v, sizeof v);
    return v;
}

static uint32_t even_signs(uint32_t seven)
{
    uint32_t odd = seven ^ seven >> 4;
    odd ^= odd >> 2;
    odd ^= odd >> 1;
    return seven | (odd & 1) << 7;
}

/* Eight weights of an IQ2 grid entry. */
static void put_iq2(float *dst, float d, uint32_t entry, uint32_t signs)
{
    for (int j = 0; j < 8; j++) {
        const float v = d * (float)iq2_level[entry >> (2 * j) & 3];
        dst[j] = signs >> j & 1 ? -v : v;
    }
}

/* Four weights of an IQ3 grid entry. */
static void put_iq3(float *dst, float d, uint32_t entry, uint32_t signs, const uint8_t *level)
{
    for (int j = 0; j < 4; j++) {
        const float v = d * (float)level[entry >> (4 * j) & 7];
        dst[j] = signs >> j & 1 ? -v : v;
    }
}

/* Eight weights of an IQ1 grid entry: -1, 0, 1, all shifted by delta. */
static void put_iq1(float *dst, float d, uint32_t entry, float delta)
{
    for (int j = 0; j < 8; j++)
        dst[j] = d * ((float)(entry >> (2 * j) & 3) - 1.0f + delta);
}

/* Per 32 weights two words: four grid bytes; 4 x 7 sign bits and a four-bit scale. */
static void decode_iq2_xxs(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq2_xxs b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d) * 0.25f;
        for (size_t g = 0; g < 8; g++) {
            const uint32_t entries = b.qs[4 * g] | (uint32_t)b.qs[4 * g + 1] << 16;
            const uint32_t rest = b.qs[4 * g + 2] | (uint32_t)b.qs[4 * g + 3] << 16;
            const float dl = d * (0.5f + (float)(rest >> 28));
            for (int j = 0; j < 4; j++, dst += 8)
                put_iq2(dst, dl, iq2_xxs_grid[entries >> (8 * j) & 255],
                        even_signs(rest >> (7 * j) & 127));
        }
    }
}

/* Per 8 weights a word: nine bits of grid, seven of sign; a four-bit scale per 16. */
static void decode_iq2_xs(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq2_xs b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d) * 0.25f;
        for (size_t g = 0; g < 32; g++, dst += 8) {
            const int scale = b.scales[g / 4] >> (4 * (g / 2 % 2)) & 15;
            put_iq2(dst, d * (0.5f + (float)scale), iq2_xs_grid[b.qs[g] & 511],
                    even_signs(b.qs[g] >> 9));
        }
    }
}

/* Ten bits of grid (eight in qs, two in qh), then whole sign bytes. */
static void decode_iq2_s(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq2_s b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d) * 0.25f;
        for (size_t g = 0; g < 32; g++, dst += 8) {
            const int scale = b.scales[g / 4] >> (4 * (g / 2 % 2)) & 15;
            const int entry = b.qs[g] | (b.qh[g / 4] >> (2 * (g % 4)) & 3) << 8;
            put_iq2(dst, d * (0.5f + (float)scale), iq2_s_grid[entry], b.qs[32 + g]);
        }
    }
}

/* 64 grid bytes, then per 32 weights a word: 4 x 7 sign bits and a four-bit scale. */
static void decode_iq3_xxs(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq3_xxs b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d) * 0.5f;
        for (size_t g = 0; g < 32; g++, dst += 8) {
            const uint32_t rest = word(b.qs + 64, g / 4);
            const uint32_t signs = even_signs(rest >> (7 * (g % 4)) & 127);
            const float dl = d * (0.5f + (float)(rest >> 28));
            put_iq3(dst, dl, iq3_xxs_grid[b.qs[2 * g]], signs, iq3_xxs_level);
            put_iq3(dst + 4, dl, iq3_xxs_grid[b.qs[2 * g + 1]], signs >> 4, iq3_xxs_level);
        }
    }
}

/* Nine bits of grid (the ninth in qh), whole sign bytes, a four-bit scale per 32. */
static void decode_iq3_s(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq3_s b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (size_t g = 0; g < 64; g++, dst += 4) {
            const int scale = b.scales[g / 16] >> (4 * (g / 8 % 2)) & 15;
            const int entry = b.qs[g] | (b.qh[g / 8] >> (g % 8) & 1) << 8;
            put_iq3(dst, d * (float)(1 + 2 * scale), iq3_s_grid[entry],
                    b.signs[g / 2] >> (4 * (g % 2)), iq3_s_level);
        }
    }
}

/* qh per 32 weights: 4 x 3 high bits of the grid, a three-bit scale, the sign of delta. */
static void decode_iq1_s(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq1_s b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (size_t g = 0; g < 32; g++, dst += 8) {
            const int qh = b.qh[g / 4];
            const int entry = b.qs[g] | (qh >> (3 * (g % 4)) & 7) << 8;
            put_iq1(dst, d * (float)(2 * (qh >> 12 & 7) + 1), iq1_grid[entry],
                    qh & 0x8000 ? -0.125f : 0.125f);
        }
    }
}

/* scales: four words of 4 x 3 bits, one scale per 16 weights; their top nibbles are d.
 * qh: a nibble per 8 weights, three high bits of the grid and the sign of delta. */
static void decode_iq1_m(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq1_m b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        uint16_t scales[4];
        memcpy(scales, b.scales, sizeof scales);
        const int bits = scales[0] >> 12 | (scales[1] >> 12) << 4 | (scales[2] >> 12) << 8 |
                         (scales[3] >> 12) << 12;
        const float d = half_to_float((uint16_t)bits);
        for (size_t g = 0; g < 32; g++, dst += 8) {
            const int scale = scales[g / 8] >> (3 * (g / 2 % 4)) & 7;
            const int qh = b.qh[g / 2] >> (4 * (g % 2)) & 15;
            put_iq1(dst, d * (float)(2 * scale + 1), iq1_grid[b.qs[g] | (qh & 7) << 8],
                    qh & 8 ? -0.125f : 0.125f);
        }
    }
}

void decode_codebook_init(struct kernels *k)
{
    k->decode[DTYPE_IQ2_XXS] = decode_iq2_xxs;
    k->decode[DTYPE_IQ2_XS] = decode_iq2_xs;
    k->decode[DTYPE_IQ2_S] = decode_iq2_s;
    k->decode[DTYPE_IQ3_XXS] = decode_iq3_xxs;
    k->decode[DTYPE_IQ3_S] = decode_iq3_s;
    k->decode[DTYPE_IQ1_S] = decode_iq1_s;
    k->decode[DTYPE_IQ1_M] = decode_iq1_m;
}
