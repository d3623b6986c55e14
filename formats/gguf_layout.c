#include "formats/gguf_layout.h"

#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

bool gguf_layout_alignment(const struct meta *meta, size_t *alignment, struct err *err)
{
    *alignment = GGUF_ALIGNMENT;
    const struct meta_value *v = meta_find(meta, GGUF_KEY_ALIGNMENT);
    if (!v)
        return true;
    if (v->type != META_U32)
        return err_set(err, ERR_FORMAT, GGUF_KEY_ALIGNMENT " is of type %s, not u32",
                       meta_value_kind(v));
    if (v->as.u == 0 || (v->as.u & (v->as.u - 1)) != 0)
        return err_set(err, ERR_FORMAT, GGUF_KEY_ALIGNMENT " is %" PRIu64 ", not a power of two",
                       v->as.u);
    *alignment = (size_t)v->as.u;
    return true;
}

bool gguf_layout_tensor(const struct tensor *t, size_t *bytes, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT];
    const size_t length = strlen(t->name);
    if (length == 0)
        return err_set(err, ERR_FORMAT, "its name is empty");
    if (length > GGUF_NAME_MAX)
        return err_set(err, ERR_FORMAT, "its name has %zu bytes, at most %d fit", length,
                       GGUF_NAME_MAX);
    if (t->dtype->gguf < 0)
        return err_set(err, ERR_FORMAT, "GGUF has no element type %s", t->dtype->name);
    if (t->dims > GGUF_DIMS_MAX)
        return err_set(err, ERR_FORMAT, "%d dimensions, at most %d fit", t->dims, GGUF_DIMS_MAX);
    size_t elems = 1;
    for (int i = 0; i < t->dims; i++) {
        if (t->shape[i] == 0)
            return err_set(err, ERR_FORMAT, "shape %s has a size of 0", tensor_shape_text(t, text));
        if (!size_mul(elems, t->shape[i], &elems) || elems > INT64_MAX)
            return err_set(err, ERR_FORMAT, "shape %s has more than 2^63 elements",
                           tensor_shape_text(t, text));
    }
    return tensor_size(t, bytes, err);
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

bool gguf_layout_unique(const char **name, size_t count, const char *what, struct err *err)
{
    if (count > 1)
        qsort(name, count, sizeof *name, compare_names);
    for (size_t i = 1; i < count; i++)
        if (strcmp(name[i - 1], name[i]) == 0)
            return err_set(err, ERR_FORMAT, "%s '%s' is there twice", what, name[i]);
    return true;
}

bool gguf_layout_pad(uint64_t size, size_t alignment, uint64_t *padded)
{
    if (size > UINT64_MAX - (alignment - 1))
        return false;
    *padded = (size + alignment - 1) & ~(uint64_t)(alignment - 1);
    return true;
}
