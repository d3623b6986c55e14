/* tensor.h - a named array in a file: a view, it owns nothing.
 *
 * Shapes are in PyTorch's order: shape[0] outermost, the last one columns.  A GGUF
 * file stores them the other way round (formats/gguf_read turns them).  `data` points into
 * the mapped file and may be NULL in a plan whose data is not there yet.
 */
#ifndef CORE_TENSOR_H
#define CORE_TENSOR_H

#include "core/dtype.h"
#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

enum { TENSOR_DIMS_MAX = 8, TENSOR_SHAPE_TEXT = 192 };

struct tensor {
    const char *name;
    const struct dtype *dtype;
    int dims; /* 0: a scalar */
    uint64_t shape[TENSOR_DIMS_MAX];
    const uint8_t *data;
    size_t bytes;
};

/* Product of all sizes (1 for a scalar); checked when the tensor was read. */
uint64_t tensor_elems(const struct tensor *t);

/* The last size (1 for a scalar), and how many such rows. */
uint64_t tensor_cols(const struct tensor *t);
uint64_t tensor_rows(const struct tensor *t);

/* Bytes of that shape and dtype.  Fails with ERR_FORMAT where sizes overflow or the
 * columns are not whole blocks. */
bool tensor_size(const struct tensor *t, size_t *bytes, struct err *err);

/* "4096 x 11008", into text; returns text. */
const char *tensor_shape_text(const struct tensor *t, char text[TENSOR_SHAPE_TEXT]);

#endif
