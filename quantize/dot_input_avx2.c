/* dot_input_avx2.c - activations to eight bits in AVX2; same bytes as the reference. */
#include "quantize/dot.h"

#include "core/block.h"
#include "core/inline.h"

#include <immintrin.h>
#include <math.h>
#include <string.h>

/* The largest magnitude of 32 numbers, as bits: above all numbers for a NaN. */
INLINE __m256i top_bits(const float *x)
{
    const __m256i mask = _mm256_set1_epi32(0x7fffffff);
    __m256i top = _mm256_setzero_si256();
    UNROLL
    for (int i = 0; i < 32; i += 8) {
        const __m256i bits = _mm256_loadu_si256((const void *)(x + i));
        top = _mm256_max_epu32(top, _mm256_and_si256(bits, mask));
    }
    return top;
}

INLINE float largest(__m256i top)
{
    __m128i m = _mm_max_epu32(_mm256_castsi256_si128(top), _mm256_extracti128_si256(top, 1));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0x4e));
    m = _mm_max_epu32(m, _mm_shuffle_epi32(m, 0xb1));
    return _mm_cvtss_f32(_mm_castsi128_ps(m));
}

/* The scale that the codes of numbers up to `top` have, and its inverse, or no inverse. */
INLINE float scale_of(float top, float *inverse)
{
    *inverse = 0.0f;
    if (!(top < INFINITY))
        return NAN;
    if (top < 0x1p-100f)
        return 0.0f;
    *inverse = 127.0f / top;
    return top / 127.0f;
}

/* 32 codes; all zero where there is no inverse. */
INLINE __m256i codes_of(const float *x, float inverse)
{
    if (inverse == 0.0f)
        return _mm256_setzero_si256();
    __m256i q[4];
    UNROLL
    for (int i = 0; i < 4; i++)
        q[i] =
            _mm256_cvtps_epi32(_mm256_mul_ps(_mm256_loadu_ps(x + 8 * i), _mm256_set1_ps(inverse)));
    const __m256i all =
        _mm256_packs_epi16(_mm256_packs_epi32(q[0], q[1]), _mm256_packs_epi32(q[2], q[3]));
    return _mm256_permutevar8x32_epi32(all, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7));
}

/* Sums of two neighbouring codes. */
INLINE __m256i sums_of_pairs(__m256i q) { return _mm256_maddubs_epi16(_mm256_set1_epi8(1), q); }

/* Pairs of eight vectors: the sums of the lower sixteen codes of each, then of the upper ones. */
INLINE __m256i sums_of_halves(const __m256i p[8])
{
    const __m256i low =
        _mm256_hadd_epi16(_mm256_hadd_epi16(p[0], p[1]), _mm256_hadd_epi16(p[2], p[3]));
    const __m256i high =
        _mm256_hadd_epi16(_mm256_hadd_epi16(p[4], p[5]), _mm256_hadd_epi16(p[6], p[7]));
    return _mm256_hadd_epi16(low, high);
}

/* Asks for lines that will be written: all threads have read them since, and to take them back from
 * the other cores one by one would last longer than the rest. */
enum { AHEAD = 2 };

INLINE void claim(const void *lines, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch((const uint8_t *)lines + i, 1);
}

static void quantize_block(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_block_input *out = x8;
    if (n % DOT_PIECE != 0)
        memset(&out[n / DOT_PIECE], 0, sizeof *out);
    for (size_t i = 0; i < n / BLOCK_ELEMS; i++, x += BLOCK_ELEMS) {
        struct dot_block_input *piece = &out[i / 8];
        float inverse;
        if (i % 8 == 0)
            claim(piece + AHEAD, sizeof *piece);
        piece->d[i % 8] = scale_of(largest(top_bits(x)), &inverse);
        const __m256i q = codes_of(x, inverse);
        _mm256_storeu_si256((void *)(piece->q + BLOCK_ELEMS * (i % 8)), q);
        const __m256i fours = _mm256_madd_epi16(sums_of_pairs(q), _mm256_set1_epi16(1));
        const __m128i two =
            _mm_add_epi32(_mm256_castsi256_si128(fours), _mm256_extracti128_si256(fours, 1));
        const __m128i one = _mm_hadd_epi32(two, two);
        piece->sum[i % 8] = _mm_cvtsi128_si32(_mm_hadd_epi32(one, one));
    }
}

static void quantize_super(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_super_input *out = x8;
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, x += SUPER_ELEMS, out++) {
        __m256i top = _mm256_setzero_si256(), pairs[8];
        float inverse;
        claim(out + AHEAD, sizeof *out);
        UNROLL
        for (size_t g = 0; g < 8; g++)
            top = _mm256_max_epu32(top, top_bits(x + 32 * g));
        out->d = scale_of(largest(top), &inverse);
        memset(out->zero, 0, sizeof out->zero);
        UNROLL
        for (size_t g = 0; g < 8; g++) {
            const __m256i q = codes_of(x + 32 * g, inverse);
            _mm256_storeu_si256((void *)(out->q + 32 * g), q);
            pairs[g] = sums_of_pairs(q);
        }
        const __m256i sum = sums_of_halves(pairs);
        _mm256_storeu_si256((void *)out->sum, sum);
        _mm_storeu_si128((void *)out->sum32, _mm_add_epi16(_mm256_castsi256_si128(sum),
                                                           _mm256_extracti128_si256(sum, 1)));
    }
}

void dot_input_init_avx2(struct dot_kernels *k)
{
    k->quantize[DOT_BLOCK] = quantize_block;
    k->quantize[DOT_SUPER] = quantize_super;
}
