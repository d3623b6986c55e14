/* gguf_read.h - reads GGUF versions 2 and 3: one mapped file, or a checkpoint of one or more.
 *
 * The rules are stock ggml's: names and keys once, at most 4 dimensions, rows of whole
 * blocks, and every tensor where the padded sizes before it put it, so that none can
 * overlap.  Nested arrays, big-endian files and version 1 are refused by name.
 */
#ifndef FORMATS_GGUF_READ_H
#define FORMATS_GGUF_READ_H

#include "core/arena.h"
#include "core/tensor.h"
#include "formats/checkpoint.h"
#include "formats/meta.h"

struct gguf_header {
    uint32_t version;
    size_t alignment;
    struct meta meta;
    struct tensor *tensor; /* shapes in PyTorch's order; names and array lie in `arena` */
    size_t tensors;
    struct arena arena;
};

/* Reads the header of the file that lies in [data, data + size); tensors point into it.
 * Fails with ERR_FORMAT, ERR_UNSUPPORTED or ERR_MEMORY; the header is then closed. */
bool gguf_read_header(struct gguf_header *h, const void *data, size_t size, struct err *err);
void gguf_header_close(struct gguf_header *h);

/* The container row "GGUF" (formats/checkpoint.h).  Any file of a split set
 * (NAME-00002-of-00003.gguf) opens the whole set: metadata from the first, split.* removed. */
bool gguf_probe(const char *path, const uint8_t *head, size_t size);
bool gguf_open(struct checkpoint *c, const char *path, struct err *err);

#endif
