/* q4_0_grid.h - is a row already made of Q4_0 values?
 *
 * A checkpoint trained for Q4_0 holds weights that are d * q with fp16 d and
 * q = -8 .. 7 for each block of 32, the one farthest from zero at -8, rounded
 * to the fp16 or bf16 of its file.  Encoding such blocks as Q4_0 keeps them
 * exactly: what they decode to rounds to what the file held.
 */
#ifndef QUANTIZE_Q4_0_GRID_H
#define QUANTIZE_Q4_0_GRID_H

#include <stdbool.h>
#include <stddef.h>

/* Whether all blocks of a row of n weights, whole blocks, are so. */
bool q4_0_row_on_grid(const float *src, size_t n);

#endif
