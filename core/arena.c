#include "core/arena.h"

#include "core/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, ALIGN = 16 };

/* | header | used bytes ... | free |, one malloc each. */
struct arena_chunk {
    struct arena_chunk *before;
    size_t used, room;
    _Alignas(ALIGN) unsigned char bytes[];
};

void *arena_alloc(struct arena *a, size_t count, size_t size)
{
    size_t bytes;
    if (!size_mul(count, size, &bytes) || bytes > SIZE_MAX / 2)
        return NULL;
    bytes = (bytes + ALIGN - 1) / ALIGN * ALIGN;
    struct arena_chunk *c = a->chunk;
    if (!c || c->room - c->used < bytes) {
        const size_t room = bytes > CHUNK_BYTES / 4 ? bytes : CHUNK_BYTES;
        if (!(c = calloc(1, sizeof *c + room)))
            return NULL;
        c->room = room;
        c->before = a->chunk;
        a->chunk = c;
    }
    void *p = c->bytes + c->used;
    c->used += bytes;
    return p;
}

char *arena_text(struct arena *a, const char *text, size_t length)
{
    char *copy = length < SIZE_MAX ? arena_alloc(a, length + 1, 1) : NULL;
    if (copy && length)
        memcpy(copy, text, length);
    return copy;
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    const int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    char *text = n >= 0 ? arena_alloc(a, (size_t)n + 1, 1) : NULL;
    if (text) {
        va_start(ap, fmt);
        vsnprintf(text, (size_t)n + 1, fmt, ap);
        va_end(ap);
    }
    return text;
}

void arena_close(struct arena *a)
{
    while (a->chunk) {
        struct arena_chunk *before = a->chunk->before;
        free(a->chunk);
        a->chunk = before;
    }
}
