#include "formats/imatrix_file.h"

#include "core/cursor.h"
#include "core/map.h"
#include "core/mem.h"
#include "formats/gguf_layout.h"
#include "formats/gguf_read.h"
#include "formats/imatrix_layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ENTRY_MIN_BYTES = 4 + 1 + 4 + 4 + 4 }; /* one byte of name, one value */

void imatrix_close(struct imatrix *m)
{
    arena_close(&m->arena);
    free(m->entry);
    *m = (struct imatrix){0};
}

static bool check_value(const char *what, size_t i, float v, struct err *err)
{
    return (isfinite(v) && v >= 0) ||
           err_set(err, ERR_NUMERIC, "%s %zu is %g, which is no mean square", what, i, (double)v);
}

/* Checks the values of a new entry, gives the matrices that saw nothing means of 1 (`mean` is
 * e->mean) and takes it in. */
static bool append(struct imatrix *m, struct imatrix_entry *e, float *mean, struct err *err)
{
    const size_t cols = e->values / e->matrices;
    for (size_t i = 0; i < e->matrices; i++) {
        if (!check_value("count", i, e->count[i], err))
            return false;
        if (e->count[i] > 0)
            continue;
        e->unseen++;
        for (size_t j = 0; j < cols; j++)
            mean[i * cols + j] = 1;
    }
    for (size_t i = 0; i < e->values; i++)
        if (!check_value("value", i, mean[i], err))
            return false;
    struct imatrix_entry *entry = mem_grow(m->entry, m->entries, sizeof *entry);
    if (!entry)
        return err_set(err, ERR_MEMORY, "no memory for %zu entries", m->entries + 1);
    m->entry = entry;
    m->entry[m->entries++] = *e;
    return true;
}

bool imatrix_add(struct imatrix *m, const struct imatrix_entry *e, struct err *err)
{
    char *name = arena_text(&m->arena, e->name, strlen(e->name));
    float *mean = arena_alloc(&m->arena, e->values, sizeof *mean);
    float *count = arena_alloc(&m->arena, e->matrices, sizeof *count);
    if (!name || !mean || !count)
        return err_set(err, ERR_MEMORY, "'%s': no memory for %zu values", e->name, e->values);
    memcpy(mean, e->mean, e->values * sizeof *mean);
    memcpy(count, e->count, e->matrices * sizeof *count);
    struct imatrix_entry copy = {name, e->matrices, e->values, mean, count, 0};
    return append(m, &copy, mean, err) || err_wrap(err, "'%s'", e->name);
}

static int compare_entries(const void *a, const void *b)
{
    const struct imatrix_entry *x = a, *y = b;
    return strcmp(x->name, y->name);
}

bool imatrix_sort(struct imatrix *m, struct err *err)
{
    if (m->entries > 1)
        qsort(m->entry, m->entries, sizeof *m->entry, compare_entries);
    for (size_t i = 1; i < m->entries; i++)
        if (strcmp(m->entry[i - 1].name, m->entry[i].name) == 0)
            return err_set(err, ERR_FORMAT, "entry '%s' is there twice", m->entry[i].name);
    return true;
}

const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name)
{
    const struct imatrix_entry key = {.name = name};
    return m->entries ? bsearch(&key, m->entry, m->entries, sizeof key, compare_entries) : NULL;
}

/* The name of an entry of a .dat. */
static const char *read_name(struct imatrix *m, struct cursor *c, struct err *err)
{
    const uint32_t length = cursor_u32(c);
    const char *p = (const char *)cursor_take(c, length);
    if (!p || length == 0 || memchr(p, '\0', length)) {
        err_set(err, ERR_FORMAT,
                p ? "its name is empty or contains a NUL" : "the file ends inside its name");
        return NULL;
    }
    const char *name = arena_text(&m->arena, p, length);
    if (!name)
        err_set(err, ERR_MEMORY, "no memory for its name");
    return name;
}

static bool read_entry(struct imatrix *m, struct cursor *c, const char *name, struct err *err)
{
    const uint32_t calls = cursor_u32(c);
    const uint32_t values = cursor_u32(c);
    if (c->bad || values > cursor_left(c) / sizeof(float))
        return err_set(err, ERR_FORMAT, "the file ends inside its values");
    if (values == 0 || calls > INT32_MAX)
        return err_set(err, ERR_FORMAT, "%" PRIu32 " values of %" PRId32 " calls", values,
                       (int32_t)calls);
    float *mean = arena_alloc(&m->arena, values, sizeof *mean);
    float *count = arena_alloc(&m->arena, 1, sizeof *count);
    if (!mean || !count)
        return err_set(err, ERR_MEMORY, "no memory for %" PRIu32 " values", values);
    memcpy(mean, cursor_take(c, values * sizeof *mean), values * sizeof *mean);
    *count = calls > 0 ? (float)calls : 1; /* 0 calls: the values are means already */
    for (uint32_t i = 0; i < values; i++)
        mean[i] /= *count;
    struct imatrix_entry e = {name, 1, values, mean, count, 0};
    return append(m, &e, mean, err);
}

/* What newer programs write behind the entries. */
static bool read_trailer(struct imatrix *m, struct cursor *c, struct err *err)
{
    if (cursor_left(c) == 0)
        return true;
    m->chunks = cursor_u32(c);
    const uint32_t length = cursor_u32(c);
    const char *text = (const char *)cursor_take(c, length);
    if (c->bad || cursor_left(c) > 0)
        return err_set(err, ERR_FORMAT, "the file does not end with its name of the text");
    if (length == 0)
        return true;
    m->dataset = arena_alloc(&m->arena, 1, sizeof *m->dataset);
    char *copy = arena_text(&m->arena, text, length);
    if (!m->dataset || !copy)
        return err_set(err, ERR_MEMORY, "no memory for the name of the text");
    m->dataset[0] = (struct meta_text){copy, length};
    m->datasets = 1;
    return true;
}

static bool read_dat(struct imatrix *m, struct cursor c, struct err *err)
{
    const size_t size = cursor_left(&c);
    const uint32_t entries = cursor_u32(&c);
    if (c.bad || entries == 0 || entries > cursor_left(&c) / ENTRY_MIN_BYTES)
        return err_set(err, ERR_FORMAT,
                       "not an importance matrix: claims %" PRIu32 " entries in %zu bytes", entries,
                       size);
    for (uint32_t i = 0; i < entries; i++) {
        const char *name = read_name(m, &c, err);
        if (!name)
            return err_wrap(err, "entry %" PRIu32 " of %" PRIu32, i + 1, entries);
        if (!read_entry(m, &c, name, err))
            return err_wrap(err, "entry '%s'", name);
    }
    return read_trailer(m, &c, err);
}

/* The bytes of `name` before `suffix`, or 0. */
static size_t stem_before(const char *name, const char *suffix)
{
    const size_t length = strlen(name), tail = strlen(suffix);
    return length > tail && strcmp(name + length - tail, suffix) == 0 ? length - tail : 0;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct tensor *x = a, *y = b;
    return strcmp(x->name, y->name);
}

/* The tensor STEM + suffix of a sorted header, or NULL. */
static const struct tensor *find_partner(const struct gguf_header *h, const char *name, size_t stem,
                                         const char *suffix, struct err *err)
{
    char text[GGUF_NAME_MAX + sizeof IMATRIX_SUMS];
    memcpy(text, name, stem);
    memcpy(text + stem, suffix, strlen(suffix) + 1);
    const struct tensor key = {.name = text};
    const struct tensor *t = bsearch(&key, h->tensor, h->tensors, sizeof key, compare_tensors);
    if (!t)
        err_set(err, ERR_FORMAT, "tensor '%s' has no '%s' beside it", name, text);
    return t;
}

static bool read_pair(struct imatrix *m, const struct tensor *sums, const struct tensor *counts,
                      const char *name, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT];
    const size_t matrices = (size_t)tensor_rows(sums), values = (size_t)tensor_elems(sums);
    if (sums->dtype->id != DTYPE_F32 || counts->dtype->id != DTYPE_F32)
        return err_set(err, ERR_FORMAT, "sums of type %s and counts of type %s, both must be F32",
                       sums->dtype->name, counts->dtype->name);
    if (tensor_elems(counts) != matrices)
        return err_set(err, ERR_FORMAT, "%" PRIu64 " counts for sums of shape %s",
                       tensor_elems(counts), tensor_shape_text(sums, text));
    float *mean = arena_alloc(&m->arena, values, sizeof *mean);
    float *count = arena_alloc(&m->arena, matrices, sizeof *count);
    if (!mean || !count)
        return err_set(err, ERR_MEMORY, "no memory for %zu values", values);
    memcpy(mean, sums->data, sums->bytes);
    memcpy(count, counts->data, counts->bytes);
    for (size_t i = 0; i < values; i++) {
        const float seen = count[i / (values / matrices)];
        if (!check_value("sum", i, mean[i], err))
            return false;
        if (seen > 0)
            mean[i] /= seen;
    }
    struct imatrix_entry e = {name, matrices, values, mean, count, 0};
    return append(m, &e, mean, err);
}

static bool read_datasets(struct imatrix *m, const struct meta *meta, struct err *err)
{
    const struct meta_value *v = meta_find(meta, IMATRIX_DATASETS);
    if (!v)
        return true;
    if (v->type != META_ARRAY || v->elem != META_TEXT)
        return err_set(err, ERR_FORMAT, IMATRIX_DATASETS " is of type %s, not array of text",
                       meta_value_kind(v));
    const struct meta_text *text = v->as.array;
    if (!(m->dataset = arena_alloc(&m->arena, v->count, sizeof *m->dataset)))
        return err_set(err, ERR_MEMORY, "no memory for %zu names of texts", v->count);
    for (; m->datasets < v->count; m->datasets++) {
        const struct meta_text from = text[m->datasets];
        const char *copy = arena_text(&m->arena, from.text, from.length);
        if (!copy)
            return err_set(err, ERR_MEMORY, "no memory for %zu names of texts", v->count);
        m->dataset[m->datasets] = (struct meta_text){copy, from.length};
    }
    return true;
}

static bool read_u32(const struct meta *meta, const char *key, uint32_t *v, struct err *err)
{
    uint64_t wide = 0;
    if (meta_find(meta, key) && (!meta_get_u64(meta, key, &wide) || wide > UINT32_MAX))
        return err_set(err, ERR_FORMAT, "%s is not a count", key);
    *v = (uint32_t)wide;
    return true;
}

/* Each sum with its counts; tensors of other names are others' business. */
static bool read_pairs(struct imatrix *m, struct gguf_header *h, struct err *err)
{
    if (h->tensors > 1)
        qsort(h->tensor, h->tensors, sizeof *h->tensor, compare_tensors);
    for (size_t i = 0; i < h->tensors; i++) {
        const struct tensor *t = &h->tensor[i], *counts;
        size_t stem = stem_before(t->name, IMATRIX_COUNTS);
        if (stem > 0 && !find_partner(h, t->name, stem, IMATRIX_SUMS, err))
            return false;
        stem = stem_before(t->name, IMATRIX_SUMS);
        if (stem == 0)
            continue;
        if (!(counts = find_partner(h, t->name, stem, IMATRIX_COUNTS, err)))
            return false;
        const char *name = arena_text(&m->arena, t->name, stem);
        if (!name)
            return err_set(err, ERR_MEMORY, "no memory for %zu names", h->tensors);
        if (!read_pair(m, t, counts, name, err))
            return err_wrap(err, "entry '%s'", name);
    }
    return m->entries > 0 ||
           err_set(err, ERR_FORMAT, "not an importance matrix: no tensor NAME" IMATRIX_SUMS);
}

static bool read_gguf(struct imatrix *m, const void *data, size_t size, struct err *err)
{
    struct gguf_header h;
    if (!gguf_read_header(&h, data, size, err))
        return false;
    const char *type = meta_get_text(&h.meta, GGUF_KEY_TYPE);
    bool ok =
        !type || strcmp(type, IMATRIX_TYPE) == 0 ||
        err_set(err, ERR_FORMAT, "not an importance matrix: its " GGUF_KEY_TYPE " is '%s'", type);
    ok = ok && read_u32(&h.meta, IMATRIX_CHUNK_COUNT, &m->chunks, err) &&
         read_u32(&h.meta, IMATRIX_CHUNK_SIZE, &m->chunk_size, err) &&
         read_datasets(m, &h.meta, err) && read_pairs(m, &h, err);
    gguf_header_close(&h);
    return ok;
}

bool imatrix_read(struct imatrix *m, const void *data, size_t size, struct err *err)
{
    *m = (struct imatrix){0};
    if (!data)
        return err_set(err, ERR_FORMAT, "not an importance matrix: the file is empty");
    const bool read = gguf_probe("", data, size) ? read_gguf(m, data, size, err)
                                                 : read_dat(m, cursor_over(data, size), err);
    if (read && imatrix_sort(m, err))
        return true;
    imatrix_close(m);
    return false;
}

bool imatrix_open(struct imatrix *m, const char *path, struct err *err)
{
    *m = (struct imatrix){0};
    struct map map;
    if (!map_open(&map, path, err))
        return false;
    const bool ok = imatrix_read(m, map.data, map.size, err) || err_wrap(err, "%s", path);
    map_close(&map);
    return ok;
}

bool imatrix_check(const struct imatrix *m, const struct tensor *const *tensor, size_t tensors,
                   struct imatrix_coverage *coverage, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT];
    struct imatrix_coverage seen = {0};
    bool *used = mem_alloc(m->entries, sizeof *used);
    bool ok = true;
    if (!used)
        return err_set(err, ERR_MEMORY, "no memory for %zu marks", m->entries);
    for (size_t i = 0; ok && i < tensors; i++) {
        const struct tensor *t = tensor[i];
        const struct imatrix_entry *e = imatrix_find(m, t->name);
        if (!e) {
            if (seen.missing++ == 0)
                seen.first_missing = t->name;
            continue;
        }
        const uint64_t experts = t->dims > 2 ? tensor_rows(t) / t->shape[t->dims - 2] : 1;
        if (e->values != tensor_cols(t) * experts)
            ok = err_set(err, ERR_FORMAT,
                         "tensor '%s' of shape %s needs %" PRIu64 " values of importance, its "
                         "entry has %zu",
                         t->name, tensor_shape_text(t, text), tensor_cols(t) * experts, e->values);
        used[e - m->entry] = true;
        seen.found++;
        seen.unseen += e->unseen;
    }
    for (size_t i = 0; ok && i < m->entries; i++)
        if (!used[i] && seen.unused++ == 0)
            seen.first_unused = m->entry[i].name;
    if (ok)
        *coverage = seen;
    free(used);
    return ok;
}
