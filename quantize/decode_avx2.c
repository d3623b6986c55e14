/* decode_avx2.c - the common decoders in AVX2 and F16C; same bits as the reference.
 * Blocks of 32 are read in place: a copy as wide as theirs would stall the loads after it. */
#include "quantize/decode.h"

#include "core/half.h"
#include "quantize/value_table.h"

#include <immintrin.h>
#include <stddef.h>
#include <string.h>

#define FIELD(block, field) (at + offsetof(struct block, field))

static inline __m128i load16(const void *p) { return _mm_loadu_si128(p); }

static inline __m256i load32(const void *p) { return _mm256_loadu_si256(p); }

static inline __m256 half_at(const void *p)
{
    uint16_t h;
    memcpy(&h, p, sizeof h);
    return _mm256_set1_ps(_cvtsh_ss(h));
}

/* Sixteen signed bytes to d * q, or to d * q + m. */
static inline void put16(float *dst, __m128i q, __m256 d)
{
    const __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
    const __m256 b = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(q, q)));
    _mm256_storeu_ps(dst, _mm256_mul_ps(d, a));
    _mm256_storeu_ps(dst + 8, _mm256_mul_ps(d, b));
}

static inline void put16_min(float *dst, __m128i q, __m256 d, __m256 m)
{
    const __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(q));
    const __m256 b = _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_unpackhi_epi64(q, q)));
    _mm256_storeu_ps(dst, _mm256_add_ps(_mm256_mul_ps(d, a), m));
    _mm256_storeu_ps(dst + 8, _mm256_add_ps(_mm256_mul_ps(d, b), m));
}

/* The same of 32 bytes; the halves may have scales of their own. */
static inline void put32(float *dst, __m256i q, __m256 d0, __m256 d1)
{
    put16(dst, _mm256_castsi256_si128(q), d0);
    put16(dst + 16, _mm256_extracti128_si256(q, 1), d1);
}

static inline void put32_min(float *dst, __m256i q, __m256 d, __m256 m)
{
    put16_min(dst, _mm256_castsi256_si128(q), d, m);
    put16_min(dst + 16, _mm256_extracti128_si256(q, 1), d, m);
}

/* Sixteen bytes of nibbles to 32 bytes: all the low ones, then all the high ones. */
static inline __m256i nibbles(const uint8_t *qs)
{
    const __m128i both = load16(qs);
    const __m256i q = _mm256_set_m128i(_mm_srli_epi16(both, 4), both);
    return _mm256_and_si256(q, _mm256_set1_epi8(15));
}

/* Thirty-two bits to the bytes 0 and 16. */
static inline __m256i fifth_bits(const uint8_t qh[4])
{
    int32_t bits;
    memcpy(&bits, qh, sizeof bits);
    const __m256i spread = _mm256_shuffle_epi8(
        _mm256_set1_epi32(bits),
        _mm256_setr_epi64x(0, 0x0101010101010101, 0x0202020202020202, 0x0303030303030303));
    const __m256i bit = _mm256_set1_epi64x((long long)0x8040201008040201);
    const __m256i set = _mm256_cmpeq_epi8(_mm256_and_si256(spread, bit), bit);
    return _mm256_and_si256(set, _mm256_set1_epi8(16));
}

/* Bits `shift` and up of each byte, under a mask. */
static inline __m256i bits_at(__m256i bytes, size_t shift, char mask)
{
    return _mm256_and_si256(_mm256_srl_epi16(bytes, _mm_cvtsi32_si128((int)shift)),
                            _mm256_set1_epi8(mask));
}

static void decode_f16(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm256_storeu_ps(dst + i, _mm256_cvtph_ps(load16(at + 2 * i)));
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, at + 2 * i, sizeof h);
        dst[i] = half_to_float(h);
    }
}

static void decode_bf16(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        const __m256i h = _mm256_slli_epi32(_mm256_cvtepu16_epi32(load16(at + 2 * i)), 16);
        _mm256_storeu_ps(dst + i, _mm256_castsi256_ps(h));
    }
    for (; i < n; i++) {
        uint16_t h;
        memcpy(&h, at + 2 * i, sizeof h);
        dst[i] = bf16_to_float(h);
    }
}

static void decode_q4_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_q4_0)) {
        const __m256 d = half_at(FIELD(block_q4_0, d));
        put32(dst + i, _mm256_sub_epi8(nibbles(FIELD(block_q4_0, qs)), _mm256_set1_epi8(8)), d, d);
    }
}

static void decode_q4_1(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_q4_1)) {
        put32_min(dst + i, nibbles(FIELD(block_q4_1, qs)), half_at(FIELD(block_q4_1, d)),
                  half_at(FIELD(block_q4_1, m)));
    }
}

static void decode_q5_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_q5_0)) {
        const __m256 d = half_at(FIELD(block_q5_0, d));
        const __m256i q =
            _mm256_or_si256(nibbles(FIELD(block_q5_0, qs)), fifth_bits(FIELD(block_q5_0, qh)));
        put32(dst + i, _mm256_sub_epi8(q, _mm256_set1_epi8(16)), d, d);
    }
}

static void decode_q5_1(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_q5_1)) {
        const __m256i q =
            _mm256_or_si256(nibbles(FIELD(block_q5_1, qs)), fifth_bits(FIELD(block_q5_1, qh)));
        put32_min(dst + i, q, half_at(FIELD(block_q5_1, d)), half_at(FIELD(block_q5_1, m)));
    }
}

static void decode_q8_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_q8_0)) {
        const __m256 d = half_at(FIELD(block_q8_0, d));
        put32(dst + i, load32(FIELD(block_q8_0, qs)), d, d);
    }
}

static void decode_iq4_nl(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    const __m256i values = _mm256_broadcastsi128_si256(load16(iq4_values));
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, at += sizeof(struct block_iq4_nl)) {
        const __m256 d = half_at(FIELD(block_iq4_nl, d));
        put32(dst + i, _mm256_shuffle_epi8(values, nibbles(FIELD(block_iq4_nl, qs))), d, d);
    }
}

static void decode_mxfp4(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    const __m256i values = _mm256_broadcastsi128_si256(load16(mxfp4_values));
    for (size_t i = 0; i < n; i += BLOCK_ELEMS) {
        struct block_mxfp4 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const __m256 d = _mm256_set1_ps(mxfp4_scale(b.e));
        put32(dst + i, _mm256_shuffle_epi8(values, nibbles(b.qs)), d, d);
    }
}

static void decode_tq2_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_tq2_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const __m256 d = _mm256_set1_ps(_cvtsh_ss(b.d));
        for (size_t g = 0; g < 8; g++) {
            const __m256i q = bits_at(load32(b.qs + 32 * (g / 4)), 2 * (g % 4), 3);
            put32(dst + i + 32 * g, _mm256_sub_epi8(q, _mm256_set1_epi8(1)), d, d);
        }
    }
}

/* out[j] = d * q[j] for sixteen signed bytes: the scales of a super-block's blocks. */
static inline void scale_factors(float out[16], __m128i q, float d)
{
    put16(out, q, _mm256_set1_ps(d));
}

static void decode_q2_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_q2_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        float d[16], m[16];
        const __m128i packed = load16(b.scales), low = _mm_set1_epi8(15);
        scale_factors(d, _mm_and_si128(packed, low), _cvtsh_ss(b.d));
        scale_factors(m, _mm_and_si128(_mm_srli_epi16(packed, 4), low), -_cvtsh_ss(b.dmin));
        for (size_t g = 0; g < 8; g++) {
            float *out = dst + i + 32 * g;
            const __m256i q = bits_at(load32(b.qs + 32 * (g / 4)), 2 * (g % 4), 3);
            put16_min(out, _mm256_castsi256_si128(q), _mm256_set1_ps(d[2 * g]),
                      _mm256_set1_ps(m[2 * g]));
            put16_min(out + 16, _mm256_extracti128_si256(q, 1), _mm256_set1_ps(d[2 * g + 1]),
                      _mm256_set1_ps(m[2 * g + 1]));
        }
    }
}

static void decode_q3_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_q3_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        int8_t scale[16];
        float d[16];
        unpack_scales_q3(scale, b.scales);
        scale_factors(d, load16(scale), _cvtsh_ss(b.d));
        const __m256i hmask = load32(b.hmask);
        for (size_t g = 0; g < 8; g++) {
            const __m256i low = bits_at(load32(b.qs + 32 * (g / 4)), 2 * (g % 4), 3);
            const __m256i high = _mm256_slli_epi16(bits_at(hmask, g, 1), 2);
            const __m256i q = _mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(4));
            put32(dst + i + 32 * g, q, _mm256_set1_ps(d[2 * g]), _mm256_set1_ps(d[2 * g + 1]));
        }
    }
}

/* d[j] = d * scale j, m[j] = -dmin * min j of Q4_K and Q5_K. */
static inline void factors_mins(float d[16], const uint8_t *packed, float scale, float min)
{
    uint8_t q[16];
    unpack_scales_mins(q, q + 8, packed);
    const __m128i both = load16(q);
    const __m256 a = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(both));
    const __m256 b = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_unpackhi_epi64(both, both)));
    _mm256_storeu_ps(d, _mm256_mul_ps(_mm256_set1_ps(scale), a));
    _mm256_storeu_ps(d + 8, _mm256_mul_ps(_mm256_set1_ps(-min), b));
}

static void decode_q4_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_q4_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        float d[16];
        factors_mins(d, b.scales, _cvtsh_ss(b.d), _cvtsh_ss(b.dmin));
        for (size_t g = 0; g < 8; g++) {
            const __m256i q = bits_at(load32(b.qs + 32 * (g / 2)), 4 * (g % 2), 15);
            put32_min(dst + i + 32 * g, q, _mm256_set1_ps(d[g]), _mm256_set1_ps(d[8 + g]));
        }
    }
}

static void decode_q5_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_q5_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        float d[16];
        factors_mins(d, b.scales, _cvtsh_ss(b.d), _cvtsh_ss(b.dmin));
        const __m256i qh = load32(b.qh);
        for (size_t g = 0; g < 8; g++) {
            const __m256i low = bits_at(load32(b.qs + 32 * (g / 2)), 4 * (g % 2), 15);
            const __m256i high = _mm256_slli_epi16(bits_at(qh, g, 1), 4);
            put32_min(dst + i + 32 * g, _mm256_or_si256(low, high), _mm256_set1_ps(d[g]),
                      _mm256_set1_ps(d[8 + g]));
        }
    }
}

static void decode_q6_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_q6_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        float d[16];
        scale_factors(d, load16(b.scales), _cvtsh_ss(b.d));
        for (size_t g = 0; g < 8; g++) {
            const size_t h = g / 4, s = g % 4;
            const __m256i low = bits_at(load32(b.ql + 64 * h + 32 * (s % 2)), 4 * (s / 2), 15);
            const __m256i high = _mm256_slli_epi16(bits_at(load32(b.qh + 32 * h), 2 * s, 3), 4);
            const __m256i q = _mm256_sub_epi8(_mm256_or_si256(low, high), _mm256_set1_epi8(32));
            put32(dst + i + 32 * g, q, _mm256_set1_ps(d[2 * g]), _mm256_set1_ps(d[2 * g + 1]));
        }
    }
}

static void decode_iq4_xs(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    const __m256i values = _mm256_broadcastsi128_si256(load16(iq4_values));
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_iq4_xs b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        int8_t scale[8];
        unpack_scales_iq4(scale, &b);
        const float d = _cvtsh_ss(b.d);
        for (size_t g = 0; g < 8; g++) {
            const __m256 dl = _mm256_set1_ps(d * (float)scale[g]);
            put32(dst + i + 32 * g, _mm256_shuffle_epi8(values, nibbles(b.qs + 16 * g)), dl, dl);
        }
    }
}

void decode_init_avx2(struct kernels *k)
{
    k->decode[DTYPE_F16] = decode_f16;
    k->decode[DTYPE_BF16] = decode_bf16;
    k->decode[DTYPE_Q4_0] = decode_q4_0;
    k->decode[DTYPE_Q4_1] = decode_q4_1;
    k->decode[DTYPE_Q5_0] = decode_q5_0;
    k->decode[DTYPE_Q5_1] = decode_q5_1;
    k->decode[DTYPE_Q8_0] = decode_q8_0;
    k->decode[DTYPE_Q2_K] = decode_q2_k;
    k->decode[DTYPE_Q3_K] = decode_q3_k;
    k->decode[DTYPE_Q4_K] = decode_q4_k;
    k->decode[DTYPE_Q5_K] = decode_q5_k;
    k->decode[DTYPE_Q6_K] = decode_q6_k;
    k->decode[DTYPE_IQ4_NL] = decode_iq4_nl;
    k->decode[DTYPE_IQ4_XS] = decode_iq4_xs;
    k->decode[DTYPE_MXFP4] = decode_mxfp4;
    k->decode[DTYPE_TQ2_0] = decode_tq2_0;
}
