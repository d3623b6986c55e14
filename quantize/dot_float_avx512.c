/* dot_float_avx512.c - float products in AVX-512. */
#include "quantize/dot.h"

#include "core/inline.h"
#include "quantize/dot_float_x86.h"

#include <string.h>

enum { VL = 16, COLUMNS = 6, CHUNK = 3072 };

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

#include "quantize/dot_float_impl.h"

/* The quarters of the two, added: first and third, second and fourth. */
INLINE vf add_halves(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

INLINE v4 vf_add_lanes(vf lane[PARTS][TILE])
{
    const vf s02 = add_halves(lane[0][0], lane[0][2]), s13 = add_halves(lane[0][1], lane[0][3]);
    const vf s =
        _mm512_add_ps(_mm512_shuffle_f32x4(s02, s13, 0x88), _mm512_shuffle_f32x4(s02, s13, 0xdd));
    return add_fours(_mm512_castps512_ps256(s), _mm512_extractf32x8_ps(s, 1));
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_avx512(struct dot_kernels *k) { init_float(k); }
