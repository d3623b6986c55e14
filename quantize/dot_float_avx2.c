/* dot_float_avx2.c - float products in AVX2 and FMA. */
#include "quantize/dot.h"

#include "core/inline.h"
#include "quantize/dot_float_x86.h"

#include <string.h>

enum { VL = 8, COLUMNS = 3, CHUNK = 1024 };

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

#include "quantize/dot_float_impl.h"

INLINE v4 vf_add_lanes(vf lane[PARTS][TILE])
{
    vf s[TILE];
    UNROLL
    for (int r = 0; r < TILE; r++)
        s[r] = _mm256_add_ps(lane[0][r], lane[1][r]);
    const vf low02 = _mm256_permute2f128_ps(s[0], s[2], 0x20);
    const vf high02 = _mm256_permute2f128_ps(s[0], s[2], 0x31);
    const vf low13 = _mm256_permute2f128_ps(s[1], s[3], 0x20);
    const vf high13 = _mm256_permute2f128_ps(s[1], s[3], 0x31);
    return add_fours(_mm256_add_ps(low02, high02), _mm256_add_ps(low13, high13));
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_avx2(struct dot_kernels *k) { init_float(k); }
