/* dot_laid_block_avx512.c - blocks of 32 that are laid out anew, eight at a time, in AVX-512 VNNI:
 * times one x, and to panels for many.  Same bytes as the reference: integers are exact in any
 * order, and floats are added in the reference's. */
#include "quantize/dot_laid_avx512.h"

struct block_type {
    struct laid_codes codes;
    int offset; /* of the codes, or CODES_MIN */
};

/* Blocks have their codes first. */
INLINE size_t rest_at(const struct laid_codes *t)
{
    return (size_t)(t->words * t->planes) * LAID_ROWS * 4;
}

/* d of block b in half h of the rows, and m, where the type has one. */
INLINE __m512 load_factors(__m512 *m, const uint8_t *at, int b, int h, bool min)
{
    *m = _mm512_setzero_ps();
    if (!min)
        return load_halves(at + (b * HALVES + h) * WORD / 2);
    const __m512i both = load(at + h * GROUPS * WORD, b);
    *m = low_halves(_mm512_srli_epi32(both, 16));
    return low_halves(both);
}

INLINE void add_to(float *y, __m512 term)
{
    _mm512_store_ps(y, _mm512_add_ps(_mm512_load_ps(y), term));
}

INLINE void add_piece(float lane[GROUPS][LAID_ROWS], const uint8_t *at,
                      const struct dot_block_input *x, const struct block_type *t)
{
    __m512i p[HALVES][GROUPS];
    multiply_codes(p, at, x->q, 0, STEPS, &t->codes);
    at += rest_at(&t->codes);
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int b = 0; b < GROUPS; b++) {
            const bool min = t->offset == CODES_MIN;
            const __m512i more =
                min ? _mm512_setzero_si512() : _mm512_set1_epi32(x->sum[b] * (1 << t->offset));
            __m512 m;
            const __m512 d = load_factors(&m, at, b, h, min);
            __m512 term = _mm512_mul_ps(d, _mm512_cvtepi32_ps(_mm512_sub_epi32(p[h][b], more)));
            if (min)
                term = _mm512_add_ps(term, _mm512_mul_ps(m, _mm512_set1_ps((float)x->sum[b])));
            add_to(lane[b] + h * LAID_HALF, _mm512_mul_ps(term, _mm512_set1_ps(x->d[b])));
        }
    }
}

INLINE void multiply(float *y, const uint8_t *at, size_t rows, const struct dot_block_input *x,
                     size_t pieces, const struct block_type *t)
{
    for (size_t row = 0; row < rows; row += LAID_ROWS) {
        _Alignas(64) float lane[GROUPS][LAID_ROWS] = {0};
        for (size_t i = 0; i < pieces; i++, at += LAID_ROWS * t->codes.bytes)
            add_piece(lane, at, &x[i], t);
        for (int apart = GROUPS / 2; apart > 0; apart /= 2)
            for (int i = 0; i < apart; i++)
                for (int r = 0; r < LAID_ROWS; r += LAID_HALF)
                    add_to(lane[i] + r, _mm512_load_ps(lane[i + apart] + r));
        panel_put(y + row, lane[0], rows - row < LAID_ROWS ? rows - row : LAID_ROWS);
    }
}

INLINE void pack(struct panel_block *out, const uint8_t *at, size_t pieces,
                 const struct block_type *t)
{
    const bool min = t->offset == CODES_MIN;
    const __m512i more = _mm512_set1_epi8((char)(min ? 0 : 128 - (1 << t->offset)));
    for (size_t i = 0; i < pieces; i++, out++, at += LAID_ROWS * t->codes.bytes)
        for (int h = 0; h < HALVES; h++) {
            for (int step = 0; step < STEPS; step++) {
                __m512i u[GROUPS];
                unpack_codes(u, at, step, h, &t->codes);
                UNROLL
                for (int b = 0; b < GROUPS; b++)
                    _mm512_store_si512(out->u.step[STEPS * b + step][LAID_HALF * h],
                                       _mm512_add_epi8(u[b], more));
            }
            for (int b = 0; b < GROUPS; b++) {
                __m512 m;
                _mm512_store_ps(out->d[b] + LAID_HALF * h,
                                load_factors(&m, at + rest_at(&t->codes), b, h, min));
                _mm512_store_ps(out->m[b] + LAID_HALF * h, m);
            }
        }
}

#define LAID(name, planes, words, take, offset)                                                    \
    static const struct block_type type_##name = {                                                 \
        {GROUPS * sizeof(struct block_##name), planes, words, take}, offset};                      \
    LAID_KERNELS(name)
LAID(q4_0, 8, 4, codes_nibbles, 3)
LAID(q4_1, 8, 4, codes_nibbles, CODES_MIN)
LAID(iq4_nl, 8, 4, codes_iq4, 7)

void dot_laid_block_init_avx512(struct dot_kernels *k)
{
    LAID_SET(Q4_0, q4_0);
    LAID_SET(Q4_1, q4_1);
    LAID_SET(IQ4_NL, iq4_nl);
}
