/* dot_avx512.c - panels times many x in AVX-512 VNNI.  Same bytes as the reference: integers are
 * exact in any order, and floats are added in the reference's. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <immintrin.h>
#include <string.h>

/* x that are multiplied at a time: the sums of all with the rows of a panel, two vectors, stay in
 * registers. */
enum { COLUMNS = 6, HALVES = DOT_PANEL_ROWS / 16 };

INLINE __m512i broadcast(const void *p)
{
    int v;
    memcpy(&v, p, sizeof v);
    return _mm512_set1_epi32(v);
}

INLINE void set_zero(__m512i sum[COLUMNS][HALVES], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        sum[c][0] = sum[c][1] = _mm512_setzero_si512();
}

/* What sums of products begin with: less than nothing, where codes have an offset 2^n. */
INLINE void begin_sums(int32_t begin[16], const struct dot_super_input *x, int groups, int offset)
{
    const __m512i sum = groups == 16
                            ? _mm512_cvtepi16_epi32(_mm256_loadu_si256((const void *)x->sum))
                            : _mm512_castsi256_si512(
                                  _mm256_cvtepi16_epi32(_mm_loadu_si128((const void *)x->sum32)));
    _mm512_storeu_si512(begin,
                        _mm512_sub_epi32(_mm512_setzero_si512(), _mm512_slli_epi32(sum, offset)));
}

/* sum[c] += four codes of every row times those of x[c], in so many steps. */
INLINE void add_products(__m512i sum[COLUMNS][HALVES], int columns,
                         const uint8_t (*step)[DOT_PANEL_ROWS][4], const int8_t *q, size_t apart,
                         int steps)
{
    UNROLL
    for (int s = 0; s < steps; s++) {
        const __m512i w0 = _mm512_load_si512(step[s]), w1 = _mm512_load_si512(step[s][16]);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const __m512i x = broadcast(q + (size_t)c * apart + 4 * s);
            sum[c][0] = _mm512_dpbusd_epi32(sum[c][0], w0, x);
            sum[c][1] = _mm512_dpbusd_epi32(sum[c][1], w1, x);
        }
    }
}

/* sum[c] += pairs of minima of every row times sums of x[c]. */
INLINE void add_minima(__m512i sum[COLUMNS][HALVES], int columns, const struct panel_super *w,
                       const int16_t *x_sums, size_t apart, int pairs)
{
    const uint8_t *x = (const uint8_t *)x_sums;
    UNROLL
    for (int i = 0; i < pairs; i++) {
        const __m512i w0 = _mm512_load_si512(w->min[i]), w1 = _mm512_load_si512(w->min[i][16]);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const __m512i s = broadcast(x + (size_t)c * apart + 4 * i);
            sum[c][0] = _mm512_dpwssd_epi32(sum[c][0], w0, s);
            sum[c][1] = _mm512_dpwssd_epi32(sum[c][1], w1, s);
        }
    }
}

/* dot[c] = scales times the sums of the products.  `offset`: of the codes, or CODES_MIN. */
INLINE void multiply_codes(__m512i dot[COLUMNS][HALVES], int columns, const struct panel_super *w,
                           const struct dot_super_input *x, size_t pieces, int offset, int groups)
{
    const int steps = DOT_PIECE / 4 / groups;
    const int8_t *q = x->q;
    const size_t apart = pieces * sizeof *x;
    int32_t begin[COLUMNS][16];
    for (int c = 0; c < columns && offset != CODES_MIN; c++)
        begin_sums(begin[c], &x[(size_t)c * pieces], groups, offset);
    set_zero(dot, columns);
    for (int g = 0; g < groups; g++) {
        __m512i p[COLUMNS][HALVES];
        const int at = groups == 16 ? g / 2 + 8 * (g % 2) : g; /* in the order of the sums of x */
        UNROLL
        for (int c = 0; c < columns; c++)
            p[c][0] = p[c][1] =
                offset == CODES_MIN ? _mm512_setzero_si512() : _mm512_set1_epi32(begin[c][at]);
        add_products(p, columns, w->u.step + steps * g, q + 4 * steps * g, apart, steps);
        UNROLL
        for (int h = 0; h < HALVES; h++) {
            const __m512i scale =
                _mm512_cvtepi8_epi32(_mm_load_si128((const void *)(w->scale[g] + 16 * h)));
            UNROLL
            for (int c = 0; c < columns; c++)
                dot[c][h] = _mm512_add_epi32(dot[c][h], _mm512_mullo_epi32(p[c][h], scale));
        }
    }
}

/* Adds to what is there, or, the first time, to nothing. */
INLINE void add_to(float *y, __m512 term, bool first)
{
    _mm512_store_ps(y, _mm512_add_ps(first ? _mm512_setzero_ps() : _mm512_load_ps(y), term));
}

INLINE void multiply_supers(float y[][DOT_PANEL_ROWS], int columns, const struct panel_super *w,
                            const struct dot_super_input *x, size_t pieces, int offset, int groups)
{
    const bool min = offset == CODES_MIN;
    for (size_t b = 0; b < pieces; b++, w++, x++) {
        __m512i dot[COLUMNS][HALVES], low[COLUMNS][HALVES];
        multiply_codes(dot, columns, w, x, pieces, offset, groups);
        set_zero(low, columns);
        if (min)
            add_minima(low, columns, w, groups == 16 ? x->sum : x->sum32, pieces * sizeof *x,
                       groups / 2);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const __m512 dx = _mm512_set1_ps(x[(size_t)c * pieces].d);
            UNROLL
            for (int h = 0; h < HALVES; h++) {
                __m512 term =
                    _mm512_mul_ps(_mm512_load_ps(w->d + 16 * h), _mm512_cvtepi32_ps(dot[c][h]));
                if (min)
                    term = _mm512_sub_ps(term, _mm512_mul_ps(_mm512_load_ps(w->m + 16 * h),
                                                             _mm512_cvtepi32_ps(low[c][h])));
                add_to(y[c] + 16 * h, _mm512_mul_ps(term, dx), b == 0);
            }
        }
    }
}

/* y[c] = the sums of the eight lanes of every row, in the order of dot_add_lanes. */
INLINE void add_lanes(float y[][DOT_PANEL_ROWS], int columns,
                      float lane[COLUMNS][DOT_BLOCKS][DOT_PANEL_ROWS])
{
    for (int c = 0; c < columns; c++) {
        for (int apart = DOT_BLOCKS / 2; apart > 0; apart /= 2)
            for (int i = 0; i < apart; i++)
                for (int row = 0; row < DOT_PANEL_ROWS; row += 16)
                    add_to(lane[c][i] + row, _mm512_load_ps(lane[c][i + apart] + row), false);
        memcpy(y[c], lane[c][0], sizeof lane[c][0]);
    }
}

INLINE void multiply_blocks(float y[][DOT_PANEL_ROWS], int columns, const struct panel_block *w,
                            const struct dot_block_input *x, size_t pieces, int offset, int groups)
{
    const bool min = offset == CODES_MIN;
    const size_t apart = pieces * sizeof *x;
    _Alignas(64) float lane[COLUMNS][DOT_BLOCKS][DOT_PANEL_ROWS];
    for (size_t i = 0; i < pieces; i++, w++, x++)
        for (int b = 0; b < groups; b++) {
            __m512i dot[COLUMNS][HALVES];
            UNROLL
            for (int c = 0; c < columns; c++)
                dot[c][0] = dot[c][1] =
                    min ? _mm512_setzero_si512()
                        : _mm512_set1_epi32(-(x[(size_t)c * pieces].sum[b] * (1 << offset)));
            add_products(dot, columns, w->u.step + 8 * b, x->q + 32 * b, apart, 8);
            UNROLL
            for (int c = 0; c < columns; c++) {
                const __m512 dx = _mm512_set1_ps(x[(size_t)c * pieces].d[b]);
                const __m512 sum = _mm512_set1_ps((float)x[(size_t)c * pieces].sum[b]);
                UNROLL
                for (int h = 0; h < HALVES; h++) {
                    __m512 term = _mm512_mul_ps(_mm512_load_ps(w->d[b] + 16 * h),
                                                _mm512_cvtepi32_ps(dot[c][h]));
                    if (min)
                        term = _mm512_add_ps(term,
                                             _mm512_mul_ps(_mm512_load_ps(w->m[b] + 16 * h), sum));
                    add_to(lane[c][b] + 16 * h, _mm512_mul_ps(term, dx), i == 0);
                }
            }
        }
    add_lanes(y, columns, lane);
}

/* All x: six at a time, then two, then one. */
#define MULTIPLY(name, form, input, offset, groups)                                                \
    static void multiply_##name(float *y, size_t stride, const void *panel, size_t rows,           \
                                const void *x, size_t vectors, size_t n)                           \
    {                                                                                              \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct input *in = x;                                                                \
        while (vectors > 0) {                                                                      \
            _Alignas(64) float sum[COLUMNS][DOT_PANEL_ROWS];                                       \
            const size_t columns = vectors >= COLUMNS ? COLUMNS : vectors >= 2 ? 2 : 1;            \
            if (columns == COLUMNS)                                                                \
                multiply_##form(sum, COLUMNS, panel, in, pieces, offset, groups);                  \
            else if (columns == 2)                                                                 \
                multiply_##form(sum, 2, panel, in, pieces, offset, groups);                        \
            else                                                                                   \
                multiply_##form(sum, 1, panel, in, pieces, offset, groups);                        \
            for (size_t c = 0; c < columns; c++, y += stride)                                      \
                panel_put(y, sum[c], rows);                                                        \
            in += columns * pieces;                                                                \
            vectors -= columns;                                                                    \
        }                                                                                          \
    }
MULTIPLY(blocks_off, blocks, dot_block_input, 7, 8)
MULTIPLY(blocks_min, blocks, dot_block_input, CODES_MIN, 8)
#define BLOCKS(ID, name, codes)
#define SUPERS(ID, name, codes, groups)                                                            \
    MULTIPLY(name, supers, dot_super_input, (codes) == CODES_SIGNED ? 7 : (codes), groups)
PANEL_TYPES(BLOCKS, SUPERS)
#undef BLOCKS
#undef SUPERS

void dot_init_avx512(struct dot_kernels *k)
{
#define BLOCKS(ID, name, codes)                                                                    \
    k->multiply[DTYPE_##ID] = (codes) == CODES_MIN ? multiply_blocks_min : multiply_blocks_off;
#define SUPERS(ID, name, codes, groups) k->multiply[DTYPE_##ID] = multiply_##name;
    PANEL_TYPES(BLOCKS, SUPERS)
    dot_row_init_avx512(k);
    dot_laid_init_avx512(k);
    dot_float_init_avx512(k);
}
