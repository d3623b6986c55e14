/* checkpoint.h - any model file or folder as named tensors: the face of formats/.
 *
 * A checkpoint maps its files and describes their tensors; nothing is converted.
 * Tensor names are unique; every tensor's bytes lie inside its file, at any address (a
 * safetensors file need not align them); a tensor with a size of 0 has none.  All of it
 * is valid until checkpoint_close.
 *
 * To add a container: a reader in a file of its own, and one row in checkpoint.c.
 */
#ifndef FORMATS_CHECKPOINT_H
#define FORMATS_CHECKPOINT_H

#include "core/arena.h"
#include "core/json.h"
#include "core/map.h"
#include "core/tensor.h"
#include "formats/meta.h"

struct checkpoint;

struct container {
    const char *name;    /* "safetensors", "GGUF" */
    const char *suffix;  /* of its files: in a folder they are found by it */
    const char *summary; /* one line: which files */
    /* Do the name and the first bytes (CHECKPOINT_HEAD, or all there are) look like one?  Where no
     * container says so, the suffix decides. */
    bool (*probe)(const char *path, const uint8_t *head, size_t size);
    /* Opens the file and the others of its set. */
    bool (*open)(struct checkpoint *c, const char *path, struct err *err);
};

enum { CHECKPOINT_HEAD = 64 };

struct checkpoint_name {
    const char *name;
    const struct tensor *tensor;
};

struct checkpoint {
    const struct container *container;
    struct arena arena;    /* names and paths */
    const char *path;      /* as given */
    const char *folder;    /* where config.json and the tokenizer lie */
    struct tensor *tensor; /* in the order of the files, then of their data */
    size_t tensors;
    struct checkpoint_name *by_name; /* of the tensors, sorted */
    struct map *map;                 /* one a file */
    const char **file;               /* their paths */
    size_t maps;
    struct meta meta; /* GGUF: its metadata */
    json_t *config;   /* config.json, or NULL */
    json_t *header;   /* safetensors: __metadata__ of the first file, or NULL */
};

/* Opens a folder, a model file, one shard of many, or an index.  Fails with ERR_IO, ERR_FORMAT,
 * ERR_UNSUPPORTED (the sentence lists what is read); *c is then closed. */
bool checkpoint_open(struct checkpoint *c, const char *path, struct err *err);
void checkpoint_close(struct checkpoint *c);

/* The tensor of that name, or NULL.  O(log n). */
const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name);

/* The file that holds the tensor's data. */
const char *checkpoint_file_of(const struct checkpoint *c, const struct tensor *t);

/* The system may take back the tensor's pages (core/map.h). */
void checkpoint_release(const struct checkpoint *c, const struct tensor *t);

/* The i-th container quern reads, or NULL past the last. */
const struct container *container_at(size_t i);

/* "safetensors, GGUF", into text; returns text. */
enum { CONTAINER_NAMES = 100 };
const char *container_names(char text[CONTAINER_NAMES]);

/* For readers: maps `path`; the map moves when the next is added.  Fails with ERR_IO,
 * ERR_FORMAT (a Git LFS pointer) or ERR_MEMORY. */
struct map *checkpoint_add_map(struct checkpoint *c, const char *path, struct err *err);

/* For readers: adds a tensor of the newest map; *t and its name are copied.  Fails with ERR_FORMAT
 * where its shape does not take t->bytes, or ERR_MEMORY; the sentence names the tensor, not the
 * file.  Names are checked for duplicates when all are in. */
bool checkpoint_add_tensor(struct checkpoint *c, const struct tensor *t, struct err *err);

#endif
