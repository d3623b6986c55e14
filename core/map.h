/* map.h - a file mapped read-only. */
#ifndef CORE_MAP_H
#define CORE_MAP_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

struct map {
    const uint8_t *data; /* NULL for an empty file */
    size_t size;
};

/* Maps a whole regular file.  Fails with ERR_IO, or ERR_FORMAT where it is only a Git LFS pointer;
 * the sentence names the path. */
bool map_open(struct map *m, const char *path, struct err *err);

/* A zeroed or closed map is allowed. */
void map_close(struct map *m);

/* The pages behind [data, data + size) will not be read again soon: the system may
 * take them back.  Any span of the map. */
void map_release(const struct map *m, const void *data, size_t size);

#endif
