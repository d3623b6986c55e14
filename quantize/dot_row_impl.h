/* dot_row_impl.h - how the sums of a block become floats, one float operation after another as the
 * reference says: the part that the row kernels of AVX2 and AVX-512 share. */
#include "quantize/dot_unpack_avx2.h"

INLINE float add_lanes(__m256 lane)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(lane), _mm256_extractf128_ps(lane, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* Of eight blocks.  `codes`: what is to be taken off them, 2^codes, or CODES_MIN, or neither. */
INLINE __m256 finish_blocks(__m256 y, __m256i dot, const struct blocks *w,
                            const struct dot_block_input *x, int codes)
{
    const __m256i sum = load32(x->sum);
    if (codes >= 0)
        dot = _mm256_sub_epi32(dot, _mm256_slli_epi32(sum, codes));
    __m256 term = _mm256_mul_ps(w->d, _mm256_cvtepi32_ps(dot));
    if (codes == CODES_MIN)
        term = _mm256_add_ps(term, _mm256_mul_ps(w->m, _mm256_cvtepi32_ps(sum)));
    return _mm256_add_ps(y, _mm256_mul_ps(term, _mm256_loadu_ps(x->d)));
}

/* Four partial sums of the minima times those of x. */
INLINE __m128i multiply_minima(const struct super *w, const struct dot_super_input *x, bool has_min,
                               int groups)
{
    if (groups == 8) {
        const __m128i min =
            has_min ? _mm256_extracti128_si256(w->scale, 1) : _mm256_castsi256_si128(w->scale);
        return _mm_madd_epi16(min, load16(x->sum32));
    }
    const __m256i both = _mm256_madd_epi16(has_min ? w->min : w->scale, load32(x->sum));
    return _mm_add_epi32(_mm256_castsi256_si128(both), _mm256_extracti128_si256(both, 1));
}

/* Of a super-block, its sum in eight parts.  Of a type without minima 2^offset is to be taken off
 * the codes, if it is not negative. */
INLINE float finish_super(float y, __m256i parts, const struct super *w,
                          const struct dot_super_input *x, bool has_min, int offset, int groups)
{
    __m128i dot = _mm_add_epi32(_mm256_castsi256_si128(parts), _mm256_extracti128_si256(parts, 1));
    __m128i min = _mm_setzero_si128();
    if (has_min || offset >= 0)
        min = multiply_minima(w, x, has_min, groups);
    if (!has_min && offset >= 0)
        dot = _mm_sub_epi32(dot, _mm_slli_epi32(min, offset));
    const __m128i pairs = _mm_add_epi32(_mm_unpacklo_epi32(dot, min), _mm_unpackhi_epi32(dot, min));
    const __m128i sums = _mm_add_epi32(pairs, _mm_unpackhi_epi64(pairs, pairs));
    __m128 term = _mm_mul_ps(w->d, _mm_cvtepi32_ps(sums));
    if (has_min)
        term = _mm_sub_ss(term, _mm_movehdup_ps(term));
    return y + _mm_cvtss_f32(term) * x->d;
}
