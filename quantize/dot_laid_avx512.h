/* dot_laid_avx512.h - the codes of weights that are laid out anew (quantize/dot_laid.h), in AVX-512
 * VNNI, times x.
 *
 * Every byte is met in the order in which it lies in memory, by few enough instructions that the
 * machine has the next ones under way long before.
 */
#ifndef QUANTIZE_DOT_LAID_AVX512_H
#define QUANTIZE_DOT_LAID_AVX512_H

#include "core/block.h"
#include "quantize/dot.h"
#include "quantize/dot_laid.h"
#include "quantize/dot_panel.h"
#include "quantize/value_table.h"

#include <immintrin.h>

/* A vector is a word of sixteen rows, half of those that lie side by side.  Four columns of a group
 * are a step. */
enum { STEPS = 8, GROUPS = 8, HALVES = LAID_ROWS / LAID_HALF, WORD = 64 };

/* How the codes of a type are unpacked: columns 4 step .. of each of the eight groups of 32, from the
 * planes of a step, or of one that is met twice, where a word has eight columns of a group. */
struct laid_codes {
    size_t bytes; /* of 256 columns */
    int planes, words;
    void (*unpack)(__m512i u[GROUPS], const uint8_t *at, int step);
};

INLINE __m512i load(const uint8_t *at, int word) { return _mm512_load_si512(at + word * WORD); }

INLINE __m512i bits(__m512i v, int shift, char mask)
{
    return _mm512_and_si512(_mm512_srli_epi16(v, shift), _mm512_set1_epi8(mask));
}

INLINE void codes_nibbles(__m512i u[GROUPS], const uint8_t *at, int step)
{
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits(load(at, g), step & 4, 15);
}

INLINE void codes_iq4(__m512i u[GROUPS], const uint8_t *at, int step)
{
    const __m128i table = _mm_xor_si128(_mm_loadu_si128((const void *)iq4_values),
                                        _mm_set1_epi8(-128)); /* without a sign */
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table), bits(load(at, g), step & 4, 15));
}

/* The half at the foot of each of sixteen words. */
INLINE __m512 low_halves(__m512i words) { return _mm512_cvtph_ps(_mm512_cvtepi32_epi16(words)); }

INLINE __m512 load_halves(const uint8_t *half)
{
    return _mm512_cvtph_ps(_mm256_load_si256((const void *)half));
}

INLINE __m512i broadcast(const void *p)
{
    int v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* From the first of the codes on. */
INLINE void unpack_codes(__m512i u[GROUPS], const uint8_t *at, int step, int h,
                         const struct laid_codes *t)
{
    t->unpack(u, at + (HALVES * (step % t->words) + h) * t->planes * WORD, step);
}

/* p = codes times x, of so many steps. */
INLINE void multiply_codes(__m512i p[HALVES][GROUPS], const uint8_t *at, const int8_t *q, int first,
                           int steps, const struct laid_codes *t)
{
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        p[0][g] = p[1][g] = _mm512_setzero_si512();
    for (int step = first; step < first + steps; step++) {
        UNROLL
        for (int h = 0; h < HALVES; h++) {
            __m512i u[GROUPS];
            unpack_codes(u, at, step, h, t);
            UNROLL
            for (int g = 0; g < GROUPS; g++)
                p[h][g] = _mm512_dpbusd_epi32(p[h][g], u[g], broadcast(q + 32 * g + 4 * step));
        }
    }
}

/* The kernels of a type, by its file's multiply and pack and its type_##name. */
#define LAID_KERNELS(name)                                                                         \
    static void multiply_##name(float *y, const uint8_t *laid, size_t rows, const void *x,         \
                                size_t n)                                                          \
    {                                                                                              \
        multiply(y, laid, rows, x, n / DOT_PIECE, &type_##name);                                   \
    }                                                                                              \
    static void pack_##name(void *panel, const uint8_t *laid, size_t n)                            \
    {                                                                                              \
        pack(panel, laid, n / DOT_PIECE, &type_##name);                                            \
    }
#define LAID_SET(ID, name)                                                                         \
    k->laid_multiply[DTYPE_##ID] = multiply_##name;                                                \
    k->laid_pack[DTYPE_##ID] = pack_##name

#endif
