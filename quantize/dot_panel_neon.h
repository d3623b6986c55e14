/* dot_panel_neon.h - the panels of dot_panel.h as NEON wants them: codes signed, with nothing added
 * to them, and scales and minima a group after another. */
#ifndef QUANTIZE_DOT_PANEL_NEON_H
#define QUANTIZE_DOT_PANEL_NEON_H

#include "quantize/dot_panel.h"

struct signed_codes {
    int8_t step[DOT_PIECE / 4][DOT_PANEL_ROWS][4];
};

struct signed_block {
    struct signed_codes u;
    float d[8][DOT_PANEL_ROWS], m[8][DOT_PANEL_ROWS];
};
static_assert(sizeof(struct signed_block) == sizeof(struct panel_block), "room for it");

/* Groups of scales in their order, those of minima in the order of dot_super_input's sums. */
struct signed_super {
    struct signed_codes u;
    int8_t scale[16][DOT_PANEL_ROWS];
    int16_t min[16][DOT_PANEL_ROWS];
    float d[DOT_PANEL_ROWS], m[DOT_PANEL_ROWS];
};
static_assert(sizeof(struct signed_super) == sizeof(struct panel_super), "room for it");

#endif
