/* gguf_split.h - one GGUF model as several files, and back.
 *
 * The bytes of every tensor are copied as they are, in order, so that a merge of a split
 * gives the model's file back.  Names and keys are those of stock llama.cpp: files
 * PREFIX-00001-of-00003.gguf, each with split.no, split.count and split.tensors.count, all
 * other metadata in the first alone.  All files appear or none: they are committed when
 * the last one is written.
 */
#ifndef FORMATS_GGUF_SPLIT_H
#define FORMATS_GGUF_SPLIT_H

#include "core/progress.h"
#include "formats/checkpoint.h"

/* A file is closed before the tensor that would bring its data (padded, without the header) over
 * `max_bytes` or its tensors over `max_tensors`; 0: no such limit.  A larger tensor stands alone.
 * *files: how many were written.  Fails with ERR_USAGE (no limit, a file is one of the source's,
 * or exists and no force), ERR_FORMAT (a tensor that GGUF cannot hold, more than 65535 files),
 * ERR_STOPPED, ERR_IO, ERR_MEMORY. */
bool gguf_split_write(const struct checkpoint *c, const char *prefix, uint64_t max_bytes,
                      size_t max_tensors, bool force, struct progress *progress, size_t *files,
                      struct err *err);

/* The same as one file at `path`. */
bool gguf_merge_write(const struct checkpoint *c, const char *path, bool force,
                      struct progress *progress, struct err *err);

#endif
