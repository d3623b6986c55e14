/* tok_map.h - from bytes to the id of the token that stands for them.
 *
 * An open-addressed hash table of ids; the bytes stay where they are, in the list of
 * pieces, which must outlive it.
 */
#ifndef MODEL_TOK_MAP_H
#define MODEL_TOK_MAP_H

#include "core/err.h"
#include "formats/meta.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tok_map {
    const struct meta_text *piece; /* by id */
    uint32_t *slot;                /* id + 1; 0: free */
    size_t mask;                   /* slots - 1: a power of two less one */
    size_t longest;                /* bytes of the longest piece that was added */
};

/* An empty map with room for `pieces` of them.  Fails with ERR_MEMORY. */
bool tok_map_open(struct tok_map *m, const struct meta_text *piece, size_t pieces, struct err *err);
void tok_map_close(struct tok_map *m);

/* Adds piece[id]; of two equal ones the first counts.  At most as many as there is room for. */
void tok_map_add(struct tok_map *m, uint32_t id);

/* False, and *id is UINT32_MAX, where it is not there. */
bool tok_map_find(const struct tok_map *m, const char *bytes, size_t length, uint32_t *id);

#endif
