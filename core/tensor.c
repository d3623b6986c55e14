#include "core/tensor.h"

#include "core/mem.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t tensor_elems(const struct tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i < t->dims; i++)
        n *= t->shape[i];
    return n;
}

uint64_t tensor_cols(const struct tensor *t) { return t->dims ? t->shape[t->dims - 1] : 1; }

uint64_t tensor_rows(const struct tensor *t)
{
    uint64_t n = 1;
    for (int i = 0; i + 1 < t->dims; i++)
        n *= t->shape[i];
    return n;
}

bool tensor_size(const struct tensor *t, size_t *bytes, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT];
    size_t size;
    if (!dtype_row_bytes(t->dtype, tensor_cols(t), &size, err))
        return false;
    for (int i = 0; i + 1 < t->dims; i++)
        if (!size_mul(size, t->shape[i], &size))
            return err_set(err, ERR_FORMAT, "%s %s does not fit in memory",
                           tensor_shape_text(t, text), t->dtype->name);
    *bytes = size;
    return true;
}

const char *tensor_shape_text(const struct tensor *t, char text[TENSOR_SHAPE_TEXT])
{
    int n = snprintf(text, TENSOR_SHAPE_TEXT, "%s", t->dims ? "" : "scalar");
    for (int i = 0; i < t->dims; i++)
        n += snprintf(text + n, (size_t)(TENSOR_SHAPE_TEXT - n), "%s%" PRIu64, i ? " x " : "",
                      t->shape[i]);
    return text;
}
