/* safetensors_read.h - the safetensors container: a JSON header, then the data.
 *
 *     | u64 n | n bytes of JSON: {"name": {"dtype", "shape", "data_offsets"}, ...} | data |
 *
 * As strict as the reference implementation: the tensors cover the data without gap or
 * overlap.  Stricter: a name that stands twice is refused.  Source: the format's
 * description in the safetensors repository.
 */
#ifndef FORMATS_SAFETENSORS_READ_H
#define FORMATS_SAFETENSORS_READ_H

#include "formats/checkpoint.h"

bool safetensors_probe(const char *path, const uint8_t *head, size_t size);

/* Opens a file, or the whole set of a shard or an index (formats/shard.h). */
bool safetensors_open(struct checkpoint *c, const char *path, struct err *err);

/* Adds the tensors of one mapped file; `path` is for the sentences.  Fails with ERR_FORMAT,
 * ERR_UNSUPPORTED (an element type, too many dimensions), ERR_MEMORY. */
bool safetensors_read(struct checkpoint *c, const char *path, const struct map *m, struct err *err);

#endif
