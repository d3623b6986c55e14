/* dot_float_avx512.c - float products in AVX-512. */
#include "quantize/dot.h"

#include "core/inline.h"

#include <immintrin.h>
#include <string.h>

enum { VL = 16, COLUMNS = 6, CHUNK = 3072 };

typedef __m512 vf;

INLINE vf vf_zero(void) { return _mm512_setzero_ps(); }
INLINE vf vf_load(const float *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_f32(const void *p) { return _mm512_loadu_ps(p); }
INLINE vf vf_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
INLINE void vf_store(float *p, vf a) { _mm512_storeu_ps(p, a); }
INLINE vf vf_add(vf a, vf b) { return _mm512_add_ps(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }

INLINE vf vf_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}

#include "quantize/dot_float_impl.h"

/* The halves of a added, then those of b. */
INLINE vf add_halves(vf a, vf b)
{
    return _mm512_add_ps(_mm512_shuffle_f32x4(a, b, 0x44), _mm512_shuffle_f32x4(a, b, 0xee));
}

/* The lanes of four rows until four are left: of rows 0, 2, 1, 3. */
INLINE vf add_rows(vf lane[TILE])
{
    const vf s02 = add_halves(lane[0], lane[2]), s13 = add_halves(lane[1], lane[3]);
    return _mm512_add_ps(_mm512_shuffle_f32x4(s02, s13, 0x88),
                         _mm512_shuffle_f32x4(s02, s13, 0xdd));
}

INLINE void put_sums(float *y, size_t stride, vf lane[COLUMNS][TILE], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c += 2, y += 2 * stride) {
        const vf a = add_rows(lane[c]), b = add_rows(lane[c + 1 < columns ? c + 1 : c]);
        const vf pairs =
            _mm512_add_ps(_mm512_shuffle_ps(a, b, 0x44), _mm512_shuffle_ps(a, b, 0xee));
        const __m256 s02 = _mm512_castps512_ps256(pairs), s13 = _mm512_extractf32x8_ps(pairs, 1);
        const __m256 sums = _mm256_permutevar8x32_ps(
            _mm256_add_ps(_mm256_shuffle_ps(s02, s13, 0x88), _mm256_shuffle_ps(s02, s13, 0xdd)),
            _mm256_setr_epi32(0, 2, 4, 6, 1, 3, 5, 7));
        _mm_storeu_ps(y, _mm256_castps256_ps128(sums));
        if (c + 1 < columns)
            _mm_storeu_ps(y + stride, _mm256_extractf128_ps(sums, 1));
    }
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_avx512(struct dot_kernels *k) { init_float(k); }
