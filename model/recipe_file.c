#include "model/recipe_file.h"

#include "core/map.h"
#include "core/mem.h"
#include "core/sink.h"
#include "model/recipe_override.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { TYPE_ROOM = 32, LINE_ROOM = 512 };

/* A file in the making of choices. */
struct reading {
    const struct plan_tensor *tensor;
    size_t count;
    struct recipe_choice *choice;
    bool *named;
};

static bool is_named(const struct tensor *t, const char *name, size_t length)
{
    return strlen(t->name) == length && memcmp(t->name, name, length) == 0;
}

static bool set_one(struct reading *r, size_t i, const struct dtype *d, struct err *err)
{
    const struct plan_tensor *t = &r->tensor[i];
    struct recipe_choice *c = &r->choice[i];
    if (r->named[i])
        return err_set(err, ERR_FORMAT, "'%s' is there twice", t->out.name);
    r->named[i] = true;
    if (t->keep && d != c->dtype)
        return err_set(err, ERR_FORMAT, "'%s' stays %s in every file", t->out.name, c->dtype->name);
    if (tensor_cols(&t->out) % d->block_elems != 0)
        return err_set(err, ERR_FORMAT,
                       "'%s' has %" PRIu64 " columns, which are not whole %s blocks of %zu",
                       t->out.name, tensor_cols(&t->out), d->name, d->block_elems);
    if (!t->keep && c->reason != RECIPE_OVERRIDE && c->reason != RECIPE_ASKED)
        *c = (struct recipe_choice){d, d, RECIPE_FILE};
    return true;
}

static bool read_line(struct reading *r, const char *line, size_t length, struct err *err)
{
    const char *equals = memchr(line, '=', length);
    char type[TYPE_ROOM] = "";
    if (length == 0 || line[0] == '#')
        return true;
    const size_t name = equals ? (size_t)(equals - line) : 0, rest = length - name;
    if (name == 0 || rest < 2 || rest > sizeof type)
        return err_set(err, ERR_FORMAT, "is not NAME=TYPE");
    memcpy(type, equals + 1, rest - 1);
    const struct dtype *d = recipe_dtype_find("the type", type, err);
    if (!d)
        return false;
    for (size_t i = 0; i < r->count; i++)
        if (is_named(&r->tensor[i].out, line, name))
            return set_one(r, i, d, err);
    return err_set(err, ERR_FORMAT, "the model has no tensor '%.*s'",
                   (int)(name < LINE_ROOM ? name : LINE_ROOM), line);
}

static bool read_lines(struct reading *r, const char *at, const char *end, struct err *err)
{
    for (size_t number = 1; at < end; number++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        size_t length = (size_t)((stop ? stop : end) - at);
        if (length > 0 && at[length - 1] == '\r')
            length--;
        if (!read_line(r, at, length, err))
            return err_wrap(err, "line %zu", number);
        at = stop ? stop + 1 : end;
    }
    return true;
}

bool recipe_file_read(const char *path, const struct plan_tensor *tensor, size_t count,
                      struct recipe_choice *choice, struct err *err)
{
    struct map m = {0};
    struct reading r = {tensor, count, choice, mem_alloc(count, sizeof(bool))};
    bool ok = r.named ? map_open(&m, path, err)
                      : err_set(err, ERR_MEMORY, "no memory for %zu tensors", count);
    if (ok)
        ok = read_lines(&r, (const char *)m.data, (const char *)m.data + m.size, err) ||
             err_wrap(err, "%s", path);
    map_close(&m);
    free(r.named);
    return ok;
}

bool recipe_file_write(const char *path, bool force, const struct plan_tensor *tensor, size_t count,
                       const struct recipe_choice *choice, struct err *err)
{
    struct sink s = {0};
    bool ok = sink_open(&s, path, force, 0, err);
    for (size_t i = 0; ok && i < count; i++) {
        const char *name = tensor[i].out.name, *type = choice[i].dtype->name;
        if (choice[i].dtype->class == DTYPE_QUANTIZED)
            ok = sink_write(&s, name, strlen(name), err) && sink_write(&s, "=", 1, err) &&
                 sink_write(&s, type, strlen(type), err) && sink_write(&s, "\n", 1, err);
    }
    ok = ok && sink_commit(&s, err);
    sink_close(&s);
    return ok;
}
