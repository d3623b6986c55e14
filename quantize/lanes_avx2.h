/* lanes_avx2.h - the operations of lanes_scalar.h in AVX2 and F16C. */
#ifndef QUANTIZE_LANES_AVX2_H
#define QUANTIZE_LANES_AVX2_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 8 };

typedef __m256 f8;
typedef __m256 m8;

static inline f8 f8_set1(float x) { return _mm256_set1_ps(x); }
static inline f8 f8_load(const float *p) { return _mm256_loadu_ps(p); }
static inline void f8_store(float *p, f8 a) { _mm256_storeu_ps(p, a); }
static inline f8 f8_add(f8 a, f8 b) { return _mm256_add_ps(a, b); }
static inline f8 f8_sub(f8 a, f8 b) { return _mm256_sub_ps(a, b); }
static inline f8 f8_mul(f8 a, f8 b) { return _mm256_mul_ps(a, b); }
static inline f8 f8_div(f8 a, f8 b) { return _mm256_div_ps(a, b); }
static inline f8 f8_sqrt(f8 a) { return _mm256_sqrt_ps(a); }
static inline f8 f8_min(f8 a, f8 b) { return _mm256_min_ps(a, b); }
static inline f8 f8_max(f8 a, f8 b) { return _mm256_max_ps(a, b); }
static inline f8 f8_abs(f8 a) { return _mm256_andnot_ps(_mm256_set1_ps(-0.0f), a); }
static inline f8 f8_neg(f8 a) { return _mm256_xor_ps(_mm256_set1_ps(-0.0f), a); }

static inline f8 f8_round(f8 a)
{
    const f8 big = _mm256_set1_ps(12582912.0f);
    return _mm256_sub_ps(_mm256_add_ps(a, big), big);
}

static inline f8 f8_through_half(f8 a)
{
    return _mm256_cvtph_ps(_mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

static inline m8 f8_lt(f8 a, f8 b) { return _mm256_cmp_ps(a, b, _CMP_LT_OQ); }
static inline m8 f8_le(f8 a, f8 b) { return _mm256_cmp_ps(a, b, _CMP_LE_OQ); }
static inline m8 f8_eq(f8 a, f8 b) { return _mm256_cmp_ps(a, b, _CMP_EQ_OQ); }
static inline m8 m8_and(m8 a, m8 b) { return _mm256_and_ps(a, b); }
static inline m8 m8_or(m8 a, m8 b) { return _mm256_or_ps(a, b); }
static inline m8 m8_andnot(m8 a, m8 b) { return _mm256_andnot_ps(a, b); }
static inline bool m8_any(m8 a) { return _mm256_movemask_ps(a) != 0; }
static inline f8 f8_select(m8 m, f8 a, f8 b) { return _mm256_blendv_ps(b, a, m); }

/* Of rows l (lower half) and l + 4 (upper), l = 0..3, four columns. */
static inline void f8_interleave(f8 out[4], f8 a, f8 b, f8 c, f8 d)
{
    const f8 ab = _mm256_unpacklo_ps(a, b), ab_high = _mm256_unpackhi_ps(a, b);
    const f8 cd = _mm256_unpacklo_ps(c, d), cd_high = _mm256_unpackhi_ps(c, d);
    out[0] = _mm256_shuffle_ps(ab, cd, 0x44);
    out[1] = _mm256_shuffle_ps(ab, cd, 0xee);
    out[2] = _mm256_shuffle_ps(ab_high, cd_high, 0x44);
    out[3] = _mm256_shuffle_ps(ab_high, cd_high, 0xee);
}

static inline f8 f8_load_pair(const float *low, const float *high)
{
    return _mm256_insertf128_ps(_mm256_castps128_ps256(_mm_loadu_ps(low)), _mm_loadu_ps(high), 1);
}

static inline void f8_load_columns(f8 out[LANES], const float *p, size_t stride)
{
    const float *q = p + 4 * stride;
    f8_interleave(out, f8_load_pair(p, q), f8_load_pair(p + stride, q + stride),
                  f8_load_pair(p + 2 * stride, q + 2 * stride),
                  f8_load_pair(p + 3 * stride, q + 3 * stride));
    p += 4;
    q += 4;
    f8_interleave(out + 4, f8_load_pair(p, q), f8_load_pair(p + stride, q + stride),
                  f8_load_pair(p + 2 * stride, q + 2 * stride),
                  f8_load_pair(p + 3 * stride, q + 3 * stride));
}

static inline void f8_transpose(f8 row[LANES])
{
    f8 low[4], high[4];
    for (int i = 0; i < 4; i++) {
        low[i] = _mm256_permute2f128_ps(row[i], row[i + 4], 0x20);
        high[i] = _mm256_permute2f128_ps(row[i], row[i + 4], 0x31);
    }
    f8_interleave(row, low[0], low[1], low[2], low[3]);
    f8_interleave(row + 4, high[0], high[1], high[2], high[3]);
}

static inline f8 f8_power(f8 a)
{
    return _mm256_and_ps(a, _mm256_castsi256_ps(_mm256_set1_epi32(0x7f800000)));
}

static inline f8 f8_through_bf16(f8 a)
{
    const __m256i bits = _mm256_castps_si256(a), one = _mm256_set1_epi32(1);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), one);
    const __m256i up = _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff));
    return _mm256_castsi256_ps(
        _mm256_and_si256(_mm256_add_epi32(bits, up), _mm256_set1_epi32(-0x10000)));
}

static inline void f8_store_half(uint16_t out[LANES], f8 a)
{
    const __m128i h = _mm256_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128((__m128i *)(void *)out, h);
}

static inline void f8_store_bytes(uint8_t out[LANES][4], f8 a, f8 b, f8 c, f8 d)
{
    const __m256i ab = _mm256_packs_epi32(_mm256_cvttps_epi32(a), _mm256_cvttps_epi32(b));
    const __m256i cd = _mm256_packs_epi32(_mm256_cvttps_epi32(c), _mm256_cvttps_epi32(d));
    const __m256i by_lane = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15,
                                             0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    _mm256_storeu_si256((__m256i *)(void *)out,
                        _mm256_shuffle_epi8(_mm256_packus_epi16(ab, cd), by_lane));
}

static inline void f8_store_uint8(uint8_t out[LANES], f8 a)
{
    const __m256i i = _mm256_cvttps_epi32(a);
    const __m128i words =
        _mm_packs_epi32(_mm256_castsi256_si128(i), _mm256_extracti128_si256(i, 1));
    _mm_storel_epi64((__m128i *)(void *)out, _mm_packus_epi16(words, words));
}

static inline bool m8_all(m8 a) { return _mm256_movemask_ps(a) == 0xff; }

static inline float f8_largest(f8 a)
{
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
}

typedef __m256i i8;

/* Four comparisons, each with the limit that halves what is left. */
static inline i8 f8_rank16(f8 a, const float limit[15])
{
    const __m256 quarters = _mm256_setr_ps(limit[1], limit[5], limit[9], limit[13], 0, 0, 0, 0);
    const __m256 eighths = _mm256_setr_ps(limit[0], limit[2], limit[4], limit[6], limit[8],
                                          limit[10], limit[12], limit[14]);
    const __m256 high = f8_lt(f8_set1(limit[7]), a);
    const __m256 second = f8_lt(f8_select(high, f8_set1(limit[11]), f8_set1(limit[3])), a);
    __m256i r = _mm256_castps_si256(high); /* minus the rank so far */
    r = _mm256_add_epi32(_mm256_add_epi32(r, r), _mm256_castps_si256(second));
    __m256i at = _mm256_sub_epi32(_mm256_setzero_si256(), r);
    const __m256 third = f8_lt(_mm256_permutevar8x32_ps(quarters, at), a);
    at = _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(third));
    const __m256 fourth = f8_lt(_mm256_permutevar8x32_ps(eighths, at), a);
    return _mm256_sub_epi32(_mm256_add_epi32(at, at), _mm256_castps_si256(fourth));
}

static inline f8 f8_pick16(const float table[16], i8 index)
{
    const __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table), index);
    const __m256 high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(table + 8), index);
    return f8_select(_mm256_castsi256_ps(_mm256_slli_epi32(index, 28)), high, low);
}

static inline f8 f8_round_positive(f8 a)
{
    return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}

static inline float f8_sum(f8 a)
{
    float v[LANES], sum = 0.0f;
    f8_store(v, a);
    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

#endif
