/* vector_avx2.c - rows of floats in AVX2. */
#include "core/vector.h"

#include "core/inline.h"
#include "core/vector_exp.h"

#include <immintrin.h>
#include <math.h>

enum { VL = 8, ROWS = 6, WIDE = 2 };

typedef __m256 vf;
typedef __m256d vd;

INLINE vf vf_set(float a) { return _mm256_set1_ps(a); }
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return vf_load(p); }
INLINE vf vf_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
INLINE vf vf_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
INLINE vf vf_div(vf a, vf b) { return _mm256_div_ps(a, b); }
INLINE vf vf_max(vf a, vf b) { return _mm256_max_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }

INLINE vf vf_load_i8(const void *p)
{
    return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(_mm_loadl_epi64(p)));
}

INLINE vf vf_scale(vf p, vf sum)
{
    return _mm256_castsi256_ps(
        _mm256_add_epi32(_mm256_castps_si256(p), _mm256_slli_epi32(_mm256_castps_si256(sum), 23)));
}

INLINE vf vf_clamp(vf y, vf x)
{
    const __m256 under = _mm256_cmp_ps(x, vf_set(exp_least), _CMP_LT_OQ);
    const __m256 over = _mm256_cmp_ps(x, vf_set(exp_most), _CMP_GT_OQ);
    y = _mm256_andnot_ps(under, y);
    return _mm256_blendv_ps(y, vf_set(INFINITY), over);
}

INLINE vd vd_set(double a) { return _mm256_set1_pd(a); }
INLINE vd vd_add(vd a, vd b) { return _mm256_add_pd(a, b); }
INLINE vd vd_mul(vd a, vd b) { return _mm256_mul_pd(a, b); }
INLINE vd vd_low(vf a) { return _mm256_cvtps_pd(_mm256_castps256_ps128(a)); }
INLINE vd vd_high(vf a) { return _mm256_cvtps_pd(_mm256_extractf128_ps(a, 1)); }

INLINE float vf_max_across(vf a)
{
    __m128 x = _mm_max_ps(_mm256_extractf128_ps(a, 1), _mm256_castps256_ps128(a));
    x = _mm_max_ps(_mm_movehl_ps(x, x), x);
    return _mm_cvtss_f32(_mm_max_ss(_mm_movehdup_ps(x), x));
}

INLINE double vd_add_across(vd a)
{
    const __m128d x = _mm_add_pd(_mm256_castpd256_pd128(a), _mm256_extractf128_pd(a, 1));
    return _mm_cvtsd_f64(_mm_add_sd(x, _mm_unpackhi_pd(x, x)));
}

#include "core/vector_impl.h"

void vector_init_avx2(struct vector_kernels *v) { init(v); }
