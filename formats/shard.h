/* shard.h - one model in many files: how they are named, and their index.
 *
 *     model-00002-of-00005.safetensors   the second of five
 *     model.safetensors.index.json       {"weight_map": {tensor: file, ...}}
 *
 * A set is opened whole or not at all: a missing file, a tensor that the index names and no
 * file has, one that it does not name or looks for elsewhere, is an error.
 */
#ifndef FORMATS_SHARD_H
#define FORMATS_SHARD_H

#include "formats/checkpoint.h"

struct shard {
    const char *path;
    int stem;           /* characters of path before "-00002-of-00005" */
    const char *suffix; /* ".safetensors", in path */
    uint32_t number, total;
};

/* Is `path` named as a shard is?  *s then describes it and points into path. */
bool shard_parse(struct shard *s, const char *path);

/* Is `path` named as the index of such files is? */
bool shard_is_index(const char *path, const char *suffix);

/* Does the index name this file (no folder in it) as one of its own? */
bool shard_index_names(const char *index, const char *file, bool *names, struct err *err);

/* Opens the set that `path` belongs to, file by file through `read`: `path` is an index, a shard
 * (through the index beside it, else by the names) or a file of its own.  Fails as `read` does,
 * with ERR_IO (missing files, the first one named) or ERR_FORMAT (the index). */
bool shard_open(struct checkpoint *c, const char *path,
                bool (*read)(struct checkpoint *c, const char *path, struct err *err),
                struct err *err);

#endif
