/* gptq_shape.h - what a weight type looks like to the GPTQ engine: one row a type.
 *
 * A value is v = s q + o.  A super-block is `blocks` blocks of `block` weights that share d and
 * dmin; a block's s is d or d * sc, its o is 0, dmin or -dmin * m.  To add a type: a row in
 * gptq_shape.c and the function that packs a row of it.
 */
#ifndef CALIB_GPTQ_SHAPE_H
#define CALIB_GPTQ_SHAPE_H

#include "core/dtype.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GPTQ_BLOCK_MAX = 32, GPTQ_BLOCKS_MAX = 16, GPTQ_SPAN_MAX = 256 };

enum gptq_min {
    GPTQ_MIN_NONE,  /* o = 0 */
    GPTQ_MIN_OWN,   /* o = dmin, of either sign */
    GPTQ_MIN_WHOLE, /* o = -dmin * m, m = 0..m_high */
};

/* One row of a weight, encoded: codes and scales as numbers, side by side in column order. */
struct gptq_row {
    const float *q;        /* a column */
    const float *sc, *m;   /* a block */
    const float *d, *dmin; /* a super-block: fp16 values */
};

struct gptq_shape {
    enum dtype_id dtype;
    int block, blocks;
    bool table;            /* q is one of the values of IQ4_NL's table */
    float q_low, q_high;   /* else a whole number in this range */
    float sc_low, sc_high; /* of whole scales; both 0: s = d */
    enum gptq_min min;
    float m_high;
    float start, step; /* without a min: where on the grid a block's extremum is put first, and by
                          how much less each time */
    void (*pack)(uint8_t *dst, const struct gptq_row *row, size_t cols);
};

/* The row of that type, or NULL. */
const struct gptq_shape *gptq_shape_find(enum dtype_id dtype);

/* Are scales of blocks whole multiples of d? */
static inline bool gptq_shape_whole(const struct gptq_shape *s) { return s->sc_high > 0.0f; }

#endif
