/* dot_panel_avx2.c - panels times many x in AVX2.  Same bytes as the reference: integers are exact
 * in any order, and floats are added in the reference's. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <immintrin.h>
#include <string.h>

/* x and vectors of eight rows that are multiplied at a time. */
enum { COLUMNS = 3, VECTORS = 2, ROWS = 8 * VECTORS };

INLINE __m256i broadcast(const void *p)
{
    int v;
    memcpy(&v, p, sizeof v);
    return _mm256_set1_epi32(v);
}

INLINE void set_zero(__m256i sum[COLUMNS][VECTORS], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        sum[c][0] = sum[c][1] = _mm256_setzero_si256();
}

/* sum[c] += scale times four codes of every row times those of x[c], in so many steps.  Pairs of
 * products have 16 bits: of unsigned codes up to 63 two steps fit in them, of those up to 31
 * four.  Codes with 128 added are made signed again, and are taken one step at a time. */
INLINE void add_products(__m256i sum[COLUMNS][VECTORS], int columns,
                         const uint8_t (*step)[DOT_PANEL_ROWS][4], size_t row, const int8_t *q,
                         size_t apart, int steps, int run, const __m256i scale[VECTORS])
{
    for (int s = 0; s < steps; s += run) {
        __m256i p[COLUMNS][VECTORS];
        UNROLL
        for (int i = 0; i < run; i++) {
            __m256i w[VECTORS];
            UNROLL
            for (int v = 0; v < VECTORS; v++) {
                w[v] = _mm256_load_si256((const void *)step[s + i][row + 8 * v]);
                if (run == 1)
                    w[v] = _mm256_xor_si256(w[v], _mm256_set1_epi8(-128));
            }
            UNROLL
            for (int c = 0; c < columns; c++) {
                const __m256i x = broadcast(q + (size_t)c * apart + 4 * (s + i));
                UNROLL
                for (int v = 0; v < VECTORS; v++) {
                    const __m256i pairs = run == 1 ? _mm256_maddubs_epi16(_mm256_abs_epi8(w[v]),
                                                                          _mm256_sign_epi8(x, w[v]))
                                                   : _mm256_maddubs_epi16(w[v], x);
                    p[c][v] = i == 0 ? pairs : _mm256_add_epi16(p[c][v], pairs);
                }
            }
        }
        UNROLL
        for (int c = 0; c < columns; c++) {
            UNROLL
            for (int v = 0; v < VECTORS; v++)
                sum[c][v] = _mm256_add_epi32(sum[c][v], _mm256_madd_epi16(p[c][v], scale[v]));
        }
    }
}

/* sum[c] += pairs of minima of every row times sums of x[c]. */
INLINE void add_minima(__m256i sum[COLUMNS][VECTORS], int columns,
                       const int16_t (*min)[DOT_PANEL_ROWS][2], size_t row, const int16_t *x_sums,
                       size_t apart, int pairs)
{
    const uint8_t *x = (const uint8_t *)x_sums;
    for (int i = 0; i < pairs; i++) {
        UNROLL
        for (int c = 0; c < columns; c++) {
            const __m256i s = broadcast(x + (size_t)c * apart + 4 * i);
            UNROLL
            for (int v = 0; v < VECTORS; v++) {
                const __m256i m = _mm256_load_si256((const void *)min[i][row + 8 * v]);
                sum[c][v] = _mm256_add_epi32(sum[c][v], _mm256_madd_epi16(m, s));
            }
        }
    }
}

INLINE void add_to(float *y, __m256 term)
{
    _mm256_store_ps(y, _mm256_add_ps(_mm256_load_ps(y), term));
}

/* Eight scales, each twice in 16 bits. */
INLINE __m256i twice(const int8_t *scale)
{
    const __m256i s = _mm256_cvtepi8_epi32(_mm_loadl_epi64((const void *)scale));
    return _mm256_blend_epi16(s, _mm256_slli_epi32(s, 16), 0xaa);
}

/* Rows from `row` on.  `min`: the type has minima; else they are what the codes have too much, if
 * they have. */
INLINE void multiply_supers(float y[][DOT_PANEL_ROWS], int columns, size_t row,
                            const struct panel_super *w, const struct dot_super_input *x,
                            size_t pieces, bool min, int groups, int run)
{
    const size_t apart = pieces * sizeof *x;
    const int steps = DOT_PIECE / 4 / groups;
    for (size_t b = 0; b < pieces; b++, w++, x++) {
        __m256i dot[COLUMNS][VECTORS], low[COLUMNS][VECTORS];
        set_zero(dot, columns);
        for (int g = 0; g < groups; g++) {
            const __m256i scale[VECTORS] = {twice(w->scale[g] + row), twice(w->scale[g] + row + 8)};
            add_products(dot, columns, w->u.step + steps * g, row, x->q + 4 * steps * g, apart,
                         steps, run, scale);
        }
        set_zero(low, columns);
        if (run > 1)
            add_minima(low, columns, w->min, row, groups == 16 ? x->sum : x->sum32, apart,
                       groups / 2);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const __m256 dx = _mm256_set1_ps(x[(size_t)c * pieces].d);
            UNROLL
            for (int v = 0; v < VECTORS; v++) {
                const __m256i whole = min ? dot[c][v] : _mm256_sub_epi32(dot[c][v], low[c][v]);
                __m256 term =
                    _mm256_mul_ps(_mm256_load_ps(w->d + row + 8 * v), _mm256_cvtepi32_ps(whole));
                if (min)
                    term = _mm256_sub_ps(term, _mm256_mul_ps(_mm256_load_ps(w->m + row + 8 * v),
                                                             _mm256_cvtepi32_ps(low[c][v])));
                add_to(y[c] + row + 8 * v, _mm256_mul_ps(term, dx));
            }
        }
    }
}

/* y = the sums of the eight lanes of every row, in the order of dot_add_lanes. */
INLINE void add_lanes(float *y, float lane[DOT_BLOCKS][ROWS])
{
    for (int apart = DOT_BLOCKS / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            for (int v = 0; v < VECTORS; v++)
                add_to(lane[i] + 8 * v, _mm256_load_ps(lane[i + apart] + 8 * v));
    memcpy(y, lane[0], sizeof lane[0]);
}

INLINE void multiply_blocks(float y[][DOT_PANEL_ROWS], int columns, size_t row,
                            const struct panel_block *w, const struct dot_block_input *x,
                            size_t pieces, bool min, int groups, int run)
{
    const size_t apart = pieces * sizeof *x;
    _Alignas(64) float lane[COLUMNS][DOT_BLOCKS][ROWS];
    memset(lane, 0, (size_t)columns * sizeof lane[0]);
    const __m256i scale[VECTORS] = {_mm256_set1_epi16(1), _mm256_set1_epi16(1)};
    for (size_t i = 0; i < pieces; i++, w++, x++)
        for (int b = 0; b < groups; b++) {
            __m256i dot[COLUMNS][VECTORS];
            set_zero(dot, columns);
            add_products(dot, columns, w->u.step + 8 * b, row, x->q + 32 * b, apart, 8, run, scale);
            UNROLL
            for (int c = 0; c < columns; c++) {
                const __m256 dx = _mm256_set1_ps(x[(size_t)c * pieces].d[b]);
                const __m256 sum = _mm256_set1_ps((float)x[(size_t)c * pieces].sum[b]);
                UNROLL
                for (int v = 0; v < VECTORS; v++) {
                    __m256 term = _mm256_mul_ps(_mm256_load_ps(w->d[b] + row + 8 * v),
                                                _mm256_cvtepi32_ps(dot[c][v]));
                    if (min)
                        term = _mm256_add_ps(
                            term, _mm256_mul_ps(_mm256_load_ps(w->m[b] + row + 8 * v), sum));
                    add_to(lane[c][b] + 8 * v, _mm256_mul_ps(term, dx));
                }
            }
        }
    for (int c = 0; c < columns; c++)
        add_lanes(y[c] + row, lane[c]);
}

/* All x: three at a time, then one. */
#define MULTIPLY(name, form, input, min, groups, run)                                              \
    static void multiply_##name(float *y, size_t stride, const void *panel, size_t rows,           \
                                const void *x, size_t vectors, size_t n)                           \
    {                                                                                              \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct input *in = x;                                                                \
        while (vectors > 0) {                                                                      \
            _Alignas(64) float sum[COLUMNS][DOT_PANEL_ROWS] = {0};                                 \
            const size_t columns = vectors >= COLUMNS ? COLUMNS : 1;                               \
            for (size_t row = 0; row < rows; row += ROWS) {                                        \
                if (columns == COLUMNS)                                                            \
                    multiply_##form(sum, COLUMNS, row, panel, in, pieces, min, groups, run);       \
                else                                                                               \
                    multiply_##form(sum, 1, row, panel, in, pieces, min, groups, run);             \
            }                                                                                      \
            for (size_t c = 0; c < columns; c++, y += stride)                                      \
                memcpy(y, sum[c], rows * sizeof *y);                                               \
            in += columns * pieces;                                                                \
            vectors -= columns;                                                                    \
        }                                                                                          \
    }
MULTIPLY(blocks_min, blocks, dot_block_input, true, 8, 4)
MULTIPLY(blocks_signed, blocks, dot_block_input, false, 8, 1)
MULTIPLY(supers_min_8, supers, dot_super_input, true, 8, 4)
MULTIPLY(supers_min_16, supers, dot_super_input, true, 16, 4)
MULTIPLY(supers_off_8, supers, dot_super_input, false, 8, 4)
MULTIPLY(supers_off_16, supers, dot_super_input, false, 16, 2)
MULTIPLY(supers_signed, supers, dot_super_input, false, 8, 1)

void dot_panel_init_avx2(struct dot_kernels *k)
{
#define BLOCKS(ID, name, codes)                                                                    \
    k->multiply[DTYPE_##ID] = (codes) == CODES_MIN ? multiply_blocks_min : multiply_blocks_signed;
#define SUPERS(ID, name, codes, groups)                                                            \
    k->multiply[DTYPE_##ID] = (codes) == CODES_MIN      ? multiply_supers_min_##groups             \
                              : (codes) == CODES_SIGNED ? multiply_supers_signed                   \
                                                        : multiply_supers_off_##groups;
    PANEL_TYPES(BLOCKS, SUPERS)
}
