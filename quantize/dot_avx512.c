/* dot_avx512.c - panels times many x in AVX-512 VNNI.  Same bytes as the reference. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* x that are multiplied at a time: sums of all stay in registers. */
enum { COLUMNS = 8 };

INLINE __m512i broadcast(const void *p)
{
    int v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

/* sum[c] += four codes of every row times those of x[c], from step `from` on. */
INLINE void add_products(__m512i *sum, int columns, const struct panel_codes *u, const int8_t *q,
                         size_t apart, int from, int steps)
{
#pragma GCC unroll 8
    for (int s = from; s < from + steps; s++) {
        const __m512i w = _mm512_load_si512(u->step[s]);
#pragma GCC unroll 8
        for (int c = 0; c < columns; c++)
            sum[c] = _mm512_dpbusd_epi32(sum[c], w, broadcast(q + (size_t)c * apart + 4 * s));
    }
}

INLINE void multiply_supers(float y[][DOT_PANEL_ROWS], int columns, const struct panel_super *w,
                            const struct dot_super_input *x, size_t supers, int codes, int groups)
{
    const size_t apart = supers * sizeof *x;
    for (size_t b = 0; b < supers; b++, w++, x++) {
        __m512i dot[COLUMNS], p[COLUMNS];
        for (int c = 0; c < columns; c++)
            dot[c] = _mm512_setzero_si512();
        for (int g = 0; g < groups; g++) {
            const __m512i scale = _mm512_cvtepi8_epi32(_mm_load_si128((const void *)w->scale[g]));
            for (int c = 0; c < columns; c++)
                p[c] = _mm512_setzero_si512();
            add_products(p, columns, &w->u, x->q, apart, 64 / groups * g, 64 / groups);
            for (int c = 0; c < columns; c++)
                dot[c] = _mm512_add_epi32(dot[c], _mm512_mullo_epi32(p[c], scale));
        }
        for (int c = 0; c < columns; c++)
            p[c] = _mm512_setzero_si512();
        for (int i = 0; i < 8; i++) {
            const __m512i min = _mm512_load_si512(w->min[i]);
            const uint8_t *sum = (const uint8_t *)(x->sum + 2 * i);
            for (int c = 0; c < columns; c++)
                p[c] = _mm512_dpwssd_epi32(p[c], min, broadcast(sum + (size_t)c * apart));
        }
        const __m512 d = _mm512_load_ps(w->d), m = _mm512_load_ps(w->m);
        for (int c = 0; c < columns; c++) {
            const struct dot_super_input *xc =
                (const void *)((const uint8_t *)x + (size_t)c * apart);
            const __m512i whole = codes == CODES_MIN ? dot[c] : _mm512_sub_epi32(dot[c], p[c]);
            __m512 term = _mm512_mul_ps(d, _mm512_cvtepi32_ps(whole));
            if (codes == CODES_MIN)
                term = _mm512_sub_ps(term, _mm512_mul_ps(m, _mm512_cvtepi32_ps(p[c])));
            term = _mm512_mul_ps(term, _mm512_set1_ps(xc->d));
            _mm512_storeu_ps(y[c], _mm512_add_ps(_mm512_loadu_ps(y[c]), term));
        }
    }
}

INLINE void multiply_blocks(float y[][DOT_PANEL_ROWS], int columns, const struct panel_block *w,
                            const struct dot_block_input *x, size_t pieces, int codes, int groups)
{
    const size_t apart = pieces * sizeof *x;
    const int shift = codes == CODES_SIGNED ? 7 : codes;
    (void)groups;
    for (size_t i = 0; i < pieces; i++, w++, x++) {
        for (int b = 0; b < 8; b++) {
            __m512i dot[COLUMNS];
            const __m512 d = _mm512_load_ps(w->d[b]), m = _mm512_load_ps(w->m[b]);
            for (int c = 0; c < columns; c++)
                dot[c] = _mm512_setzero_si512();
            add_products(dot, columns, &w->u, x->q, apart, 8 * b, 8);
            for (int c = 0; c < columns; c++) {
                const struct dot_block_input *xc =
                    (const void *)((const uint8_t *)x + (size_t)c * apart);
                const __m512i sum = _mm512_set1_epi32(xc->sum[b]);
                if (codes != CODES_MIN)
                    dot[c] = _mm512_sub_epi32(dot[c], _mm512_slli_epi32(sum, (unsigned)shift));
                __m512 term = _mm512_mul_ps(d, _mm512_cvtepi32_ps(dot[c]));
                if (codes == CODES_MIN)
                    term = _mm512_add_ps(term, _mm512_mul_ps(m, _mm512_cvtepi32_ps(sum)));
                term = _mm512_mul_ps(term, _mm512_set1_ps(xc->d[b]));
                _mm512_storeu_ps(y[c], _mm512_add_ps(_mm512_loadu_ps(y[c]), term));
            }
        }
    }
}

/* All x, COLUMNS at a time and then one by one. */
#define MULTIPLY(name, form, pieces_type, input_type, codes, groups)                               \
    static void multiply_##name(float *y, size_t stride, const void *panel, size_t rows,           \
                                const void *x, size_t vectors, size_t n)                           \
    {                                                                                              \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct input_type *in = x;                                                           \
        for (size_t v = 0; v < vectors;) {                                                         \
            _Alignas(64) float sum[COLUMNS][DOT_PANEL_ROWS] = {0};                                 \
            const size_t columns = vectors - v < COLUMNS ? 1 : COLUMNS;                            \
            if (columns == COLUMNS)                                                                \
                multiply_##form(sum, COLUMNS, panel, in + v * pieces, pieces, codes, groups);      \
            else                                                                                   \
                multiply_##form(sum, 1, panel, in + v * pieces, pieces, codes, groups);            \
            for (size_t c = 0; c < columns; c++, v++)                                              \
                memcpy(y + v * stride, sum[c], rows * sizeof *y);                                  \
        }                                                                                          \
    }
#define BLOCKS(ID, name, codes) MULTIPLY(name, blocks, panel_block, dot_block_input, codes, 8)
#define SUPERS(ID, name, codes, groups)                                                            \
    MULTIPLY(name, supers, panel_super, dot_super_input, codes, groups)
PANEL_TYPES(BLOCKS, SUPERS)

void dot_init_avx512(struct dot_kernels *k)
{
#define SET(ID, name, ...) k->multiply[DTYPE_##ID] = multiply_##name;
    PANEL_TYPES(SET, SET)
}
