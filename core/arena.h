/* arena.h - many small pieces, freed together: the names and metadata of a file.
 *
 * A zeroed struct arena is empty and ready.  Pieces are aligned to 16 bytes,
 * zeroed, and live until arena_close.  Not for threads to share.
 */
#ifndef CORE_ARENA_H
#define CORE_ARENA_H

#include <stddef.h>

struct arena_chunk;

struct arena {
    struct arena_chunk *chunk; /* the newest; each knows the one before */
};

/* count * size zeroed bytes, or NULL. */
void *arena_alloc(struct arena *a, size_t count, size_t size);

/* A copy of `length` bytes with a NUL behind them, or NULL. */
char *arena_text(struct arena *a, const char *text, size_t length);

/* printf into the arena, or NULL. */
char *arena_printf(struct arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Frees all and leaves an empty arena. */
void arena_close(struct arena *a);

#endif
