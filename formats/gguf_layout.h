/* gguf_layout.h - what the reader and the writer of GGUF files must agree on.
 *
 *     | "GGUF" | u32 version | u64 tensors | u64 pairs | pairs | tensor infos | pad | data |
 *     pair:        text key, u32 type, value        text:  u64 length, bytes
 *     tensor info: text name, u32 dims, u64 sizes (columns first), u32 type, u64 offset
 *     array value: u32 type, u64 count, values
 *
 * All little-endian.  Offsets count from the start of data; each is the sum of the padded
 * sizes before it.  The limits are those of stock ggml's reader.
 */
#ifndef FORMATS_GGUF_LAYOUT_H
#define FORMATS_GGUF_LAYOUT_H

#include "core/tensor.h"
#include "formats/meta.h"

#define GGUF_MAGIC         "GGUF"
#define GGUF_KEY_ALIGNMENT "general.alignment"
#define GGUF_KEY_TYPE      "general.type"
#define GGUF_SPLIT_NO      "split.no"
#define GGUF_SPLIT_COUNT   "split.count"
#define GGUF_SPLIT_TENSORS "split.tensors.count"

enum {
    GGUF_VERSION = 3, /* 2 has the same layout */
    GGUF_VERSION_OLDEST = 2,
    GGUF_ALIGNMENT = 32,
    GGUF_DIMS_MAX = 4,
    GGUF_NAME_MAX = 63, /* bytes of a tensor's name, without the NUL */
};

/* The alignment these pairs ask for.  Fails with ERR_FORMAT (not a u32, not a power of two). */
bool gguf_layout_alignment(const struct meta *meta, size_t *alignment, struct err *err);

/* Can a GGUF file hold this name, shape and dtype?  Gives the bytes of its data; ERR_FORMAT. */
bool gguf_layout_tensor(const struct tensor *t, size_t *bytes, struct err *err);

/* Sorts the names; fails with ERR_FORMAT where one is there twice: "`what` 'a' is there twice". */
bool gguf_layout_unique(const char **name, size_t count, const char *what, struct err *err);

/* The next multiple of `alignment`, a power of two.  False where it does not fit. */
bool gguf_layout_pad(uint64_t size, size_t alignment, uint64_t *padded);

#endif
