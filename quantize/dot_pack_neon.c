/* dot_pack_neon.c - the packing of panels in NEON, four rows at a time. */
#include "quantize/dot.h"

#include "quantize/dot_panel_neon.h"
#include "quantize/dot_unpack_neon.h"

enum { ROWS = 4 };

/* Rows to columns. */
INLINE void turn(float32x4_t out[ROWS], const float32x4_t in[ROWS])
{
    const float64x2_t a = vreinterpretq_f64_f32(vtrn1q_f32(in[0], in[1]));
    const float64x2_t b = vreinterpretq_f64_f32(vtrn2q_f32(in[0], in[1]));
    const float64x2_t c = vreinterpretq_f64_f32(vtrn1q_f32(in[2], in[3]));
    const float64x2_t d = vreinterpretq_f64_f32(vtrn2q_f32(in[2], in[3]));
    out[0] = vreinterpretq_f32_f64(vtrn1q_f64(a, c));
    out[1] = vreinterpretq_f32_f64(vtrn1q_f64(b, d));
    out[2] = vreinterpretq_f32_f64(vtrn2q_f64(a, c));
    out[3] = vreinterpretq_f32_f64(vtrn2q_f64(b, d));
}

/* Sixteen codes of each of four rows, to four steps. */
INLINE void put_codes(struct signed_codes *out, size_t step, size_t row, const int8x16_t u[ROWS])
{
    float32x4_t in[ROWS], turned[ROWS];
    UNROLL
    for (int r = 0; r < ROWS; r++)
        in[r] = vreinterpretq_f32_s8(u[r]);
    turn(turned, in);
    UNROLL
    for (size_t i = 0; i < 4; i++)
        vst1q_s8(out->step[step + i][row], vreinterpretq_s8_f32(turned[i]));
}

INLINE void put_floats(float (*out)[DOT_PANEL_ROWS], size_t row, const float32x4_t in[ROWS])
{
    float32x4_t turned[ROWS];
    turn(turned, in);
    UNROLL
    for (int i = 0; i < 4; i++)
        vst1q_f32(out[i] + row, turned[i]);
}

/* Up to four rows; of the last piece of a row only some blocks may be there. */
INLINE void pack_four_blocks(struct signed_block *out, size_t row, const uint8_t *first,
                             size_t row_bytes, size_t rows, size_t count, size_t bytes,
                             void (*unpack)(struct blocks *, const uint8_t *), bool min)
{
    struct blocks w[ROWS];
    memset(w, 0, sizeof w);
    for (size_t r = 0; r < rows; r++) {
        uint8_t piece[8 * sizeof(struct block_q8_0)] = {0};
        memcpy(piece, first + r * row_bytes, count * bytes);
        unpack(&w[r], piece);
    }
    for (size_t i = 0; i < 16; i++)
        put_codes(&out->u, 4 * i, row, (int8x16_t[]){w[0].u[i], w[1].u[i], w[2].u[i], w[3].u[i]});
    for (size_t h = 0; h < 2; h++) {
        put_floats(out->d + 4 * h, row,
                   (float32x4_t[]){w[0].d[h], w[1].d[h], w[2].d[h], w[3].d[h]});
        if (min)
            put_floats(out->m + 4 * h, row,
                       (float32x4_t[]){w[0].m[h], w[1].m[h], w[2].m[h], w[3].m[h]});
    }
}

INLINE void pack_blocks(void *panel, const uint8_t *first, size_t row_bytes, size_t rows, size_t n,
                        size_t bytes, void (*unpack)(struct blocks *, const uint8_t *), bool min)
{
    struct signed_block *out = panel;
    for (size_t i = 0; i < n / BLOCK_ELEMS; i += 8, out++) {
        const size_t left = n / BLOCK_ELEMS - i, count = left < 8 ? left : 8;
        memset(out, 0, sizeof *out);
        for (size_t row = 0; row < rows; row += ROWS)
            pack_four_blocks(out, row, first + row * row_bytes + i * bytes, row_bytes,
                             rows - row < ROWS ? rows - row : ROWS, count, bytes, unpack, min);
    }
}

/* The numbers of groups of one row. */
INLINE void put_groups(struct signed_super *out, size_t row, const struct super *w, bool min,
                       size_t groups)
{
    int16_t scale[16], low[16];
    UNROLL
    for (size_t h = 0; h < groups / 8; h++) {
        vst1q_s16(scale + 8 * h, w->scale[h]);
        if (min)
            vst1q_s16(low + 8 * h, w->min[h]);
    }
    for (size_t g = 0; g < groups; g++) {
        out->scale[g][row] = (int8_t)scale[g];
        if (min)
            out->min[g][row] = low[g];
    }
    out->d[row] = w->d;
    if (min)
        out->m[row] = w->m;
}

INLINE void pack_supers(void *panel, const uint8_t *first, size_t row_bytes, size_t rows, size_t n,
                        size_t bytes, void (*unpack)(struct super *, const uint8_t *), bool min,
                        size_t groups)
{
    struct signed_super *out = panel;
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, out++) {
        memset(out, 0, sizeof *out);
        for (size_t row = 0; row < rows; row += ROWS) {
            struct super w[ROWS];
            memset(w, 0, sizeof w);
            for (size_t r = 0; r < ROWS && row + r < rows; r++) {
                unpack(&w[r], first + (row + r) * row_bytes + i * bytes);
                put_groups(out, row + r, &w[r], min, groups);
            }
            for (size_t v = 0; v < 16; v++)
                put_codes(&out->u, 4 * v, row,
                          (int8x16_t[]){w[0].u[v], w[1].u[v], w[2].u[v], w[3].u[v]});
        }
    }
}

#define PACK(name, form, ...)                                                                      \
    static void pack_##name(const struct dot_kernels *k, enum dtype_id type, void *panel,          \
                            const uint8_t *first, size_t row_bytes, size_t rows, size_t n)         \
    {                                                                                              \
        (void)k, (void)type;                                                                       \
        pack_##form(panel, first, row_bytes, rows, n, sizeof(struct block_##name), unpack_##name,  \
                    __VA_ARGS__);                                                                  \
    }
#define BLOCKS(ID, name, codes)         PACK(name, blocks, (codes) == CODES_MIN)
#define SUPERS(ID, name, codes, groups) PACK(name, supers, (codes) == CODES_MIN, groups)
PANEL_TYPES(BLOCKS, SUPERS)

void dot_pack_init_neon(struct dot_kernels *k)
{
#define SET(ID, name, ...) k->pack[DTYPE_##ID] = pack_##name;
    PANEL_TYPES(SET, SET)
}
