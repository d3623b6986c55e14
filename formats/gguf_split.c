#include "formats/gguf_split.h"

#include "core/mem.h"
#include "core/stop.h"
#include "formats/gguf_layout.h"
#include "formats/gguf_write.h"
#include "formats/source_guard.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* One file of the set: the tensors [first, first + tensors) of the checkpoint. */
struct part {
    char *path;
    size_t first, tensors;
    struct gguf_writer writer;
};

struct parts {
    struct arena arena; /* paths, `tensor` */
    const struct tensor **tensor;
    struct part *part;
    size_t count;
};

static void close_parts(struct parts *p)
{
    for (size_t i = 0; i < p->count; i++)
        gguf_write_close(&p->part[i].writer);
    free(p->part);
    arena_close(&p->arena);
}

static bool add_part(struct parts *p, size_t first, struct err *err)
{
    struct part *part = mem_grow(p->part, p->count, sizeof *part);
    if (!part)
        return err_set(err, ERR_MEMORY, "no memory for %zu files", p->count + 1);
    p->part = part;
    p->part[p->count++] = (struct part){.first = first};
    return true;
}

static bool list_tensors(struct parts *p, const struct checkpoint *c, struct err *err)
{
    p->tensor = arena_alloc(&p->arena, c->tensors, sizeof(const struct tensor *));
    if (!p->tensor)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", c->tensors);
    for (size_t i = 0; i < c->tensors; i++)
        p->tensor[i] = &c->tensor[i];
    return add_part(p, 0, err);
}

/* Deals the tensors out to files; 0: no such limit. */
static bool deal(struct parts *p, const struct checkpoint *c, uint64_t max_bytes,
                 size_t max_tensors, struct err *err)
{
    uint64_t bytes = 0; /* of the last file; sums of mapped sizes cannot overflow */
    for (size_t i = 0; i < c->tensors; i++) {
        struct part *last = &p->part[p->count - 1];
        uint64_t padded;
        gguf_layout_pad(c->tensor[i].bytes, GGUF_ALIGNMENT, &padded);
        const bool full = (max_tensors > 0 && last->tensors == max_tensors) ||
                          (max_bytes > 0 && bytes + padded > max_bytes);
        if (full && last->tensors > 0) {
            if (!add_part(p, i, err))
                return false;
            bytes = 0;
        }
        p->part[p->count - 1].tensors++;
        bytes += padded;
    }
    return true;
}

static bool open_part(struct parts *p, const struct checkpoint *c, size_t i, bool force,
                      struct err *err)
{
    struct part *part = &p->part[i];
    struct meta meta = {0};
    if (i == 0)
        meta_copy(&meta, &c->meta);
    if (p->count > 1) {
        meta_set_u16(&meta, GGUF_SPLIT_NO, (uint16_t)i);
        meta_set_u16(&meta, GGUF_SPLIT_COUNT, (uint16_t)p->count);
        meta_set_i32(&meta, GGUF_SPLIT_TENSORS, (int32_t)c->tensors);
    }
    const bool ok = source_guard(c, part->path, err) &&
                    gguf_write_open(&part->writer, part->path, force, &meta,
                                    p->tensor + part->first, part->tensors, err);
    meta_close(&meta);
    return ok;
}

static bool copy_tensors(const struct part *part, const struct checkpoint *c,
                         struct progress *progress, struct err *err)
{
    for (size_t i = 0; i < part->tensors; i++) {
        const struct tensor *t = &c->tensor[part->first + i];
        progress_step(progress, t->name, 0);
        if (!stop_check(err) || !gguf_write_data(&part->writer, i, 0, t->data, t->bytes, err))
            return false;
        checkpoint_release(c, t);
        progress_step(progress, t->name, t->bytes);
    }
    return true;
}

/* All or none: what was committed before a failure goes again. */
static bool commit_parts(struct parts *p, struct err *err)
{
    size_t i = 0;
    while (i < p->count && gguf_write_commit(&p->part[i].writer, err))
        i++;
    if (i == p->count)
        return true;
    while (i-- > 0)
        unlink(p->part[i].path);
    return false;
}

static bool write_parts(struct parts *p, const struct checkpoint *c, bool force,
                        struct progress *progress, struct err *err)
{
    for (size_t i = 0; i < c->tensors && progress; i++)
        progress->total += c->tensor[i].bytes;
    for (size_t i = 0; i < p->count; i++)
        if (!open_part(p, c, i, force, err))
            return false;
    for (size_t i = 0; i < p->count; i++)
        if (!copy_tensors(&p->part[i], c, progress, err))
            return false;
    return commit_parts(p, err);
}

static bool name_parts(struct parts *p, const char *prefix, struct err *err)
{
    for (size_t i = 0; i < p->count; i++) {
        p->part[i].path =
            arena_printf(&p->arena, "%s-%05zu-of-%05zu.gguf", prefix, i + 1, p->count);
        if (!p->part[i].path)
            return err_set(err, ERR_MEMORY, "%s: no memory for %zu names", prefix, p->count);
    }
    return true;
}

bool gguf_split_write(const struct checkpoint *c, const char *prefix, uint64_t max_bytes,
                      size_t max_tensors, bool force, struct progress *progress, size_t *files,
                      struct err *err)
{
    if (max_bytes == 0 && max_tensors == 0)
        return err_set(err, ERR_USAGE, "%s: a size or a number of tensors must limit the files",
                       prefix);
    if (c->tensors > INT32_MAX)
        return err_set(err, ERR_FORMAT, "%s: %zu tensors are more than a set can hold", prefix,
                       c->tensors);
    struct parts p = {0};
    bool ok = list_tensors(&p, c, err) && deal(&p, c, max_bytes, max_tensors, err);
    if (ok && p.count > UINT16_MAX)
        ok = err_set(err, ERR_FORMAT, "%s: %zu files, a set has at most %d", prefix, p.count,
                     UINT16_MAX);
    ok = ok && name_parts(&p, prefix, err) && write_parts(&p, c, force, progress, err);
    if (ok)
        *files = p.count;
    close_parts(&p);
    return ok;
}

bool gguf_merge_write(const struct checkpoint *c, const char *path, bool force,
                      struct progress *progress, struct err *err)
{
    struct parts p = {0};
    bool ok = list_tensors(&p, c, err);
    if (ok) {
        p.part[0].tensors = c->tensors;
        p.part[0].path = arena_text(&p.arena, path, strlen(path));
        ok = (p.part[0].path || err_set(err, ERR_MEMORY, "%s: no memory for its name", path)) &&
             write_parts(&p, c, force, progress, err);
    }
    close_parts(&p);
    return ok;
}
