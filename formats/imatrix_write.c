#include "formats/imatrix_write.h"

#include "core/mem.h"
#include "core/sink.h"
#include "formats/gguf_layout.h"
#include "formats/gguf_write.h"
#include "formats/imatrix_layout.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* `values` means, each times its matrix's factor; the caller frees them.  NULL where one is not
 * finite or there is no memory. */
static float *sums_of(const struct imatrix_entry *e, const float *factor, size_t factors,
                      struct err *err)
{
    float *sum = mem_alloc(e->values, sizeof *sum);
    if (!sum) {
        err_set(err, ERR_MEMORY, "entry '%s': no memory for %zu values", e->name, e->values);
        return NULL;
    }
    for (size_t i = 0; i < e->values; i++) {
        sum[i] = e->mean[i] * factor[i / (e->values / factors)];
        if (!isfinite(sum[i])) {
            err_set(err, ERR_NUMERIC, "entry '%s': the sum of value %zu, %g, is not finite",
                    e->name, i, (double)e->mean[i]);
            free(sum);
            return NULL;
        }
    }
    return sum;
}

static bool write_i32(struct sink *s, uint64_t v, struct err *err)
{
    if (v > INT32_MAX)
        return err_set(err, ERR_FORMAT, "%s: %" PRIu64 " does not fit in a .dat", s->path, v);
    const uint8_t byte[4] = {(uint8_t)v, (uint8_t)(v >> 8), (uint8_t)(v >> 16), (uint8_t)(v >> 24)};
    return sink_write(s, byte, sizeof byte, err);
}

static bool write_text(struct sink *s, const char *text, size_t length, struct err *err)
{
    return write_i32(s, length, err) && sink_write(s, text, length, err);
}

static bool write_entry(struct sink *s, const struct imatrix_entry *e, uint32_t calls,
                        struct err *err)
{
    float *sum = sums_of(e, &(float){(float)calls}, 1, err);
    if (!sum)
        return err_wrap(err, "%s", s->path);
    const bool ok = write_text(s, e->name, strlen(e->name), err) && write_i32(s, calls, err) &&
                    write_i32(s, e->values, err) &&
                    sink_write(s, sum, e->values * sizeof *sum, err);
    free(sum);
    return ok;
}

bool imatrix_write_dat(const struct imatrix *m, const char *path, bool force, struct err *err)
{
    struct sink s;
    const uint32_t calls = m->chunks > 0 ? m->chunks : 1;
    bool ok = sink_open(&s, path, force, 0, err) && write_i32(&s, m->entries, err);
    for (size_t i = 0; ok && i < m->entries; i++)
        ok = write_entry(&s, &m->entry[i], calls, err);
    const struct meta_text text = m->datasets ? m->dataset[0] : (struct meta_text){"", 0};
    ok = ok && write_i32(&s, calls, err) && write_text(&s, text.text, text.length, err) &&
         sink_commit(&s, err);
    sink_close(&s);
    return ok;
}

/* Two tensors an entry: its sums and its counts. */
struct pairs {
    struct arena arena;
    struct tensor *tensor;
    const struct tensor **list;
};

static bool describe_tensor(struct pairs *p, size_t i, const struct imatrix_entry *e,
                            const char *suffix, size_t cols)
{
    struct tensor *t = &p->tensor[i];
    *t = (struct tensor){.name = arena_printf(&p->arena, "%s%s", e->name, suffix),
                         .dtype = dtype_get(DTYPE_F32),
                         .dims = 2,
                         .shape = {e->matrices, cols}};
    p->list[i] = t;
    return t->name != NULL;
}

static bool describe(struct pairs *p, const struct imatrix *m)
{
    p->tensor = arena_alloc(&p->arena, 2 * m->entries, sizeof *p->tensor);
    p->list = arena_alloc(&p->arena, 2 * m->entries, sizeof(const struct tensor *));
    if (!p->tensor || !p->list)
        return false;
    for (size_t i = 0; i < m->entries; i++) {
        const struct imatrix_entry *e = &m->entry[i];
        if (!describe_tensor(p, 2 * i, e, IMATRIX_SUMS, e->values / e->matrices) ||
            !describe_tensor(p, 2 * i + 1, e, IMATRIX_COUNTS, 1))
            return false;
    }
    return true;
}

static void set_meta(struct meta *meta, const struct imatrix *m)
{
    static const struct meta_text unnamed = {"", 0}; /* stock's reader wants at least one */
    meta_set_text(meta, GGUF_KEY_TYPE, IMATRIX_TYPE);
    meta_set_texts(meta, IMATRIX_DATASETS, m->datasets ? m->dataset : &unnamed,
                   m->datasets ? m->datasets : 1);
    meta_set_u32(meta, IMATRIX_CHUNK_COUNT, m->chunks);
    meta_set_u32(meta, IMATRIX_CHUNK_SIZE, m->chunk_size);
}

static bool write_pair(const struct gguf_writer *w, size_t i, const struct imatrix_entry *e,
                       struct err *err)
{
    float *sum = sums_of(e, e->count, e->matrices, err);
    if (!sum)
        return err_wrap(err, "%s", w->sink.path);
    const bool ok = gguf_write_data(w, i, 0, sum, e->values * sizeof *sum, err) &&
                    gguf_write_data(w, i + 1, 0, e->count, e->matrices * sizeof *e->count, err);
    free(sum);
    return ok;
}

bool imatrix_write_gguf(const struct imatrix *m, const char *path, bool force, struct err *err)
{
    struct pairs p = {0};
    struct meta meta = {0};
    struct gguf_writer w = {0};
    bool ok = describe(&p, m) ||
              err_set(err, ERR_MEMORY, "%s: no memory for %zu entries", path, m->entries);
    set_meta(&meta, m);
    ok = ok && gguf_write_open(&w, path, force, &meta, p.list, 2 * m->entries, err);
    for (size_t i = 0; ok && i < m->entries; i++)
        ok = write_pair(&w, 2 * i, &m->entry[i], err);
    ok = ok && gguf_write_commit(&w, err);
    gguf_write_close(&w);
    meta_close(&meta);
    arena_close(&p.arena);
    return ok;
}
