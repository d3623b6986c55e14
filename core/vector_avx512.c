/* vector_avx512.c - rows of floats in AVX-512. */
#include "core/vector.h"

#include "core/inline.h"
#include "core/vector_exp.h"

#include <immintrin.h>
#include <math.h>

enum { VL = 16, ROWS = 12, WIDE = 2 };

typedef __m512 vf;
typedef __m512d vd;

INLINE vf vf_set(float a) { return _mm512_set1_ps(a); }
INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return vf_load(p); }
INLINE vf vf_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm512_div_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm512_max_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }

INLINE vf vf_load_i8(const void *p)
{
    return _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(_mm_loadu_si128(p)));
}

INLINE vf vf_scale(vf p, vf sum)
{
    return _mm512_castsi512_ps(
        _mm512_add_epi32(_mm512_castps_si512(p), _mm512_slli_epi32(_mm512_castps_si512(sum), 23)));
}

INLINE vf vf_clamp(vf y, vf x)
{
    const __mmask16 under = _mm512_cmp_ps_mask(x, vf_set(exp_least), _CMP_LT_OQ);
    const __mmask16 over = _mm512_cmp_ps_mask(x, vf_set(exp_most), _CMP_GT_OQ);
    y = _mm512_mask_blend_ps(under, y, _mm512_setzero_ps());
    return _mm512_mask_blend_ps(over, y, _mm512_set1_ps(INFINITY));
}

INLINE vd vd_set(double a) { return _mm512_set1_pd(a); }
INLINE vd vd_add(vd a, vd b) { return _mm512_add_pd(a, b); }
INLINE vd vd_mul(vd a, vd b) { return _mm512_mul_pd(a, b); }
INLINE vd vd_low(vf a) { return _mm512_cvtps_pd(_mm512_castps512_ps256(a)); }
INLINE vd vd_high(vf a) { return _mm512_cvtps_pd(_mm512_extractf32x8_ps(a, 1)); }

INLINE float vf_max_across(vf a)
{
    const __m256 half = _mm256_max_ps(_mm512_extractf32x8_ps(a, 1), _mm512_castps512_ps256(a));
    __m128 x = _mm_max_ps(_mm256_extractf128_ps(half, 1), _mm256_castps256_ps128(half));
    x = _mm_max_ps(_mm_movehl_ps(x, x), x);
    return _mm_cvtss_f32(_mm_max_ss(_mm_movehdup_ps(x), x));
}

INLINE double vd_add_across(vd a)
{
    const __m256d half = _mm256_add_pd(_mm512_castpd512_pd256(a), _mm512_extractf64x4_pd(a, 1));
    const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(half), _mm256_extractf128_pd(half, 1));
    return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#include "core/vector_impl.h"

void vector_init_avx512(struct vector_kernels *v) { init(v); }
