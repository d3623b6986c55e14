#include "formats/safetensors_read.h"

#include "core/cursor.h"
#include "core/mem.h"
#include "formats/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { LENGTH_BYTES = 8, HEADER_MAX = 100 * 1000 * 1000 /* the reference implementation's */ };

/* A tensor and where its data lies after the header. */
struct entry {
    struct tensor tensor;
    uint64_t begin, end;
};

bool safetensors_probe(const char *path, const uint8_t *head, size_t size)
{
    if (shard_is_index(path, ".safetensors"))
        return true;
    struct cursor at = cursor_over(head, size);
    const uint64_t length = cursor_u64(&at);
    const uint8_t *first = cursor_take(&at, 1);
    return first && *first == '{' && length >= 2 && length <= HEADER_MAX;
}

static bool get_u64(const json_t *value, uint64_t *v)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return false;
    *v = (uint64_t)json_integer_value(value);
    return true;
}

static bool read_shape(struct tensor *t, const json_t *shape, struct err *err)
{
    const size_t dims = json_array_size(shape);
    if (!json_is_array(shape))
        return err_set(err, ERR_FORMAT, "its shape is not a list");
    if (dims > TENSOR_DIMS_MAX)
        return err_set(err, ERR_UNSUPPORTED, "its shape has %zu sizes, quern reads up to %d", dims,
                       TENSOR_DIMS_MAX);
    t->dims = (int)dims;
    for (size_t i = 0; i < dims; i++)
        if (!get_u64(json_array_get(shape, i), &t->shape[i]))
            return err_set(err, ERR_FORMAT, "size %zu of its shape is not a whole number from 0",
                           i + 1);
    return true;
}

/* `data`, `size`: what follows the header. */
static bool read_entry(struct entry *e, const json_t *value, const uint8_t *data, size_t size,
                       struct err *err)
{
    const char *dtype = json_string_value(json_object_get(value, "dtype"));
    const json_t *offsets = json_object_get(value, "data_offsets");
    if (!dtype)
        return err_set(err, ERR_FORMAT, "no dtype");
    if (!(e->tensor.dtype = dtype_find_safetensors(dtype)))
        return err_set(err, ERR_UNSUPPORTED, "quern does not read the dtype '%s'", dtype);
    if (!read_shape(&e->tensor, json_object_get(value, "shape"), err))
        return false;
    if (json_array_size(offsets) != 2 || !get_u64(json_array_get(offsets, 0), &e->begin) ||
        !get_u64(json_array_get(offsets, 1), &e->end))
        return err_set(err, ERR_FORMAT, "its data_offsets are not two whole numbers from 0");
    if (e->begin > e->end)
        return err_set(err, ERR_FORMAT,
                       "data begins at byte %" PRIu64 " and ends before, at %" PRIu64, e->begin,
                       e->end);
    if (e->end > size)
        return err_set(err, ERR_FORMAT,
                       "data ends at byte %" PRIu64 " after the header, the file "
                       "at %zu: it is cut short",
                       e->end, size);
    e->tensor.data = data + e->begin;
    e->tensor.bytes = (size_t)(e->end - e->begin);
    return true;
}

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Adds the tensors in the order of their data, which they must cover. */
static bool add_entries(struct checkpoint *c, struct entry *e, size_t entries, size_t size,
                        struct err *err)
{
    uint64_t at = 0;
    if (entries)
        qsort(e, entries, sizeof *e, compare_entries);
    for (size_t i = 0; i < entries; i++) {
        if (e[i].begin < at)
            return err_set(err, ERR_FORMAT,
                           "tensor '%s': data begins at byte %" PRIu64 ", inside "
                           "that of '%s', which ends at %" PRIu64,
                           e[i].tensor.name, e[i].begin, e[i - 1].tensor.name, at);
        if (e[i].begin > at)
            return err_set(err, ERR_FORMAT,
                           "tensor '%s': data begins at byte %" PRIu64 ", and the "
                           "bytes from %" PRIu64 " on belong to no tensor",
                           e[i].tensor.name, e[i].begin, at);
        if (!checkpoint_add_tensor(c, &e[i].tensor, err))
            return false;
        at = e[i].end;
    }
    return at == size || err_set(err, ERR_FORMAT,
                                 "the last %" PRIu64 " of %zu data bytes belong "
                                 "to no tensor",
                                 size - at, size);
}

static bool check_metadata(json_t *metadata, struct err *err)
{
    const char *key;
    json_t *value;
    if (!json_is_object(metadata))
        return err_set(err, ERR_FORMAT, "__metadata__ is not an object");
    json_object_foreach (metadata, key, value)
        if (!json_is_string(value))
            return err_set(err, ERR_FORMAT, "__metadata__: '%s' is not a text", key);
    return true;
}

static bool read_header(struct checkpoint *c, json_t *header, const uint8_t *data, size_t size,
                        struct err *err)
{
    if (!json_is_object(header))
        return err_set(err, ERR_FORMAT, "the header is not a JSON object");
    json_t *metadata = json_object_get(header, "__metadata__"), *value;
    if (metadata && !json_is_null(metadata)) {
        if (!check_metadata(metadata, err))
            return false;
        if (!c->header && c->tensors == 0)
            c->header = json_incref(metadata);
    }
    struct entry *entry = mem_alloc(json_object_size(header), sizeof *entry);
    if (!entry)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", json_object_size(header));
    size_t entries = 0;
    bool ok = true;
    const char *name;
    json_object_foreach (header, name, value) {
        if (!ok || strcmp(name, "__metadata__") == 0)
            continue;
        entry[entries].tensor.name = name;
        ok = read_entry(&entry[entries++], value, data, size, err) ||
             err_wrap(err, "tensor '%s'", name);
    }
    ok = ok && add_entries(c, entry, entries, size, err);
    free(entry);
    return ok;
}

bool safetensors_read(struct checkpoint *c, const char *path, const struct map *m, struct err *err)
{
    if (m->size < LENGTH_BYTES)
        return err_set(err, ERR_FORMAT, "%s: %zu bytes are too few for a safetensors file", path,
                       m->size);
    struct cursor at = cursor_over(m->data, m->size);
    const uint64_t length = cursor_u64(&at);
    if (length > HEADER_MAX)
        return err_set(err, ERR_FORMAT,
                       "%s: not a safetensors file: its header would have "
                       "%" PRIu64 " bytes, at most %d are allowed",
                       path, length, HEADER_MAX);
    if (length > cursor_left(&at))
        return err_set(err, ERR_FORMAT,
                       "%s: the header has %" PRIu64 " bytes, the file %zu: it is "
                       "cut short",
                       path, length, m->size);
    const uint8_t *text = cursor_take(&at, length);
    json_t *header = json_parse_unique("header", text, (size_t)length, err);
    const bool ok = header && read_header(c, header, at.at, cursor_left(&at), err);
    json_decref(header);
    return ok || err_wrap(err, "%s", path);
}

static bool read_file(struct checkpoint *c, const char *path, struct err *err)
{
    const struct map *m = checkpoint_add_map(c, path, err);
    return m && safetensors_read(c, path, m, err);
}

bool safetensors_open(struct checkpoint *c, const char *path, struct err *err)
{
    return shard_open(c, path, read_file, err);
}
