/* vector_outer_impl.h - outer products (vector.h) in vectors of VL floats; included by
 * vector_impl.h, for files that define, besides what stands there,
 *
 *   ROWS, WIDE                    a tile of sums in registers: so many rows, vectors
 *   vf_load_f32(p) vf_load_f16(p) VL numbers as floats
 *
 * Sums stay in registers over the whole depth; each step loads WIDE vectors of b and sets one
 * number of each row of a. */
#include "core/inline.h"

#include <stddef.h>

INLINE void outer_tile(const struct vector_outer *o, size_t row, size_t column, int rows,
                       size_t size, vf (*load)(const void *p))
{
    vf sum[ROWS][WIDE];
    float *y = o->y + row * o->y_stride + column;
    const float *a = o->a + row * o->a_stride;
    const char *b = (const char *)o->b + column * size;
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int i = 0; i < WIDE; i++)
            sum[r][i] = o->keep ? vf_mul(vf_set(o->keep[row + (size_t)r]),
                                         vf_load(y + (size_t)r * o->y_stride + i * VL))
                                : vf_set(0.0f);
    }
    for (size_t d = 0; d < o->depth; d++, b += VECTOR_PANEL * size) {
        vf part[WIDE];
        UNROLL
        for (int i = 0; i < WIDE; i++)
            part[i] = load(b + (size_t)(i * VL) * size);
        UNROLL
        for (int r = 0; r < rows; r++) {
            const vf factor = vf_set(a[(size_t)r * o->a_stride + d]);
            UNROLL
            for (int i = 0; i < WIDE; i++)
                sum[r][i] = vf_fma(part[i], factor, sum[r][i]);
        }
    }
    UNROLL
    for (int r = 0; r < rows; r++) {
        UNROLL
        for (int i = 0; i < WIDE; i++)
            vf_store(y + (size_t)r * o->y_stride + i * VL, sum[r][i]);
    }
}

INLINE size_t outer_rows(const struct vector_outer *o, size_t row, int rows, size_t size,
                         vf (*load)(const void *p))
{
    for (size_t c = 0; c < VECTOR_PANEL; c += WIDE * VL)
        outer_tile(o, row, c, rows, size, load);
    return row + (size_t)rows;
}

INLINE void outer(const struct vector_outer *o, size_t size, vf (*load)(const void *p))
{
    size_t row = 0;
    while (row + ROWS <= o->rows)
        row = outer_rows(o, row, ROWS, size, load);
    if (ROWS > 8 && row + 8 <= o->rows)
        row = outer_rows(o, row, 8, size, load);
    if (row + 4 <= o->rows)
        row = outer_rows(o, row, 4, size, load);
    if (row + 2 <= o->rows)
        row = outer_rows(o, row, 2, size, load);
    if (row < o->rows)
        outer_rows(o, row, 1, size, load);
}

static void outer_f32(const struct vector_outer *o) { outer(o, sizeof(float), vf_load_f32); }

static void outer_f16(const struct vector_outer *o) { outer(o, 2, vf_load_f16); }
