/* dot_float_avx2.c - float products in AVX2 and FMA. */
#include "quantize/dot.h"

#include "core/inline.h"

#include <immintrin.h>
#include <string.h>

enum { VL = 8, COLUMNS = 3, CHUNK = 1024 };

typedef __m256 vf;

INLINE vf vf_zero(void) { return _mm256_setzero_ps(); }
INLINE vf vf_load(const float *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return _mm256_loadu_ps(p); }
INLINE vf vf_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
INLINE void vf_store(float *p, vf a) { _mm256_storeu_ps(p, a); }
INLINE vf vf_add(vf a, vf b) { return _mm256_add_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }

INLINE vf vf_load_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}

#include "quantize/dot_float_impl.h"

/* The halves of a added, then those of b. */
INLINE vf add_halves(vf a, vf b)
{
    return _mm256_add_ps(_mm256_permute2f128_ps(a, b, 0x20), _mm256_permute2f128_ps(a, b, 0x31));
}

/* In either half, the pairs of a added, then those of b. */
INLINE vf add_pairs(vf a, vf b)
{
    return _mm256_add_ps(_mm256_shuffle_ps(a, b, 0x44), _mm256_shuffle_ps(a, b, 0xee));
}

INLINE void put_sums(float *y, size_t stride, vf lane[COLUMNS][TILE], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c++) {
        const vf s02 = add_halves(lane[c][0], lane[c][2]);
        const vf s13 = add_halves(lane[c][1], lane[c][3]);
        const vf pairs = add_pairs(s02, s13); /* of rows 0 1, then 2 3 */
        const __m128 s01 = _mm256_castps256_ps128(pairs), s23 = _mm256_extractf128_ps(pairs, 1);
        _mm_storeu_ps(y + (size_t)c * stride,
                      _mm_add_ps(_mm_shuffle_ps(s01, s23, 0x88), _mm_shuffle_ps(s01, s23, 0xdd)));
    }
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_avx2(struct dot_kernels *k) { init_float(k); }
