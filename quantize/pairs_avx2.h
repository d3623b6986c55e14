/* pairs_avx2.h - the operations of pairs_impl.h in AVX2. */
#ifndef QUANTIZE_PAIRS_H
#define QUANTIZE_PAIRS_H

#include "core/inline.h"
#include "quantize/lanes_avx2.h"

enum { PAIR_MAX = 32767 };

typedef __m256i p16;
typedef __m256i p32;

/* To whole numbers.  What is too small becomes the least, and saturates when it is packed. */
static inline __m256i f8_to_whole(f8 a, float high)
{
    return _mm256_cvtps_epi32(f8_min(a, f8_set1(high)));
}

static inline p16 p16_round(const float *p, f8 unit)
{
    return _mm256_packs_epi32(_mm256_cvtps_epi32(f8_mul(f8_load(p), unit)),
                              _mm256_cvtps_epi32(f8_mul(f8_load(p + LANES), unit)));
}

static inline void p16_columns(p16 column[LANES], const p16 row[LANES])
{
    f8_load_columns((f8 *)column, (const float *)row, LANES);
}

/* Rows l and l + 1 to one: what is left of each row lies in every second lane. */
#define FOLD(name, pick)                                                                           \
    static inline f8 name(f8 row[LANES])                                                           \
    {                                                                                              \
        f8 two[4], four[2];                                                                        \
        UNROLL                                                                                     \
        for (int i = 0; i < 4; i++)                                                                \
            two[i] = pick(_mm256_unpacklo_ps(row[2 * i], row[2 * i + 1]),                          \
                          _mm256_unpackhi_ps(row[2 * i], row[2 * i + 1]));                         \
        UNROLL                                                                                     \
        for (int i = 0; i < 2; i++)                                                                \
            four[i] = pick(_mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0x44),                    \
                           _mm256_shuffle_ps(two[2 * i], two[2 * i + 1], 0xee));                   \
        return pick(_mm256_permute2f128_ps(four[0], four[1], 0x20),                                \
                    _mm256_permute2f128_ps(four[0], four[1], 0x31));                               \
    }

FOLD(f8_fold_min, f8_min)
FOLD(f8_fold_max, f8_max)

#undef FOLD

static inline p16 p16_set1(int a) { return _mm256_set1_epi16((short)a); }

static inline p16 p16_from(f8 a)
{
    const __m256i whole = f8_to_whole(a, PAIR_MAX), both = _mm256_packs_epi32(whole, whole);
    return _mm256_unpacklo_epi16(both, both);
}

static inline p16 p16_mul(p16 a, p16 b) { return _mm256_mulhrs_epi16(a, b); }

static inline p16 p16_clamp(p16 a, p16 low, p16 high)
{
    return _mm256_min_epi16(_mm256_max_epi16(a, low), high);
}

static inline p32 p32_zero(void) { return _mm256_setzero_si256(); }

static inline p32 p16_dot(p32 sum, p16 a, p16 b)
{
    return _mm256_add_epi32(sum, _mm256_madd_epi16(a, b));
}

static inline f8 f8_from_p32(p32 a) { return _mm256_cvtepi32_ps(a); }

static inline m8 p16_near_multiples(p16 a, int of, int far)
{
    const __m256i part = _mm256_and_si256(_mm256_add_epi16(a, p16_set1(far)), p16_set1(of - 1));
    const __m256i past = _mm256_cmpgt_epi16(part, p16_set1(2 * far));
    return _mm256_castsi256_ps(_mm256_cmpeq_epi32(past, _mm256_setzero_si256()));
}

static inline void f8_store_codes(int8_t out[4 * LANES], float half, f8 a, f8 b, f8 c, f8 d)
{
    const float high = half - 1.0f;
    const __m256i ab = _mm256_packs_epi32(f8_to_whole(a, high), f8_to_whole(b, high));
    const __m256i cd = _mm256_packs_epi32(f8_to_whole(c, high), f8_to_whole(d, high));
    const __m256i in_order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i codes = _mm256_permutevar8x32_epi32(_mm256_packs_epi16(ab, cd), in_order);
    _mm256_storeu_si256((__m256i *)(void *)out,
                        _mm256_max_epi8(codes, _mm256_set1_epi8((char)-half)));
}

#endif
