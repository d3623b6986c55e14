#include "formats/gguf_read.h"

#include "core/cursor.h"
#include "core/mem.h"
#include "formats/gguf_layout.h"
#include "formats/shard.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum {
    PAIR_MIN_BYTES = 8 + 1 + 4 + 1,       /* a key of one byte, a type, a value of one byte */
    TENSOR_MIN_BYTES = 8 + 1 + 4 + 4 + 8, /* a name of one byte, dims, type, offset */
};

/* A text of the file, in place: no NUL behind it. */
static struct meta_text get_text(struct cursor *c)
{
    const uint64_t length = cursor_u64(c);
    const uint8_t *p = cursor_take(c, length);
    return (struct meta_text){(const char *)p, p ? (size_t)length : 0};
}

/* A name or key: copied, and nothing but a C string. */
static const char *read_name(struct cursor *c, struct arena *arena, const char *what,
                             struct err *err)
{
    const struct meta_text t = get_text(c);
    if (c->bad) {
        err_set(err, ERR_FORMAT, "the file ends inside its %s", what);
        return NULL;
    }
    if (t.length == 0 || memchr(t.text, '\0', t.length)) {
        err_set(err, ERR_FORMAT, "its %s %s", what, t.length ? "contains a NUL" : "is empty");
        return NULL;
    }
    const char *copy = arena_text(arena, t.text, t.length);
    if (!copy)
        err_set(err, ERR_MEMORY, "no memory for a %s of %zu bytes", what, t.length);
    return copy;
}

static bool read_text(struct cursor *c, struct arena *arena, struct meta_text *to, struct err *err)
{
    const struct meta_text t = get_text(c);
    if (c->bad)
        return err_set(err, ERR_FORMAT, "the file ends inside a text");
    *to = (struct meta_text){arena_text(arena, t.text, t.length), t.length};
    return to->text || err_set(err, ERR_MEMORY, "no memory for a text of %zu bytes", t.length);
}

static bool read_texts(struct cursor *c, struct arena *arena, struct meta_value *v, struct err *err)
{
    struct meta_text *text = arena_alloc(arena, v->count, sizeof *text);
    if (!text)
        return err_set(err, ERR_MEMORY, "no memory for %zu texts", v->count);
    v->as.array = text;
    for (size_t i = 0; i < v->count; i++)
        if (!read_text(c, arena, &text[i], err))
            return err_wrap(err, "text %zu of %zu", i + 1, v->count);
    return true;
}

static bool check_bool(uint64_t v, struct err *err)
{
    return v <= 1 || err_set(err, ERR_FORMAT, "a bool is %" PRIu64 ", not 0 or 1", v);
}

static bool read_numbers(struct cursor *c, struct arena *arena, struct meta_value *v,
                         struct err *err)
{
    const size_t bytes = v->count * meta_type_bytes(v->elem);
    const uint8_t *from = cursor_take(c, bytes);
    uint8_t *to = arena_alloc(arena, bytes, 1);
    if (!to)
        return err_set(err, ERR_MEMORY, "no memory for an array of %zu bytes", bytes);
    if (bytes > 0)
        memcpy(to, from, bytes);
    v->as.array = to;
    for (size_t i = 0; v->elem == META_BOOL && i < v->count; i++)
        if (!check_bool(to[i], err))
            return false;
    return true;
}

static bool check_type(uint32_t type, struct err *err)
{
    return type <= META_F64 || err_set(err, ERR_FORMAT, "value type %" PRIu32 " is unknown", type);
}

static bool read_array(struct cursor *c, struct arena *arena, struct meta_value *v, struct err *err)
{
    const uint32_t elem = cursor_u32(c);
    const uint64_t count = cursor_u64(c);
    if (c->bad)
        return err_set(err, ERR_FORMAT, "the file ends inside an array");
    if (!check_type(elem, err))
        return false;
    if (elem == META_ARRAY)
        return err_set(err, ERR_UNSUPPORTED, "an array of arrays; nested arrays are not read");
    v->elem = (enum meta_type)elem;
    const size_t least = elem == META_TEXT ? 8 : meta_type_bytes(v->elem);
    if (count > cursor_left(c) / least)
        return err_set(err, ERR_FORMAT, "an array of %" PRIu64 " %s in %zu bytes", count,
                       meta_type_name(v->elem), cursor_left(c));
    v->count = (size_t)count;
    return elem == META_TEXT ? read_texts(c, arena, v, err) : read_numbers(c, arena, v, err);
}

static bool read_number(struct cursor *c, struct meta_value *v, struct err *err)
{
    const uint8_t *bytes = cursor_take(c, meta_type_bytes(v->type));
    if (!bytes)
        return err_set(err, ERR_FORMAT, "the file ends inside a %s", meta_type_name(v->type));
    *v = meta_number(v->type, bytes);
    return v->type != META_BOOL || check_bool(v->as.u, err);
}

static bool read_pair(struct cursor *c, struct meta *m, struct err *err)
{
    const char *key = read_name(c, &m->arena, "key", err);
    if (!key)
        return err_wrap(err, "pair %zu", m->pairs + 1);
    const uint32_t type = cursor_u32(c);
    bool ok = !c->bad || err_set(err, ERR_FORMAT, "the file ends inside its type");
    ok = ok && check_type(type, err);
    struct meta_value v = {.type = ok ? (enum meta_type)type : META_U8};
    if (ok && v.type == META_TEXT)
        ok = read_text(c, &m->arena, &v.as.text, err);
    else if (ok && v.type == META_ARRAY)
        ok = read_array(c, &m->arena, &v, err);
    else if (ok)
        ok = read_number(c, &v, err);
    if (!ok)
        return err_wrap(err, "key '%s'", key);
    meta_add(m, key, &v);
    return !m->failed || err_set(err, ERR_MEMORY, "no memory for key '%s'", key);
}

static bool read_shape(struct cursor *c, struct tensor *t, struct err *err)
{
    const uint32_t dims = cursor_u32(c);
    if (dims > GGUF_DIMS_MAX)
        return err_set(err, ERR_FORMAT, "%" PRIu32 " dimensions, at most %d fit", dims,
                       GGUF_DIMS_MAX);
    t->dims = (int)dims;
    for (int i = t->dims - 1; i >= 0; i--)
        t->shape[i] = cursor_u64(c);
    return true;
}

/* `next` is where the padded sizes of the tensors before put this one. */
static bool read_tensor(struct cursor *c, struct gguf_header *h, struct tensor *t, uint64_t *next,
                        struct err *err)
{
    if (!read_shape(c, t, err))
        return false;
    const uint32_t type = cursor_u32(c);
    const uint64_t offset = cursor_u64(c);
    if (c->bad)
        return err_set(err, ERR_FORMAT, "the file ends inside its info");
    if (!(t->dtype = dtype_find_gguf(type)))
        return err_set(err, ERR_UNSUPPORTED, "element type %" PRIu32 " is unknown", type);
    if (!gguf_layout_tensor(t, &t->bytes, err))
        return false;
    if (offset != *next)
        return err_set(err, ERR_FORMAT,
                       "data at offset %" PRIu64 ", but the tensors before it, padded to %zu, end "
                       "at %" PRIu64,
                       offset, h->alignment, *next);
    size_t end;
    if (!size_add(offset, t->bytes, &end) || !gguf_layout_pad(end, h->alignment, next))
        return err_set(err, ERR_FORMAT, "its end does not fit in 64 bits");
    return true;
}

static bool check_unique_keys(const struct meta *m, struct err *err)
{
    const char **key = mem_alloc(m->pairs, sizeof *key);
    if (!key)
        return err_set(err, ERR_MEMORY, "no memory for %zu keys", m->pairs);
    for (size_t i = 0; i < m->pairs; i++)
        key[i] = m->pair[i].key;
    const bool ok = gguf_layout_unique(key, m->pairs, "key", err);
    free(key);
    return ok;
}

static bool check_unique_tensors(const struct gguf_header *h, struct err *err)
{
    const char **name = mem_alloc(h->tensors, sizeof *name);
    if (!name)
        return err_set(err, ERR_MEMORY, "no memory for %zu names", h->tensors);
    for (size_t i = 0; i < h->tensors; i++)
        name[i] = h->tensor[i].name;
    const bool ok = gguf_layout_unique(name, h->tensors, "tensor", err);
    free(name);
    return ok;
}

static bool check_version(uint32_t version, struct err *err)
{
    if (version >= GGUF_VERSION_OLDEST && version <= GGUF_VERSION)
        return true;
    if (version != 0 && (version & 0xffff) == 0)
        return err_set(err, ERR_UNSUPPORTED, "a big-endian GGUF file; little-endian ones are read");
    if (version == 1)
        return err_set(err, ERR_UNSUPPORTED,
                       "GGUF version 1, of August 2023 only; versions 2 and 3 are read");
    return err_set(err, ERR_UNSUPPORTED, "GGUF version %" PRIu32 "; versions 2 and 3 are read",
                   version);
}

/* The pairs; then the alignment they ask for is known. */
static bool read_meta(struct cursor *c, struct gguf_header *h, uint64_t pairs, struct err *err)
{
    if (pairs > cursor_left(c) / PAIR_MIN_BYTES)
        return err_set(err, ERR_FORMAT, "the header claims %" PRIu64 " keys in %zu bytes", pairs,
                       cursor_left(c));
    for (uint64_t i = 0; i < pairs; i++)
        if (!read_pair(c, &h->meta, err))
            return false;
    return check_unique_keys(&h->meta, err) && gguf_layout_alignment(&h->meta, &h->alignment, err);
}

static bool read_tensors(struct cursor *c, struct gguf_header *h, uint64_t tensors, struct err *err)
{
    if (tensors > cursor_left(c) / TENSOR_MIN_BYTES)
        return err_set(err, ERR_FORMAT, "the header claims %" PRIu64 " tensors in %zu bytes",
                       tensors, cursor_left(c));
    h->tensors = (size_t)tensors;
    if (!(h->tensor = arena_alloc(&h->arena, h->tensors, sizeof *h->tensor)))
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", h->tensors);
    uint64_t next = 0;
    for (size_t i = 0; i < h->tensors; i++) {
        struct tensor *t = &h->tensor[i];
        if (!(t->name = read_name(c, &h->arena, "name", err)))
            return err_wrap(err, "tensor %zu of %zu", i + 1, h->tensors);
        if (!read_tensor(c, h, t, &next, err))
            return err_wrap(err, "tensor '%s'", t->name);
    }
    return check_unique_tensors(h, err);
}

/* Points the tensors at their data, which starts at the next multiple of the alignment. */
static bool place_data(struct gguf_header *h, const uint8_t *data, size_t size, size_t header,
                       struct err *err)
{
    uint64_t at; /* cannot overflow: the header is in memory and the alignment a u32 */
    gguf_layout_pad(header, h->alignment, &at);
    for (size_t i = 0; i < h->tensors; i++) {
        struct tensor *t = &h->tensor[i];
        if (at > size || t->bytes > size - at)
            return err_set(err, ERR_FORMAT,
                           "tensor '%s': data at %" PRIu64 " + %zu bytes, file ends at %zu",
                           t->name, at, t->bytes, size);
        t->data = data + at;
        gguf_layout_pad(at + t->bytes, h->alignment, &at);
    }
    return true;
}

static bool read_all(struct gguf_header *h, const uint8_t *data, size_t size, struct err *err)
{
    struct cursor c = cursor_over(data, size);
    const uint8_t *magic = cursor_take(&c, strlen(GGUF_MAGIC));
    h->version = cursor_u32(&c);
    if (!magic || memcmp(magic, GGUF_MAGIC, strlen(GGUF_MAGIC)) != 0)
        return err_set(err, ERR_FORMAT, "not a GGUF file");
    if (!c.bad && !check_version(h->version, err))
        return false;
    const uint64_t tensors = cursor_u64(&c);
    const uint64_t pairs = cursor_u64(&c);
    if (c.bad)
        return err_set(err, ERR_FORMAT, "the file ends inside its header, after %zu bytes", size);
    return read_meta(&c, h, pairs, err) && read_tensors(&c, h, tensors, err) &&
           place_data(h, data, size, (size_t)(c.at - data), err);
}

bool gguf_read_header(struct gguf_header *h, const void *data, size_t size, struct err *err)
{
    *h = (struct gguf_header){0};
    if (read_all(h, data ? data : "", size, err))
        return true;
    gguf_header_close(h);
    return false;
}

void gguf_header_close(struct gguf_header *h)
{
    meta_close(&h->meta);
    arena_close(&h->arena);
    *h = (struct gguf_header){0};
}

bool gguf_probe(const char *path, const uint8_t *head, size_t size)
{
    (void)path;
    return size >= strlen(GGUF_MAGIC) && memcmp(head, GGUF_MAGIC, strlen(GGUF_MAGIC)) == 0;
}

/* Does the file say of itself what its name says: the s->number-th of s->total? */
static bool check_split(const struct meta *m, const struct shard *s, struct err *err)
{
    uint64_t no = 0, count = 0; /* 0: whole, or merged */
    const bool said = meta_get_u64(m, GGUF_SPLIT_COUNT, &count);
    meta_get_u64(m, GGUF_SPLIT_NO, &no);
    if (s->total <= 1 && count <= 1)
        return true;
    if (s->total <= 1)
        return err_set(err, ERR_FORMAT,
                       "file %" PRIu64 " of %" PRIu64 " of a split model, but its name does not "
                       "say so: the others cannot be found",
                       no + 1, count);
    if (!said)
        return err_set(err, ERR_FORMAT,
                       "named as file %" PRIu32 " of %" PRIu32 ", but has no " GGUF_SPLIT_COUNT,
                       s->number, s->total);
    if (no + 1 != s->number || count != s->total)
        return err_set(err, ERR_FORMAT,
                       "named as file %" PRIu32 " of %" PRIu32 ", but says that it is file "
                       "%" PRIu64 " of %" PRIu64,
                       s->number, s->total, no + 1, count);
    return true;
}

static bool add_tensors(struct checkpoint *c, const struct gguf_header *h, struct err *err)
{
    for (size_t i = 0; i < h->tensors; i++)
        if (!checkpoint_add_tensor(c, &h->tensor[i], err))
            return false;
    return true;
}

/* Adds one file; the metadata of the first is the model's. */
static bool read_file(struct checkpoint *c, const char *path, struct err *err)
{
    const struct map *map = checkpoint_add_map(c, path, err);
    if (!map)
        return false;
    struct shard s = {0};
    shard_parse(&s, path);
    struct gguf_header h;
    if (!gguf_read_header(&h, map->data, map->size, err))
        return err_wrap(err, "%s", path);
    const bool ok = check_split(&h.meta, &s, err) && add_tensors(c, &h, err);
    if (!ok) {
        err_wrap(err, "%s", path);
    } else if (c->maps == 1) {
        c->meta = h.meta;
        h.meta = (struct meta){0};
    }
    gguf_header_close(&h);
    return ok;
}

bool gguf_open(struct checkpoint *c, const char *path, struct err *err)
{
    if (!shard_open(c, path, read_file, err))
        return false;
    uint64_t tensors = c->tensors;
    meta_get_u64(&c->meta, GGUF_SPLIT_TENSORS, &tensors);
    if (tensors != c->tensors)
        return err_set(err, ERR_FORMAT,
                       "%s: %zu tensors in %zu files, but " GGUF_SPLIT_TENSORS " is %" PRIu64, path,
                       c->tensors, c->maps, tensors);
    meta_remove(&c->meta, GGUF_SPLIT_NO);
    meta_remove(&c->meta, GGUF_SPLIT_COUNT);
    meta_remove(&c->meta, GGUF_SPLIT_TENSORS);
    return true;
}
