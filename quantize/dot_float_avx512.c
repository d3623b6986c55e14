/* dot_float_avx512.c - float products in AVX-512. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <immintrin.h>
#include <string.h>

enum { VL = 16, COLUMNS = 6 };

typedef __m512 vf;

INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }

INLINE vf vf_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

typedef __m128 v4;

INLINE v4 v4_load(const float *p) { return _mm_loadu_ps(p); }
INLINE void v4_store(float *p, v4 a) { _mm_storeu_ps(p, a); }
INLINE v4 v4_add(v4 a, v4 b) { return _mm_add_ps(a, b); }
INLINE void v4_transpose(v4 v[4]) { _MM_TRANSPOSE4_PS(v[0], v[1], v[2], v[3]); }

#include "quantize/dot_float_impl.h"

void dot_float_init_avx512(struct dot_kernels *k) { init_float(k); }
