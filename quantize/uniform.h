/* uniform.h - plain uniform groups: what checkpoints of GPTQ and AWQ hold, not a GGUF type.
 *
 *   value = scale * (code - zero)        code: 0 .. 2^bits - 1, a byte here, packed by who writes it
 *
 * A group of consecutive columns of a row shares an fp16 scale > 0 (0: all values are 0) and a
 * whole zero: 2^(bits-1) where the form is symmetric, else 0 .. 2^bits - 1, so that 0 is a value
 * of every group.  Same bytes on any machine.
 */
#ifndef QUANTIZE_UNIFORM_H
#define QUANTIZE_UNIFORM_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct uniform {
    int bits;     /* 2, 3, 4 or 8 */
    size_t group; /* 32, 64 or 128 columns; 0: the row */
    bool symmetric;
};

/* Fails with ERR_UNSUPPORTED (bits, group) or ERR_FORMAT (columns that are not whole groups). */
bool uniform_check(const struct uniform *u, size_t cols, struct err *err);

/* Columns of a group, and groups of a row. */
static inline size_t uniform_span(const struct uniform *u, size_t cols)
{
    return u->group ? u->group : cols;
}

static inline size_t uniform_groups(const struct uniform *u, size_t cols)
{
    return cols / uniform_span(u, cols);
}

static inline int uniform_max(const struct uniform *u) { return (1 << u->bits) - 1; }

/* A range of values as a scale, rounded to fp16 (at most 65504), and a zero: from low <= 0 to
 * high >= 0; where the form is symmetric, the larger of both to either side. */
float uniform_scale(const struct uniform *u, float low, float high, float *zero);

/* Rounds one row: code (cols), scale and zero (groups).  The range of a group is cut while that
 * makes the sum of importance * error^2 smaller (importance NULL: all alike). */
void uniform_encode_row(const struct uniform *u, const float *x, const float *importance,
                        size_t cols, uint8_t *code, uint16_t *scale, uint8_t *zero);

void uniform_decode_row(const struct uniform *u, const uint8_t *code, const uint16_t *scale,
                        const uint8_t *zero, size_t cols, float *v);

#endif
