/* gguf_write.h - writes GGUF version 3.
 *
 * Every size is known before the first data byte: gguf_write_open lays out the file and
 * writes header, metadata and tensor infos; the data of any tensor may then be written
 * at any time, in pieces, from any thread.  Layout as stock ggml checks it: each tensor's
 * offset is the running sum of the padded sizes before it, the last one is padded too.
 * Source: the GGUF specification (ggml docs/gguf.md).
 */
#ifndef FORMATS_GGUF_WRITE_H
#define FORMATS_GGUF_WRITE_H

#include "core/hash.h"
#include "core/sink.h"
#include "core/tensor.h"
#include "formats/meta.h"

struct gguf_writer {
    struct sink sink;
    uint64_t data;    /* where tensor data starts in the file */
    uint64_t *offset; /* of each tensor, from `data`; owned */
    size_t tensors;
    uint64_t bytes; /* of the whole file */
};

/* Starts `path` with these pairs and tensors (data pointers are not looked at).
 * `general.alignment` in the meta is used (default 32).  Fails with ERR_USAGE (exists, no force),
 * ERR_FORMAT (name too long or twice, more than 4 dimensions, type without a GGUF number, a bad
 * alignment), ERR_IO, ERR_MEMORY. */
bool gguf_write_open(struct gguf_writer *w, const char *path, bool force, const struct meta *meta,
                     const struct tensor *const *tensor, size_t tensors, struct err *err);

/* The same, but goes on with what gguf_write_leave left, or a run that was killed: *found says that
 * such a file is there (core/sink.h).  Whose it is the caller must know. */
bool gguf_write_resume(struct gguf_writer *w, const char *path, bool force, const struct meta *meta,
                       const struct tensor *const *tensor, size_t tensors, bool *found,
                       struct err *err);

/* Writes part of a tensor's data; the caller writes every byte once.  Safe from many threads. */
bool gguf_write_data(const struct gguf_writer *w, size_t tensor, uint64_t offset, const void *data,
                     size_t size, struct err *err);

/* Where in the file the tensor's data begin. */
uint64_t gguf_write_place(const struct gguf_writer *w, size_t tensor);

/* Pads, syncs, renames.  Without it gguf_write_close removes what was written. */
bool gguf_write_commit(struct gguf_writer *w, struct err *err);
void gguf_write_close(struct gguf_writer *w);

/* The same, but what was written stays for gguf_write_resume. */
void gguf_write_leave(struct gguf_writer *w);

/* The size of the file that gguf_write_open would lay out, and nothing written. */
bool gguf_write_size(const struct meta *meta, const struct tensor *const *tensor, size_t tensors,
                     uint64_t *bytes, struct err *err);

/* A hash of all that comes before the data: of pairs, names, types, shapes and places. */
bool gguf_write_digest(const struct meta *meta, const struct tensor *const *tensor, size_t tensors,
                       char text[HASH_TEXT], struct err *err);

#endif
