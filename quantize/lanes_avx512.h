/* lanes_avx512.h - operations of lanes_scalar.h in AVX-512, sixteen lanes wide.
 *
 * For code in which a lane stands alone: what a lane computes is then what it computes among
 * eight.  The names are those of the other two headers, so that one text serves all; what such
 * code does not ask for is not here.
 */
#ifndef QUANTIZE_LANES_AVX512_H
#define QUANTIZE_LANES_AVX512_H

#include <immintrin.h>
#include <stdbool.h>
#include <stddef.h>

enum { LANES = 16 };

typedef __m512 f8;
typedef __mmask16 m8;

static inline f8 f8_set1(float x) { return _mm512_set1_ps(x); }
static inline f8 f8_load(const float *p) { return _mm512_loadu_ps(p); }
static inline void f8_store(float *p, f8 a) { _mm512_storeu_ps(p, a); }
static inline f8 f8_add(f8 a, f8 b) { return _mm512_add_ps(a, b); }
static inline f8 f8_sub(f8 a, f8 b) { return _mm512_sub_ps(a, b); }
static inline f8 f8_mul(f8 a, f8 b) { return _mm512_mul_ps(a, b); }
static inline f8 f8_div(f8 a, f8 b) { return _mm512_div_ps(a, b); }
static inline f8 f8_min(f8 a, f8 b) { return _mm512_min_ps(a, b); }
static inline f8 f8_max(f8 a, f8 b) { return _mm512_max_ps(a, b); }
static inline f8 f8_abs(f8 a) { return _mm512_abs_ps(a); }
static inline f8 f8_neg(f8 a) { return _mm512_xor_ps(_mm512_set1_ps(-0.0f), a); }

static inline f8 f8_round(f8 a)
{
    const f8 big = _mm512_set1_ps(12582912.0f);
    return _mm512_sub_ps(_mm512_add_ps(a, big), big);
}

static inline f8 f8_through_half(f8 a)
{
    return _mm512_cvtph_ps(_mm512_cvtps_ph(a, _MM_FROUND_TO_NEAREST_INT));
}

static inline m8 f8_lt(f8 a, f8 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
static inline m8 f8_le(f8 a, f8 b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
static inline m8 m8_and(m8 a, m8 b) { return a & b; }
static inline m8 m8_or(m8 a, m8 b) { return a | b; }
static inline bool m8_any(m8 a) { return a != 0; }
static inline f8 f8_select(m8 m, f8 a, f8 b) { return _mm512_mask_blend_ps(m, b, a); }

typedef __m512i i8;

static inline i8 f8_rank16(f8 a, const float limit[15])
{
    const f8 limits = _mm512_maskz_loadu_ps(0x7fff, limit);
    const i8 one = _mm512_set1_epi32(1);
    i8 rank = _mm512_setzero_si512(); /* from the top: 8, 4, 2, 1 more where the limit lies below */
    for (int step = 8; step > 0; step /= 2) {
        const i8 next = _mm512_add_epi32(rank, _mm512_set1_epi32(step));
        const f8 at = _mm512_permutexvar_ps(_mm512_sub_epi32(next, one), limits);
        rank = _mm512_mask_mov_epi32(rank, f8_lt(at, a), next);
    }
    return rank;
}

static inline f8 f8_pick16(const float table[16], i8 index)
{
    return _mm512_permutexvar_ps(index, _mm512_loadu_ps(table));
}

#endif
