/* dot_unpack_avx2.h - a piece of 256 weights of each type, unpacked to AVX2 registers: what the
 * row kernels and the packers of panels begin with.
 *
 * core/block.h draws the blocks.  Codes come in the order of the weights, 32 a vector; what is to
 * be taken off them, or that they are signed, the table in dot_avx2.c says.
 */
#ifndef QUANTIZE_DOT_UNPACK_AVX2_H
#define QUANTIZE_DOT_UNPACK_AVX2_H

#include "core/block.h"
#include "core/half.h"
#include "quantize/dot_panel.h"
#include "quantize/value_table.h"

#include <immintrin.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FIELD(block, field) (at + offsetof(struct block, field))

/* Eight blocks of 32. */
struct blocks {
    __m256i u[8];
    __m256 d, m;
};

/* A super-block.  Numbers of its groups are of 16 bits.  Of sixteen groups: those of 0, 2, .. 14,
 * then 1, 3, .. 15; of eight: the scales and then, in the same vector, the minima. */
struct super {
    __m256i u[8];
    __m256i scale, min;
    __m128 d; /* and m, after it */
};

INLINE __m128i load16(const void *p) { return _mm_loadu_si128(p); }
INLINE __m256i load32(const void *p) { return _mm256_loadu_si256(p); }

INLINE uint32_t load_u32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE short load_u16(const uint8_t *p)
{
    short v;
    memcpy(&v, p, sizeof v);
    return v;
}

/* The half at p, or two of them, to the first floats. */
INLINE __m128 load_half(const uint8_t *p)
{
    return _mm_cvtph_ps(_mm_cvtsi32_si128((uint16_t)load_u16(p)));
}

INLINE __m128 load_two_halves(const uint8_t *p)
{
    return _mm_cvtph_ps(_mm_cvtsi32_si128((int)load_u32(p)));
}

/* Halves that are `apart` bytes from each other. */
INLINE __m256 load_halves(const uint8_t *p, size_t apart)
{
    return _mm256_cvtph_ps(_mm_setr_epi16(load_u16(p), load_u16(p + apart), load_u16(p + 2 * apart),
                                          load_u16(p + 3 * apart), load_u16(p + 4 * apart),
                                          load_u16(p + 5 * apart), load_u16(p + 6 * apart),
                                          load_u16(p + 7 * apart)));
}

/* Sixteen bytes of nibbles to 32 bytes: all the low ones, then all the high ones. */
INLINE __m256i nibbles(const uint8_t *qs)
{
    const __m128i both = load16(qs);
    const __m256i q = _mm256_set_m128i(_mm_srli_epi16(both, 4), both);
    return _mm256_and_si256(q, _mm256_set1_epi8(15));
}

/* Thirty-two bits to 0 and 16. */
INLINE __m256i fifth_bits(const uint8_t *qh)
{
    const __m256i spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32((int)load_u32(qh)),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

/* Bits `shift` and up of each byte, under a mask. */
INLINE __m256i bits_at(__m256i bytes, int shift, char mask)
{
    return _mm256_and_si256(_mm256_srli_epi16(bytes, shift), _mm256_set1_epi8(mask));
}

/* Sixteen signed or unsigned bytes to 16 bits, even ones first. */
INLINE __m128i even_first(__m128i bytes)
{
    return _mm_shuffle_epi8(bytes,
                            _mm_setr_epi8(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15));
}

#define UNPACK_BLOCKS(block, codes)                                                                \
    UNROLL                                                                                         \
    for (int b = 0; b < 8; b++) {                                                                  \
        const uint8_t *at = piece + (size_t)b * sizeof(struct block);                              \
        out->u[b] = codes;                                                                         \
    }                                                                                              \
    out->d = load_halves(piece + offsetof(struct block, d), sizeof(struct block));

INLINE void unpack_q4_0(struct blocks *out, const uint8_t *piece){
    UNPACK_BLOCKS(block_q4_0, nibbles(FIELD(block_q4_0, qs)))}

INLINE void unpack_q4_1(struct blocks *out, const uint8_t *piece)
{
    UNPACK_BLOCKS(block_q4_1, nibbles(FIELD(block_q4_1, qs)))
    out->m = load_halves(piece + offsetof(struct block_q4_1, m), sizeof(struct block_q4_1));
}

INLINE void unpack_q5_0(struct blocks *out, const uint8_t *piece){
    UNPACK_BLOCKS(block_q5_0, _mm256_or_si256(nibbles(FIELD(block_q5_0, qs)),
                                              fifth_bits(FIELD(block_q5_0, qh))))}

INLINE void unpack_q5_1(struct blocks *out, const uint8_t *piece)
{
    UNPACK_BLOCKS(block_q5_1, _mm256_or_si256(nibbles(FIELD(block_q5_1, qs)),
                                              fifth_bits(FIELD(block_q5_1, qh))))
    out->m = load_halves(piece + offsetof(struct block_q5_1, m), sizeof(struct block_q5_1));
}

INLINE void unpack_q8_0(struct blocks *out, const uint8_t *piece){
    UNPACK_BLOCKS(block_q8_0, load32(FIELD(block_q8_0, qs)))}

INLINE void unpack_iq4_nl(struct blocks *out, const uint8_t *piece)
{
    const __m256i values = _mm256_broadcastsi128_si256(load16(iq4_values));
    UNPACK_BLOCKS(block_iq4_nl, _mm256_shuffle_epi8(values, nibbles(FIELD(block_iq4_nl, qs))))
}

/* 2^(e - 128), subnormal for e < 2. */
INLINE void unpack_mxfp4(struct blocks *out, const uint8_t *piece)
{
    const __m256i values = _mm256_broadcastsi128_si256(load16(mxfp4_values));
    uint8_t e[8];
    UNROLL
    for (int b = 0; b < 8; b++) {
        const uint8_t *at = piece + (size_t)b * sizeof(struct block_mxfp4);
        out->u[b] = _mm256_shuffle_epi8(values, nibbles(FIELD(block_mxfp4, qs)));
        e[b] = at[offsetof(struct block_mxfp4, e)];
    }
    const __m256i exponent = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)e));
    const __m256i normal = _mm256_slli_epi32(_mm256_sub_epi32(exponent, _mm256_set1_epi32(1)), 23);
    const __m256i small = _mm256_sllv_epi32(_mm256_set1_epi32(0x00200000), exponent);
    const __m256i is_small = _mm256_cmpgt_epi32(_mm256_set1_epi32(2), exponent);
    out->d = _mm256_castsi256_ps(_mm256_blendv_epi8(normal, small, is_small));
}

INLINE void unpack_q2_k(struct super *out, const uint8_t *at)
{
    const __m128i packed = even_first(load16(FIELD(block_q2_k, scales))), low = _mm_set1_epi8(15);
    const __m256i qs[2] = {load32(FIELD(block_q2_k, qs)), load32(FIELD(block_q2_k, qs) + 32)};
    UNROLL
    for (int g = 0; g < 8; g++)
        out->u[g] = bits_at(qs[g / 4], 2 * (g % 4), 3);
    out->scale = _mm256_cvtepu8_epi16(_mm_and_si128(packed, low));
    out->min = _mm256_cvtepu8_epi16(_mm_and_si128(_mm_srli_epi16(packed, 4), low));
    out->d = load_two_halves(FIELD(block_q2_k, d));
}

/* The scales as quantize/decode.h draws them: low nibbles and the top two bits apart. */
INLINE void unpack_q3_k(struct super *out, const uint8_t *at)
{
    const uint8_t *s = FIELD(block_q3_k, scales);
    const __m128i both = _mm_loadl_epi64((const void *)s);
    const __m128i low =
        _mm_and_si128(_mm_unpacklo_epi64(both, _mm_srli_epi16(both, 4)), _mm_set1_epi8(15));
    const __m128i top = _mm_and_si128(
        _mm_srlv_epi32(_mm_set1_epi32((int)load_u32(s + 8)), _mm_setr_epi32(0, 2, 4, 6)),
        _mm_set1_epi8(3));
    const __m128i scale =
        _mm_sub_epi8(_mm_or_si128(low, _mm_slli_epi16(top, 4)), _mm_set1_epi8(32));
    const __m256i qs[2] = {load32(FIELD(block_q3_k, qs)), load32(FIELD(block_q3_k, qs) + 32)};
    const __m256i hmask = load32(FIELD(block_q3_k, hmask));
    UNROLL
    for (int g = 0; g < 8; g++) {
        const __m256i high = g < 2 ? _mm256_slli_epi16(bits_at(hmask, 0, (char)(1 << g)), 2 - g)
                                   : bits_at(hmask, g - 2, 4);
        out->u[g] = _mm256_or_si256(bits_at(qs[g / 4], 2 * (g % 4), 3), high);
    }
    out->scale = _mm256_cvtepi8_epi16(even_first(scale));
    out->d = load_half(FIELD(block_q3_k, d));
}

/* The halves and both sets of eight six-bit numbers that quantize/decode.h draws: the first sixteen
 * bytes of a block. */
INLINE void unpack_scales(struct super *out, const uint8_t *at)
{
    const __m128i all = load16(at); /* d and m, a, b, low */
    const __m128i six = _mm_shuffle_epi32(all, 0xed), top = _mm_shuffle_epi32(all, 0xa5);
    const __m128i low =
        _mm_and_si128(_mm_srlv_epi32(six, _mm_setr_epi32(0, 0, 0, 4)),
                      _mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const __m128i high =
        _mm_and_si128(_mm_srli_epi32(top, 2), _mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
    out->scale = _mm256_cvtepu8_epi16(_mm_or_si128(low, high));
    out->d = _mm_cvtph_ps(all);
}

static_assert(offsetof(struct block_q4_k, scales) == 4 && offsetof(struct block_q5_k, scales) == 4,
              "twelve bytes of scales follow two halves");

INLINE void unpack_q4_k(struct super *out, const uint8_t *at)
{
    UNROLL
    for (int p = 0; p < 4; p++) {
        const __m256i qs = load32(FIELD(block_q4_k, qs) + 32 * p);
        out->u[2 * p] = bits_at(qs, 0, 15);
        out->u[2 * p + 1] = bits_at(qs, 4, 15);
    }
    unpack_scales(out, at);
}

INLINE void unpack_q5_k(struct super *out, const uint8_t *at)
{
    const __m256i qh = load32(FIELD(block_q5_k, qh));
    UNROLL
    for (int g = 0; g < 8; g++) {
        const __m256i low = bits_at(load32(FIELD(block_q5_k, qs) + 32 * (g / 2)), 4 * (g % 2), 15);
        const __m256i high = g < 4 ? _mm256_slli_epi16(bits_at(qh, 0, (char)(1 << g)), 4 - g)
                                   : bits_at(qh, g - 4, 16);
        out->u[g] = _mm256_or_si256(low, high);
    }
    unpack_scales(out, at);
}

INLINE void unpack_q6_k(struct super *out, const uint8_t *at)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        const __m256i a = load32(FIELD(block_q6_k, ql) + 64 * h);
        const __m256i b = load32(FIELD(block_q6_k, ql) + 64 * h + 32);
        const __m256i top = load32(FIELD(block_q6_k, qh) + 32 * h);
        __m256i *u = out->u + 4 * h;
        u[0] = _mm256_or_si256(bits_at(a, 0, 15), _mm256_slli_epi16(bits_at(top, 0, 3), 4));
        u[1] = _mm256_or_si256(bits_at(b, 0, 15), _mm256_slli_epi16(bits_at(top, 0, 12), 2));
        u[2] = _mm256_or_si256(bits_at(a, 4, 15), bits_at(top, 0, 48));
        u[3] = _mm256_or_si256(bits_at(b, 4, 15), bits_at(top, 2, 48));
    }
    out->scale = _mm256_cvtepi8_epi16(even_first(load16(FIELD(block_q6_k, scales))));
    out->d = load_half(FIELD(block_q6_k, d));
}

INLINE void unpack_iq4_xs(struct super *out, const uint8_t *at)
{
    const __m256i values = _mm256_broadcastsi128_si256(load16(iq4_values));
    UNROLL
    for (int g = 0; g < 8; g++)
        out->u[g] = _mm256_shuffle_epi8(values, nibbles(FIELD(block_iq4_xs, qs) + 16 * g));
    const __m128i both = _mm_cvtsi32_si128((int)load_u32(FIELD(block_iq4_xs, scales_l)));
    const __m128i low =
        _mm_and_si128(_mm_unpacklo_epi8(both, _mm_srli_epi16(both, 4)), _mm_set1_epi8(15));
    const __m256i top = _mm256_and_si256(
        _mm256_srlv_epi32(_mm256_set1_epi32(load_u16(FIELD(block_iq4_xs, scales_h))),
                          _mm256_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14)),
        _mm256_set1_epi32(3));
    const __m256i scale =
        _mm256_sub_epi32(_mm256_or_si256(_mm256_cvtepu8_epi32(low), _mm256_slli_epi32(top, 4)),
                         _mm256_set1_epi32(32));
    out->scale = _mm256_permute4x64_epi64(_mm256_packs_epi32(scale, scale), 0x88);
    out->d = load_half(FIELD(block_iq4_xs, d));
}

/* The trit in front of the point of q * 3 / 256, and what is left behind it. */
INLINE __m256i take_trits(__m256i *q)
{
    const __m256i one = _mm256_set1_epi8(86), two = _mm256_set1_epi8((char)171);
    const __m256i a = _mm256_cmpeq_epi8(_mm256_max_epu8(*q, one), *q);
    const __m256i b = _mm256_cmpeq_epi8(_mm256_max_epu8(*q, two), *q);
    *q = _mm256_add_epi8(*q, _mm256_add_epi8(*q, *q));
    return _mm256_sub_epi8(_mm256_setzero_si256(), _mm256_add_epi8(a, b));
}

INLINE void unpack_tq1_0(struct super *out, const uint8_t *at)
{
    __m256i q = load32(FIELD(block_tq1_0, qs));
    UNROLL
    for (int k = 0; k < 5; k++)
        out->u[k] = take_trits(&q);
    /* The other sixteen bytes beside the last four: planes 0 and 1, 2 and 3, 4 and all four. */
    __m128i rest[6];
    q = _mm256_set_m128i(_mm_cvtsi32_si128((int)load_u32(FIELD(block_tq1_0, qh))),
                         load16(FIELD(block_tq1_0, qs) + 32));
    __m256i plane[5];
    UNROLL
    for (int k = 0; k < 5; k++) {
        plane[k] = take_trits(&q);
        rest[k] = _mm256_castsi256_si128(plane[k]);
    }
    rest[5] = _mm_unpacklo_epi64(_mm_unpacklo_epi32(_mm256_extracti128_si256(plane[0], 1),
                                                    _mm256_extracti128_si256(plane[1], 1)),
                                 _mm_unpacklo_epi32(_mm256_extracti128_si256(plane[2], 1),
                                                    _mm256_extracti128_si256(plane[3], 1)));
    UNROLL
    for (int k = 0; k < 3; k++)
        out->u[5 + k] = _mm256_set_m128i(rest[2 * k + 1], rest[2 * k]);
    out->scale = _mm256_set1_epi16(1);
    out->d = load_half(FIELD(block_tq1_0, d));
}

INLINE void unpack_tq2_0(struct super *out, const uint8_t *at)
{
    const __m256i qs[2] = {load32(FIELD(block_tq2_0, qs)), load32(FIELD(block_tq2_0, qs) + 32)};
    UNROLL
    for (int g = 0; g < 8; g++)
        out->u[g] = bits_at(qs[g / 4], 2 * (g % 4), 3);
    out->scale = _mm256_set1_epi16(1);
    out->d = load_half(FIELD(block_tq2_0, d));
}

#endif
