/* dot_float_avx2.c - float products in AVX2 and FMA. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <immintrin.h>
#include <string.h>

enum { VL = 8, COLUMNS = 3 };

typedef __m256 vf;

INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }

INLINE vf vf_load_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

typedef __m128 v4;

INLINE v4 v4_load(const float *p) { return _mm_loadu_ps(p); }
INLINE void v4_store(float *p, v4 a) { _mm_storeu_ps(p, a); }
INLINE v4 v4_add(v4 a, v4 b) { return _mm_add_ps(a, b); }
INLINE void v4_transpose(v4 v[4]) { _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]); }

#include "quantize/dot_float_impl.h"

void dot_float_init_avx2(struct dot_kernels *k) { init_float(k); }
