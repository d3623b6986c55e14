/* dot_panel.h - 32 rows side by side, a piece of 256 columns at a time: what the fast
 * versions of dot.h unpack a weight to when it meets many x.
 *
 * Four columns of a row stand together, so that a 32-bit lane is a row, x is broadcast and no sum
 * runs across lanes.  Codes are unsigned; what was added for that is taken off again
 * by way of the minima.  (Panels of DOT_FLOAT are drawn in dot_float_panel_impl.h.)
 */
#ifndef QUANTIZE_DOT_PANEL_H
#define QUANTIZE_DOT_PANEL_H

#include "core/inline.h"
#include "quantize/dot.h"

#include <stdint.h>
#include <string.h>

struct panel_codes {
    uint8_t step[DOT_PIECE / 4][DOT_PANEL_ROWS][4];
};

/* d * (u - 128), or d * u + m in a type with minima. */
struct panel_block {
    struct panel_codes u;
    float d[8][DOT_PANEL_ROWS], m[8][DOT_PANEL_ROWS];
};

/* Groups are of sixteen columns, or of 32 and then there are eight.  min is in pairs of groups, in
 * the order of the sums of dot_super_input; without minima it is what was added to the codes,
 * times the scale. */
struct panel_super {
    struct panel_codes u;
    int8_t scale[16][DOT_PANEL_ROWS];
    int16_t min[8][DOT_PANEL_ROWS][2];
    float d[DOT_PANEL_ROWS], m[DOT_PANEL_ROWS];
};

/* What the codes of a type are in unpacked blocks: signed, or unsigned with minima, or unsigned
 * with 2^n to be taken off, n = 0..5 (0: their scales are all one). */
enum { CODES_TERNARY = 0, CODES_MIN = -1, CODES_SIGNED = -2 };

/* The types of both integer forms: id, name, codes, and how many groups a super-block has. */
#define PANEL_TYPES(BLOCKS, SUPERS)                                                                \
    BLOCKS(Q4_0, q4_0, 3)                                                                          \
    BLOCKS(Q4_1, q4_1, CODES_MIN)                                                                  \
    BLOCKS(Q5_0, q5_0, 4)                                                                          \
    BLOCKS(Q5_1, q5_1, CODES_MIN)                                                                  \
    BLOCKS(Q8_0, q8_0, CODES_SIGNED)                                                               \
    BLOCKS(IQ4_NL, iq4_nl, CODES_SIGNED)                                                           \
    BLOCKS(MXFP4, mxfp4, CODES_SIGNED)                                                             \
    SUPERS(Q2_K, q2_k, CODES_MIN, 16)                                                              \
    SUPERS(Q3_K, q3_k, 2, 16)                                                                      \
    SUPERS(Q4_K, q4_k, CODES_MIN, 8)                                                               \
    SUPERS(Q5_K, q5_k, CODES_MIN, 8)                                                               \
    SUPERS(Q6_K, q6_k, 5, 16)                                                                      \
    SUPERS(IQ4_XS, iq4_xs, CODES_SIGNED, 8)                                                        \
    SUPERS(TQ1_0, tq1_0, CODES_TERNARY, 8)                                                         \
    SUPERS(TQ2_0, tq2_0, CODES_TERNARY, 8)

/* The sums of a panel's rows with one x. */
INLINE void panel_put(float *y, const float sum[DOT_PANEL_ROWS], size_t rows)
{
    if (rows == DOT_PANEL_ROWS)
        memcpy(y, sum, DOT_PANEL_ROWS * sizeof *y);
    else
        memcpy(y, sum, rows * sizeof *y);
}

static_assert(sizeof(struct panel_block) % 64 == 0 && sizeof(struct panel_super) % 64 == 0,
              "panels follow one another on cache lines");

#endif
