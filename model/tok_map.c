#include "model/tok_map.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

/* FNV-1a, its upper bits folded into those that choose the slot. */
static size_t hash(const char *bytes, size_t length)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < length; i++)
        h = (h ^ (uint8_t)bytes[i]) * 0x100000001b3u;
    return (size_t)(h ^ h >> 32);
}

bool tok_map_open(struct tok_map *m, const struct meta_text *piece, size_t pieces, struct err *err)
{
    size_t slots = 16;
    while (slots / 2 < pieces)
        slots *= 2;
    *m = (struct tok_map){
        .piece = piece, .slot = mem_alloc(slots, sizeof *m->slot), .mask = slots - 1};
    return m->slot || err_set(err, ERR_MEMORY, "no memory for a table of %zu tokens", pieces);
}

void tok_map_close(struct tok_map *m)
{
    free(m->slot);
    memset(m, 0, sizeof *m);
}

/* The slot where it is, or the free one where it would be. */
static uint32_t *find_slot(const struct tok_map *m, const char *bytes, size_t length)
{
    size_t at = hash(bytes, length) & m->mask;
    for (;; at = (at + 1) & m->mask) {
        if (m->slot[at] == 0)
            return &m->slot[at];
        const struct meta_text *p = &m->piece[m->slot[at] - 1];
        if (p->length == length && memcmp(p->text, bytes, length) == 0)
            return &m->slot[at];
    }
}

void tok_map_add(struct tok_map *m, uint32_t id)
{
    const struct meta_text *p = &m->piece[id];
    uint32_t *slot = find_slot(m, p->text, p->length);
    if (*slot == 0)
        *slot = id + 1;
    if (p->length > m->longest)
        m->longest = p->length;
}

bool tok_map_find(const struct tok_map *m, const char *bytes, size_t length, uint32_t *id)
{
    const uint32_t slot = length <= m->longest ? *find_slot(m, bytes, length) : 0;
    *id = slot - 1;
    return slot != 0;
}
