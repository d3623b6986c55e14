/* row_tile.h - a row in tiles of a fixed number of weights, the last filled up with zeros. */
#ifndef QUANTIZE_ROW_TILE_H
#define QUANTIZE_ROW_TILE_H

#include <stddef.h>
#include <string.h>

/* The next `tile` numbers from p, of which `left` are there: p itself where that is enough,
 * else spare, which has room for a tile. */
static inline const float *row_tile(float *spare, size_t tile, const float *p, size_t left)
{
    if (left >= tile)
        return p;
    memcpy(spare, p, left * sizeof *spare);
    memset(spare + left, 0, (tile - left) * sizeof *spare);
    return spare;
}

#endif
