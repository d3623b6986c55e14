/* dot_float_avx2.c - float products in AVX2 and FMA: lanes added to in the reference's order. */
#include "quantize/dot.h"

#include <immintrin.h>

static void add_float(float lane[DOT_LANES], const float *w, const float *x, size_t n)
{
    __m256 a = _mm256_loadu_ps(lane), b = _mm256_loadu_ps(lane + 8);
    for (size_t i = 0; i < n; i += DOT_LANES) {
        a = _mm256_fmadd_ps(_mm256_loadu_ps(w + i), _mm256_loadu_ps(x + i), a);
        b = _mm256_fmadd_ps(_mm256_loadu_ps(w + i + 8), _mm256_loadu_ps(x + i + 8), b);
    }
    _mm256_storeu_ps(lane, a);
    _mm256_storeu_ps(lane + 8, b);
}

void dot_float_init_avx2(struct dot_kernels *k) { k->add_float = add_float; }
