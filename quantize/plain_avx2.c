/* plain_avx2.c - plain.c in AVX2 and F16C: same bits. */
#include "quantize/kernels.h"

#include "core/half.h"
#include "core/inline.h"
#include "quantize/error.h"

#include <immintrin.h>
#include <string.h>

static void encode_f16(void *restrict dst, const float *restrict src,
                       const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    size_t i = 0;
    for (; i + 8 <= n; i += 8)
        _mm_storeu_si128((void *)(at + 2 * i),
                         _mm256_cvtps_ph(_mm256_loadu_ps(src + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) {
        const uint16_t h = half_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

/* Eight floats to bf16, each in the low half of its 32 bits. */
static __m256i bf16_lanes(const float *src)
{
    const __m256i b = _mm256_loadu_si256((const void *)src);
    const __m256i size = _mm256_and_si256(b, _mm256_set1_epi32(0x7fffffff));
    const __m256i nan = _mm256_cmpgt_epi32(size, _mm256_set1_epi32(0x7f800000));
    const __m256i high = _mm256_srli_epi32(b, 16);
    const __m256i odd = _mm256_and_si256(high, _mm256_set1_epi32(1));
    const __m256i up = _mm256_add_epi32(_mm256_add_epi32(b, _mm256_set1_epi32(0x7fff)), odd);
    const __m256i quiet = _mm256_or_si256(high, _mm256_set1_epi32(64));
    return _mm256_blendv_epi8(_mm256_srli_epi32(up, 16), quiet, nan);
}

static void encode_bf16(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i h = _mm256_packus_epi32(bf16_lanes(src + i), bf16_lanes(src + i + 8));
        _mm256_storeu_si256((void *)(at + 2 * i), _mm256_permute4x64_epi64(h, 0xd8));
    }
    for (; i < n; i++) {
        const uint16_t h = bf16_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

/* Four lanes of the sums, in registers along a row. */
struct lanes4 {
    __m256d squared, weighted, importance, signal, stored;
    __m256d most; /* (x - y)^2 */
};

static struct lanes4 lanes_load(const struct error_sums *s, int at)
{
    return (struct lanes4){
        .squared = _mm256_loadu_pd(s->squared + at),
        .weighted = _mm256_loadu_pd(s->weighted + at),
        .importance = _mm256_loadu_pd(s->importance + at),
        .signal = _mm256_loadu_pd(s->signal + at),
        .stored = _mm256_loadu_pd(s->stored + at),
        .most = _mm256_setzero_pd(),
    };
}

/* The root of a rounded square is the number itself: none is near the ends of a double's range. */
static void lanes_store(struct error_sums *s, int at, const struct lanes4 *l)
{
    _mm256_storeu_pd(s->squared + at, l->squared);
    _mm256_storeu_pd(s->weighted + at, l->weighted);
    _mm256_storeu_pd(s->importance + at, l->importance);
    _mm256_storeu_pd(s->signal + at, l->signal);
    _mm256_storeu_pd(s->stored + at, l->stored);
    double most[4];
    _mm256_storeu_pd(most, _mm256_sqrt_pd(l->most));
    for (int i = 0; i < 4; i++)
        s->max_abs = most[i] > s->max_abs ? most[i] : s->max_abs;
}

/* Squares of floats are exact in doubles: adding one fused rounds as adding one made before. */
INLINE void lanes_add(struct lanes4 *l, const float *x, const float *y, const float *importance)
{
    const __m256d a = _mm256_cvtps_pd(_mm_loadu_ps(x));
    const __m256d b = _mm256_cvtps_pd(_mm_loadu_ps(y));
    const __m256d e = _mm256_sub_pd(a, b);
    const __m256d e2 = _mm256_mul_pd(e, e);
    l->squared = _mm256_add_pd(l->squared, e2);
    l->most = _mm256_max_pd(e2, l->most);
    l->signal = _mm256_fmadd_pd(a, a, l->signal);
    l->stored = _mm256_fmadd_pd(b, b, l->stored);
    if (importance) {
        const __m256d w = _mm256_cvtps_pd(_mm_loadu_ps(importance));
        l->weighted = _mm256_add_pd(l->weighted, _mm256_mul_pd(w, e2));
        l->importance = _mm256_add_pd(l->importance, w);
    }
}

static void add_error(struct error_sums *sums, const float *restrict x, const float *restrict y,
                      const float *restrict importance, size_t n)
{
    struct lanes4 low = lanes_load(sums, 0), high = lanes_load(sums, 4);
    size_t i = 0;
    if (importance)
        for (; i + 8 <= n; i += 8) {
            lanes_add(&low, x + i, y + i, importance + i);
            lanes_add(&high, x + i + 4, y + i + 4, importance + i + 4);
        }
    else
        for (; i + 8 <= n; i += 8) {
            lanes_add(&low, x + i, y + i, NULL);
            lanes_add(&high, x + i + 4, y + i + 4, NULL);
        }
    lanes_store(sums, 0, &low);
    lanes_store(sums, 4, &high);
    for (; i < n; i++)
        error_add(sums, i, x, y, importance);
    sums->count += n;
}

static size_t find_nonfinite(const float *x, size_t n)
{
    const __m256i exponent = _mm256_set1_epi32(0x7f800000);
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        const __m256i a = _mm256_loadu_si256((const void *)(x + i));
        const __m256i b = _mm256_loadu_si256((const void *)(x + i + 8));
        const __m256i bad =
            _mm256_or_si256(_mm256_cmpeq_epi32(_mm256_and_si256(a, exponent), exponent),
                            _mm256_cmpeq_epi32(_mm256_and_si256(b, exponent), exponent));
        if (!_mm256_testz_si256(bad, bad))
            break;
    }
    for (; i < n; i++)
        if ((float_bits(x[i]) & 0x7f800000u) == 0x7f800000u)
            return i;
    return n;
}

void plain_init_avx2(struct kernels *k)
{
    k->encode[DTYPE_F16] = encode_f16;
    k->encode[DTYPE_BF16] = encode_bf16;
    k->add_error = add_error;
    k->find_nonfinite = find_nonfinite;
}
