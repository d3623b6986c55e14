#include "formats/gguf_write.h"

#include "core/mem.h"
#include "formats/gguf_layout.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Counts bytes while `at` is NULL, else writes them: the header is encoded twice, first for
 * its size. */
struct out {
    uint8_t *at;
    uint64_t bytes;
};

static void put(struct out *o, const void *data, size_t size)
{
    if (o->at && size > 0)
        memcpy(o->at + o->bytes, data, size);
    o->bytes += size;
}

static void put_uint(struct out *o, uint64_t v, size_t size)
{
    uint8_t byte[8];
    for (size_t i = 0; i < size; i++)
        byte[i] = (uint8_t)(v >> 8 * i);
    put(o, byte, size);
}

static void put_u32(struct out *o, uint32_t v) { put_uint(o, v, 4); }
static void put_u64(struct out *o, uint64_t v) { put_uint(o, v, 8); }

static void put_text(struct out *o, const char *text, size_t length)
{
    put_u64(o, length);
    put(o, text, length);
}

static void put_array(struct out *o, const struct meta_value *v)
{
    put_u32(o, v->elem);
    put_u64(o, v->count);
    if (v->elem != META_TEXT) {
        put(o, v->as.array, v->count * meta_type_bytes(v->elem));
        return;
    }
    const struct meta_text *text = v->as.array;
    for (size_t i = 0; i < v->count; i++)
        put_text(o, text[i].text, text[i].length);
}

static void put_value(struct out *o, const struct meta_value *v)
{
    const float single = v->type == META_F32 ? (float)v->as.f : 0;
    switch (v->type) {
    case META_TEXT:
        put_text(o, v->as.text.text, v->as.text.length);
        break;
    case META_ARRAY:
        put_array(o, v);
        break;
    case META_F32:
        put(o, &single, sizeof single);
        break;
    case META_F64:
        put(o, &v->as.f, sizeof v->as.f);
        break;
    default:
        put_uint(o, v->as.u, meta_type_bytes(v->type));
        break;
    }
}

static void put_tensor(struct out *o, const struct tensor *t, uint64_t offset)
{
    put_text(o, t->name, strlen(t->name));
    put_u32(o, (uint32_t)t->dims);
    for (int i = t->dims - 1; i >= 0; i--)
        put_u64(o, t->shape[i]);
    put_u32(o, (uint32_t)t->dtype->gguf);
    put_u64(o, offset);
}

static void put_header(struct out *o, const struct meta *meta, const struct tensor *const *tensor,
                       size_t tensors, const uint64_t *offset)
{
    put(o, GGUF_MAGIC, strlen(GGUF_MAGIC));
    put_u32(o, GGUF_VERSION);
    put_u64(o, tensors);
    put_u64(o, meta->pairs);
    for (size_t i = 0; i < meta->pairs; i++) {
        put_text(o, meta->pair[i].key, strlen(meta->pair[i].key));
        put_u32(o, meta->pair[i].value.type);
        put_value(o, &meta->pair[i].value);
    }
    for (size_t i = 0; i < tensors; i++)
        put_tensor(o, tensor[i], offset[i]);
}

static bool check_names(const struct tensor *const *tensor, size_t tensors, struct err *err)
{
    const char **name = mem_alloc(tensors, sizeof *name);
    if (!name)
        return err_set(err, ERR_MEMORY, "no memory for %zu names", tensors);
    for (size_t i = 0; i < tensors; i++)
        name[i] = tensor[i]->name;
    const bool ok = gguf_layout_unique(name, tensors, "tensor", err);
    free(name);
    return ok;
}

static bool check_meta(const struct meta *meta, struct err *err)
{
    if (meta->failed)
        return err_set(err, ERR_MEMORY, "no memory for the metadata");
    for (size_t i = 0; i < meta->pairs; i++)
        if (meta->pair[i].key[0] == '\0')
            return err_set(err, ERR_FORMAT, "key %zu is empty", i + 1);
    return true;
}

struct layout {
    size_t alignment;
    uint64_t *offset; /* of each tensor, from `data`; owned */
    uint64_t header;  /* bytes of header and infos */
    uint64_t data;    /* where, padded, the tensors start */
    uint64_t end;     /* of the last tensor */
    uint64_t all;     /* of the padding behind it: the file's size */
};

/* Places every tensor; l->offset is set even where it fails. */
static bool place_tensors(struct layout *l, const struct meta *meta,
                          const struct tensor *const *tensor, size_t tensors, struct err *err)
{
    l->offset = mem_alloc(tensors, sizeof *l->offset);
    if (!l->offset)
        return err_set(err, ERR_MEMORY, "no memory for %zu offsets", tensors);
    uint64_t end = 0, padded = 0; /* of the tensor before, from the start of data */
    for (size_t i = 0; i < tensors; i++) {
        size_t bytes, sum;
        if (!gguf_layout_tensor(tensor[i], &bytes, err))
            return err_wrap(err, "tensor '%s'", tensor[i]->name);
        l->offset[i] = padded;
        if (!size_add(padded, bytes, &sum) || !gguf_layout_pad(sum, l->alignment, &padded))
            return err_set(err, ERR_FORMAT, "tensor '%s': its end does not fit in 64 bits",
                           tensor[i]->name);
        end = sum;
    }
    struct out count = {0};
    put_header(&count, meta, tensor, tensors, l->offset);
    l->header = count.bytes;
    size_t all;
    if (!gguf_layout_pad(l->header, l->alignment, &l->data) || !size_add(l->data, padded, &all))
        return err_set(err, ERR_FORMAT, "the file's size does not fit in 64 bits");
    l->end = l->data + end;
    l->all = all;
    return true;
}

static bool lay_out(struct layout *l, const struct meta *meta, const struct tensor *const *tensor,
                    size_t tensors, struct err *err)
{
    *l = (struct layout){0};
    return check_meta(meta, err) && check_names(tensor, tensors, err) &&
           gguf_layout_alignment(meta, &l->alignment, err) &&
           place_tensors(l, meta, tensor, tensors, err);
}

bool gguf_write_size(const struct meta *meta, const struct tensor *const *tensor, size_t tensors,
                     uint64_t *bytes, struct err *err)
{
    struct layout l;
    const bool ok = lay_out(&l, meta, tensor, tensors, err);
    if (ok)
        *bytes = l.all;
    free(l.offset);
    return ok;
}

/* The header and the padding behind the last tensor; what lies between reads as zeros until
 * it is written. */
static bool write_frame(struct gguf_writer *w, const struct layout *l, const uint8_t *header,
                        struct err *err)
{
    if (!sink_write(&w->sink, header, (size_t)l->header, err) ||
        !sink_pad(&w->sink, l->alignment, err))
        return false;
    w->sink.end = l->end;
    return sink_pad(&w->sink, l->alignment, err);
}

/* The header's bytes, which the caller frees, and in *l where everything is: its offsets, too. */
static uint8_t *encode_header(struct layout *l, const struct meta *meta,
                              const struct tensor *const *tensor, size_t tensors, struct err *err)
{
    struct out header = {0};
    if (!lay_out(l, meta, tensor, tensors, err))
        return NULL;
    header.at = l->header <= SIZE_MAX ? mem_alloc((size_t)l->header, 1) : NULL;
    if (header.at)
        put_header(&header, meta, tensor, tensors, l->offset);
    else
        err_set(err, ERR_MEMORY, "no memory for a header of %" PRIu64 " bytes", l->header);
    assert(!header.at || header.bytes == l->header);
    return header.at;
}

bool gguf_write_digest(const struct meta *meta, const struct tensor *const *tensor, size_t tensors,
                       char text[HASH_TEXT], struct err *err)
{
    struct layout l;
    struct hash h;
    uint8_t *header = encode_header(&l, meta, tensor, tensors, err);
    hash_init(&h);
    if (header)
        hash_add(&h, header, (size_t)l.header);
    hash_text(&h, text);
    free(header);
    free(l.offset);
    return header != NULL;
}

/* found NULL: a file from nothing. */
static bool open_writer(struct gguf_writer *w, const char *path, bool force,
                        const struct meta *meta, const struct tensor *const *tensor, size_t tensors,
                        bool *found, struct err *err)
{
    struct layout l;
    uint8_t *header = encode_header(&l, meta, tensor, tensors, err);
    *w = (struct gguf_writer){
        .offset = l.offset, .data = l.data, .tensors = tensors, .bytes = l.all};
    const bool ok = header ? (found ? sink_resume(&w->sink, path, force, l.all, found, err)
                                    : sink_open(&w->sink, path, force, l.all, err)) &&
                                 write_frame(w, &l, header, err)
                           : err_wrap(err, "%s", path);
    free(header);
    if (!ok)
        gguf_write_close(w);
    return ok;
}

bool gguf_write_open(struct gguf_writer *w, const char *path, bool force, const struct meta *meta,
                     const struct tensor *const *tensor, size_t tensors, struct err *err)
{
    return open_writer(w, path, force, meta, tensor, tensors, NULL, err);
}

bool gguf_write_resume(struct gguf_writer *w, const char *path, bool force, const struct meta *meta,
                       const struct tensor *const *tensor, size_t tensors, bool *found,
                       struct err *err)
{
    return open_writer(w, path, force, meta, tensor, tensors, found, err);
}

bool gguf_write_data(const struct gguf_writer *w, size_t tensor, uint64_t offset, const void *data,
                     size_t size, struct err *err)
{
    assert(tensor < w->tensors && w->offset[tensor] + offset + size <= w->bytes - w->data);
    return sink_write_at(&w->sink, w->data + w->offset[tensor] + offset, data, size, err);
}

uint64_t gguf_write_place(const struct gguf_writer *w, size_t tensor)
{
    return w->data + w->offset[tensor];
}

bool gguf_write_commit(struct gguf_writer *w, struct err *err)
{
    return sink_commit(&w->sink, err);
}

void gguf_write_close(struct gguf_writer *w)
{
    sink_close(&w->sink);
    free(w->offset);
    *w = (struct gguf_writer){0};
}

void gguf_write_leave(struct gguf_writer *w)
{
    sink_leave(&w->sink);
    gguf_write_close(w);
}
