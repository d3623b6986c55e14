/* dot_neon_impl.h - products of rows and of panels in NEON; included by the files that define
 *
 *   dot4(sum, w, x)              each of four lanes += its four bytes of w times those of x
 *   dot4_lane(sum, w, x, lane)   the same with the four bytes of one lane of x for all
 *
 * and built with sdot and without.  Same bytes as the reference: integers are exact in any order,
 * and floats are added in the reference's. */
#include "quantize/dot_panel_neon.h"
#include "quantize/dot_unpack_neon.h"

/* The sums of four vectors. */
INLINE int32x4_t sums_of(const int32x4_t p[4])
{
    return vpaddq_s32(vpaddq_s32(p[0], p[1]), vpaddq_s32(p[2], p[3]));
}

/* Four groups of so many vectors of codes. */
INLINE int32x4_t dot_groups(const int8x16_t *u, const int8_t *q, int vectors)
{
    int32x4_t p[4];
    UNROLL
    for (int g = 0; g < 4; g++) {
        p[g] = vdupq_n_s32(0);
        UNROLL
        for (int v = 0; v < vectors; v++)
            p[g] = dot4(p[g], u[vectors * g + v], vld1q_s8(q + 16 * (vectors * g + v)));
    }
    return sums_of(p);
}

INLINE float32x4_t madd(float32x4_t sum, float32x4_t a, float32x4_t b)
{
    return vaddq_f32(sum, vmulq_f32(a, b));
}

INLINE void add_blocks(float32x4_t y[2], const struct blocks *w, const struct dot_block_input *x,
                       bool min)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        const int32x4_t dot = dot_groups(w->u + 8 * h, x->q + 128 * h, 2);
        float32x4_t term = vmulq_f32(w->d[h], vcvtq_f32_s32(dot));
        if (min)
            term = madd(term, w->m[h], vcvtq_f32_s32(vld1q_s32(x->sum + 4 * h)));
        y[h] = madd(y[h], term, vld1q_f32(x->d + 4 * h));
    }
}

/* The last piece may have fewer than eight blocks; the others are then zero. */
INLINE float row_blocks(const uint8_t *row, const struct dot_block_input *x, size_t n, size_t bytes,
                        void (*unpack)(struct blocks *, const uint8_t *), bool min)
{
    struct blocks w;
    float32x4_t y[2] = {vdupq_n_f32(0.0f), vdupq_n_f32(0.0f)};
    for (; n >= DOT_PIECE; n -= DOT_PIECE, row += 8 * bytes, x++) {
        unpack(&w, row);
        add_blocks(y, &w, x, min);
    }
    if (n > 0) {
        uint8_t last[8 * sizeof(struct block_q8_0)] = {0};
        memcpy(last, row, n / BLOCK_ELEMS * bytes);
        unpack(&w, last);
        add_blocks(y, &w, x, min);
    }
    const float32x4_t four = vaddq_f32(y[0], y[1]);
    const float32x2_t two = vadd_f32(vget_low_f32(four), vget_high_f32(four));
    return vget_lane_f32(two, 0) + vget_lane_f32(two, 1);
}

INLINE int32x4_t multiply_words(int32x4_t sum, int16x8_t a, int16x8_t b)
{
    return vmlal_high_s16(vmlal_s16(sum, vget_low_s16(a), vget_low_s16(b)), a, b);
}

INLINE float add_super(float y, const struct super *w, const struct dot_super_input *x, bool min,
                       int groups)
{
    const int vectors = 16 / groups;
    int32x4_t dot = vdupq_n_s32(0), low = vdupq_n_s32(0);
    UNROLL
    for (int g = 0; g < groups; g += 8) {
        const int16x8_t scale = w->scale[g / 8];
        const int8x16_t *u = w->u + vectors * g;
        const int8_t *q = x->q + 16 * vectors * g;
        dot = vmlaq_s32(dot, dot_groups(u, q, vectors), vmovl_s16(vget_low_s16(scale)));
        dot = vmlaq_s32(dot, dot_groups(u + 4 * vectors, q + 64 * vectors, vectors),
                        vmovl_high_s16(scale));
        if (min)
            low = multiply_words(low, w->min[g / 8],
                                 vld1q_s16((groups == 16 ? x->sum : x->sum32) + g));
    }
    float term = w->d * (float)vaddvq_s32(dot);
    if (min)
        term = term - w->m * (float)vaddvq_s32(low);
    return y + term * x->d;
}

INLINE float row_supers(const uint8_t *row, const struct dot_super_input *x, size_t n, size_t bytes,
                        void (*unpack)(struct super *, const uint8_t *), bool min, int groups)
{
    float y = 0.0f;
    for (; n > 0; n -= SUPER_ELEMS, row += bytes, x++) {
        struct super w;
        unpack(&w, row);
        y = add_super(y, &w, x, min, groups);
    }
    return y;
}

/* x and vectors of four rows that are multiplied at a time. */
enum { COLUMNS = 4, VECTORS = 2, ROWS = 4 * VECTORS };

INLINE void set_zero(int32x4_t sum[COLUMNS][VECTORS], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        sum[c][0] = sum[c][1] = vdupq_n_s32(0);
}

/* sum[c] += the codes of every row times those of x[c], sixteen columns `times` over. */
INLINE void add_products(int32x4_t sum[COLUMNS][VECTORS], int columns,
                         const int8_t (*step)[DOT_PANEL_ROWS][4], size_t row, const int8_t *q,
                         size_t apart, int times)
{
    for (int t = 0; t < times; t++, step += 4, q += 16) {
        int8x16_t x[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++)
            x[c] = vld1q_s8(q + (size_t)c * apart);
        UNROLL
        for (int v = 0; v < VECTORS; v++) {
            int8x16_t w[4];
            UNROLL
            for (int i = 0; i < 4; i++)
                w[i] = vld1q_s8(step[i][row + 4 * (size_t)v]);
            UNROLL
            for (int c = 0; c < columns; c++) {
                sum[c][v] = dot4_lane(sum[c][v], w[0], x[c], 0);
                sum[c][v] = dot4_lane(sum[c][v], w[1], x[c], 1);
                sum[c][v] = dot4_lane(sum[c][v], w[2], x[c], 2);
                sum[c][v] = dot4_lane(sum[c][v], w[3], x[c], 3);
            }
        }
    }
}

/* sum[c] += the minima of every row times the sums of x[c]. */
INLINE void add_minima(int32x4_t sum[COLUMNS][VECTORS], int columns,
                       const int16_t (*min)[DOT_PANEL_ROWS], size_t row,
                       const struct dot_super_input *x, size_t pieces, int groups)
{
    for (int g = 0; g < groups; g++) {
        const int16x8_t m = vld1q_s16(min[g] + row);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const struct dot_super_input *xc = x + (size_t)c * pieces;
            const int16_t of_x = groups == 16 ? xc->sum[g] : xc->sum32[g];
            sum[c][0] = vmlal_n_s16(sum[c][0], vget_low_s16(m), of_x);
            sum[c][1] = vmlal_high_n_s16(sum[c][1], m, of_x);
        }
    }
}

INLINE void add_to(float *y, float32x4_t a, float32x4_t b)
{
    vst1q_f32(y, madd(vld1q_f32(y), a, b));
}

/* Rows from `row` on. */
INLINE void multiply_supers(float y[][DOT_PANEL_ROWS], int columns, size_t row,
                            const struct signed_super *w, const struct dot_super_input *x,
                            size_t pieces, bool min, int groups)
{
    const size_t apart = pieces * sizeof *x;
    const int times = 16 / groups;
    for (size_t b = 0; b < pieces; b++, w++, x++) {
        int32x4_t dot[COLUMNS][VECTORS], low[COLUMNS][VECTORS];
        set_zero(dot, columns);
        for (int g = 0; g < groups; g++) {
            int32x4_t p[COLUMNS][VECTORS];
            set_zero(p, columns);
            add_products(p, columns, w->u.step + 4 * times * g, row, x->q + 16 * times * g, apart,
                         times);
            const int16x8_t scale = vmovl_s8(vld1_s8(w->scale[g] + row));
            UNROLL
            for (int c = 0; c < columns; c++) {
                dot[c][0] = vmlaq_s32(dot[c][0], p[c][0], vmovl_s16(vget_low_s16(scale)));
                dot[c][1] = vmlaq_s32(dot[c][1], p[c][1], vmovl_high_s16(scale));
            }
        }
        set_zero(low, columns);
        if (min)
            add_minima(low, columns, w->min, row, x, pieces, groups);
        UNROLL
        for (int c = 0; c < columns; c++) {
            const float32x4_t dx = vdupq_n_f32(x[(size_t)c * pieces].d);
            UNROLL
            for (size_t v = 0; v < VECTORS; v++) {
                const size_t r = row + 4 * v;
                float32x4_t term = vmulq_f32(vld1q_f32(w->d + r), vcvtq_f32_s32(dot[c][v]));
                if (min)
                    term =
                        vsubq_f32(term, vmulq_f32(vld1q_f32(w->m + r), vcvtq_f32_s32(low[c][v])));
                add_to(y[c] + r, term, dx);
            }
        }
    }
}

/* y = the sums of the eight lanes of every row, in the order of dot_add_lanes. */
INLINE void add_lanes(float *y, float lane[DOT_BLOCKS][ROWS])
{
    for (int apart = DOT_BLOCKS / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            for (int r = 0; r < ROWS; r++)
                lane[i][r] += lane[i + apart][r];
    memcpy(y, lane[0], sizeof lane[0]);
}

INLINE void multiply_blocks(float y[][DOT_PANEL_ROWS], int columns, size_t row,
                            const struct signed_block *w, const struct dot_block_input *x,
                            size_t pieces, bool min)
{
    const size_t apart = pieces * sizeof *x;
    float lane[COLUMNS][DOT_BLOCKS][ROWS];
    memset(lane, 0, (size_t)columns * sizeof lane[0]);
    for (size_t i = 0; i < pieces; i++, w++, x++)
        for (int b = 0; b < 8; b++) {
            int32x4_t dot[COLUMNS][VECTORS];
            set_zero(dot, columns);
            add_products(dot, columns, w->u.step + 8 * b, row, x->q + 32 * b, apart, 2);
            UNROLL
            for (int c = 0; c < columns; c++) {
                const struct dot_block_input *xc = x + (size_t)c * pieces;
                const float32x4_t dx = vdupq_n_f32(xc->d[b]);
                const float32x4_t sum = vdupq_n_f32((float)xc->sum[b]);
                UNROLL
                for (size_t v = 0; v < VECTORS; v++) {
                    const size_t r = row + 4 * v;
                    float32x4_t term = vmulq_f32(vld1q_f32(w->d[b] + r), vcvtq_f32_s32(dot[c][v]));
                    if (min)
                        term = madd(term, vld1q_f32(w->m[b] + r), sum);
                    add_to(lane[c][b] + 4 * v, term, dx);
                }
            }
        }
    for (int c = 0; c < columns; c++)
        add_lanes(y[c] + row, lane[c]);
}

/* All x: four at a time, then one. */
#define MULTIPLY(name, form, input, ...)                                                           \
    static void multiply_##name(float *y, size_t stride, const void *panel, size_t rows,           \
                                const void *x, size_t vectors, size_t n)                           \
    {                                                                                              \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct input *in = x;                                                                \
        while (vectors > 0) {                                                                      \
            float sum[COLUMNS][DOT_PANEL_ROWS] = {0};                                              \
            const size_t columns = vectors >= COLUMNS ? COLUMNS : 1;                               \
            for (size_t row = 0; row < rows; row += ROWS) {                                        \
                if (columns == COLUMNS)                                                            \
                    multiply_##form(sum, COLUMNS, row, panel, in, pieces, __VA_ARGS__);            \
                else                                                                               \
                    multiply_##form(sum, 1, row, panel, in, pieces, __VA_ARGS__);                  \
            }                                                                                      \
            for (size_t c = 0; c < columns; c++, y += stride)                                      \
                memcpy(y, sum[c], rows * sizeof *y);                                               \
            in += columns * pieces;                                                                \
            vectors -= columns;                                                                    \
        }                                                                                          \
    }
MULTIPLY(blocks_min, blocks, dot_block_input, true)
MULTIPLY(blocks_plain, blocks, dot_block_input, false)
MULTIPLY(supers_min_8, supers, dot_super_input, true, 8)
MULTIPLY(supers_min_16, supers, dot_super_input, true, 16)
MULTIPLY(supers_plain_8, supers, dot_super_input, false, 8)
MULTIPLY(supers_plain_16, supers, dot_super_input, false, 16)

#define ROW(name, form, ...)                                                                       \
    static float row_##name(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,   \
                            const void *x, size_t n)                                               \
    {                                                                                              \
        (void)k, (void)type;                                                                       \
        return row_##form(row, x, n, sizeof(struct block_##name), unpack_##name, __VA_ARGS__);     \
    }
#define ROW_BLOCKS(ID, name, codes)         ROW(name, blocks, (codes) == CODES_MIN)
#define ROW_SUPERS(ID, name, codes, groups) ROW(name, supers, (codes) == CODES_MIN, groups)
PANEL_TYPES(ROW_BLOCKS, ROW_SUPERS)

static void init_integers(struct dot_kernels *k)
{
#define SET_BLOCKS(ID, name, codes)                                                                \
    k->row[DTYPE_##ID] = row_##name;                                                               \
    k->multiply[DTYPE_##ID] = (codes) == CODES_MIN ? multiply_blocks_min : multiply_blocks_plain;
#define SET_SUPERS(ID, name, codes, groups)                                                        \
    k->row[DTYPE_##ID] = row_##name;                                                               \
    k->multiply[DTYPE_##ID] =                                                                      \
        (codes) == CODES_MIN ? multiply_supers_min_##groups : multiply_supers_plain_##groups;
    PANEL_TYPES(SET_BLOCKS, SET_SUPERS)
}
