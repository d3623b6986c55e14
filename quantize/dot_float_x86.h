/* dot_float_x86.h - four floats for dot_float_impl.h, alike in AVX2 and AVX-512. */
#ifndef QUANTIZE_DOT_FLOAT_X86_H
#define QUANTIZE_DOT_FLOAT_X86_H

#include "core/inline.h"

#include <immintrin.h>

typedef __m128 v4;

INLINE v4 v4_load(const float *p) { return _mm_loadu_ps(p); }
INLINE void v4_store(float *p, v4 a) { _mm_storeu_ps(p, a); }
INLINE v4 v4_add(v4 a, v4 b) { return _mm_add_ps(a, b); }

/* The sums of the four lanes of four rows, those 2 apart first: of rows 0 and 2, and 1 and 3. */
INLINE v4 add_fours(__m256 rows02, __m256 rows13)
{
    const __m256 pairs = _mm256_add_ps(_mm256_shuffle_ps(rows02, rows13, 0x44),
                                       _mm256_shuffle_ps(rows02, rows13, 0xee));
    const v4 rows01 = _mm256_castps256_ps128(pairs), rows23 = _mm256_extractf128_ps(pairs, 1);
    return _mm_add_ps(_mm_shuffle_ps(rows01, rows23, 0x88), _mm_shuffle_ps(rows01, rows23, 0xdd));
}

#endif
