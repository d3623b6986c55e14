/* dot_laid.h - weights laid out anew for y = W x: 32 rows side by side, in as many bytes.
 *
 * Rows come in groups of 32, the last filled up with zeros; a group has its pieces of 256 columns,
 * a super-block or eight blocks, one after the other, and of a piece what kernels read first, first.
 * Two times sixteen rows take turns:
 *
 *   uint32_t rest[2][][16]                 the words that are no codes, in their order
 *   uint16_t half[][2][16]                 of each block the half that belongs to no word, if any
 *   uint32_t codes[steps][2][planes][16]   word s of each plane, which is `steps` words of codes,
 *                                          four bytes each; of eight blocks these come first
 *
 * A lane is a row, so that four numbers of x are broadcast, no sum runs across lanes, and a scale is
 * unpacked once for sixteen rows.
 */
#ifndef QUANTIZE_DOT_LAID_H
#define QUANTIZE_DOT_LAID_H

#include "core/dtype.h"

#include <stddef.h>
#include <stdint.h>

enum { LAID_ROWS = 32, LAID_HALF = 16 };

/* Lays out one group: `rows` rows of `cols` columns, whole pieces, row_bytes apart.
 * Every byte of `to` is written. */
void laid_write(uint8_t *to, enum dtype_id type, const uint8_t *from, size_t row_bytes, size_t rows,
                size_t cols);

#endif
