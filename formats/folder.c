#include "formats/folder.h"

#include "core/mem.h"
#include "formats/shard.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Weights that other tools write; a container that quern comes to read leaves this list. */
static const struct {
    const char *suffix, *kind;
} unread[] = {
    {".bin", "PyTorch"}, {".pt", "PyTorch"}, {".pth", "PyTorch"},  {".ckpt", "PyTorch"},
    {".h5", "HDF5"},     {".npz", "NumPy"},  {".msgpack", "Flax"}, {".onnx", "ONNX"},
};

enum role { INDEX, WHOLE, SHARD, UNREAD }; /* who speaks for its model first */

struct candidate {
    const char *name;
    const char *model; /* the name as one file */
    size_t container;  /* of a readable one: its place in the table */
    enum role role;
    struct shard shard;
};

struct list {
    struct candidate *at;
    size_t count;
};

static bool ends_with(const char *text, const char *tail)
{
    const size_t length = strlen(text), want = strlen(tail);
    return length > want && strcmp(text + length - want, tail) == 0;
}

const char *folder_unread_kind(const char *path)
{
    for (size_t i = 0; i < sizeof unread / sizeof *unread; i++)
        if (ends_with(path, unread[i].suffix))
            return unread[i].kind;
    return NULL;
}

/* Is the file with that name of interest?  Fills in all but what needs memory. */
static bool classify(struct candidate *f, const char *name)
{
    const struct container *container;
    for (size_t i = 0; (container = container_at(i)); i++) {
        f->container = i;
        f->role = INDEX;
        if (shard_is_index(name, container->suffix))
            return true;
        f->role = WHOLE;
        if (ends_with(name, container->suffix))
            return true;
    }
    f->role = UNREAD;
    return folder_unread_kind(name);
}

/* Adds a copy of the file if it is of interest; false without memory. */
static bool add_candidate(struct list *l, const char *name, struct arena *a)
{
    struct candidate f = {0};
    if (name[0] == '.' || !classify(&f, name))
        return true;
    struct candidate *grown = mem_grow(l->at, l->count, sizeof *grown);
    if (grown)
        l->at = grown;
    if (!grown || !(f.name = arena_text(a, name, strlen(name))))
        return false;
    if (f.role == WHOLE && shard_parse(&f.shard, f.name))
        f.role = SHARD;
    if (f.role == INDEX)
        f.model = arena_text(a, name, strlen(name) - strlen(".index.json"));
    else if (f.role == SHARD)
        f.model = arena_printf(a, "%.*s%s", f.shard.stem, name, f.shard.suffix);
    else
        f.model = f.name;
    l->at[l->count++] = f;
    return f.model;
}

/* What can be read first, models together, who speaks for each first. */
static int compare_candidates(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    if ((x->role == UNREAD) != (y->role == UNREAD))
        return x->role == UNREAD ? 1 : -1;
    if (x->container != y->container)
        return x->container < y->container ? -1 : 1;
    const int order = strcmp(x->model, y->model);
    if (order)
        return order;
    return x->role != y->role ? (int)x->role - (int)y->role : strcmp(x->name, y->name);
}

static bool list_folder(struct list *l, const char *folder, struct arena *a, struct err *err)
{
    DIR *dir = opendir(folder);
    if (!dir)
        return err_set(err, ERR_IO, "%s: cannot list: %s", folder, strerror(errno));
    bool ok = true;
    for (const struct dirent *d; ok && (d = readdir(dir));)
        ok = add_candidate(l, d->d_name, a);
    closedir(dir);
    if (l->count)
        qsort(l->at, l->count, sizeof *l->at, compare_candidates);
    return ok || err_set(err, ERR_MEMORY, "%s: no memory for its file names", folder);
}

/* "a, b (PyTorch) and 4 more" */
static const char *names_text(const struct candidate *f, size_t count, char text[], size_t size)
{
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        const char *gap = i == 0 ? "" : i + 1 == count ? " and " : ", ";
        const char *kind = f[i].role == UNREAD ? folder_unread_kind(f[i].name) : NULL;
        if (at + strlen(f[i].name) + 48 > size) {
            snprintf(text + at, size - at, "%s%zu %s", i ? " and " : "", count - i,
                     i ? "more" : "files");
            break;
        }
        at += (size_t)snprintf(text + at, size - at, "%s%s%s%s%s", gap, f[i].name, kind ? " (" : "",
                               kind ? kind : "", kind ? ")" : "");
    }
    return text;
}

/* Nothing to read: what is there, and what would be. */
static bool refuse(const char *folder, const struct candidate *f, size_t count, struct err *err)
{
    char there[200], read[CONTAINER_NAMES];
    if (count == 0)
        return err_set(err, ERR_UNSUPPORTED, "%s: no model file in this folder; quern reads %s",
                       folder, container_names(read));
    return err_set(err, ERR_UNSUPPORTED, "%s: has %s, which quern does not read; it reads %s",
                   folder, names_text(f, count, there, sizeof there), container_names(read));
}

static bool clash(const char *folder, const struct candidate *f, size_t count, struct err *err)
{
    char there[300];
    return err_set(err, ERR_USAGE, "%s: several models in this folder: %s; name the file to open",
                   folder, names_text(f, count, there, sizeof there));
}

/* The files of one model, the speaker first: do they agree that they are one? */
static bool check_group(const char *folder, const struct candidate *f, size_t count,
                        struct arena *a, struct err *err)
{
    if (count == 1 || (f->role == INDEX && f[1].role == SHARD))
        return true;
    if (f->role == INDEX) {
        bool names = false;
        const char *path = arena_printf(a, "%s/%s", folder, f->name);
        if (!path)
            return err_set(err, ERR_MEMORY, "%s: no memory for a path", folder);
        if (!shard_index_names(path, f[1].name, &names, err))
            return false;
        return names || clash(folder, f, 2, err);
    }
    for (size_t i = 1; i < count; i++)
        if (f->role != SHARD || f[i].shard.total != f->shard.total)
            return clash(folder, f, count, err);
    return true;
}

/* The first of the *count files of the model to open, or NULL. */
static const struct candidate *choose(const char *folder, const struct list *l, size_t *count,
                                      struct err *err)
{
    if (l->count == 0 || l->at[0].role == UNREAD) {
        refuse(folder, l->at, l->count, err);
        return NULL;
    }
    const struct candidate *first = NULL, *end = l->at + l->count;
    size_t groups = 0;
    while (end[-1].role == UNREAD)
        end--;
    for (const struct candidate *at = l->at, *next; at < end; at = next) {
        for (next = at + 1; next < end && strcmp(next->model, at->model) == 0;)
            next++;
        groups++;
        first = at;
        *count = (size_t)(next - at);
        if (strncmp(at->model, "model.", 6) == 0 &&
            strcmp(at->model + 5, container_at(at->container)->suffix) == 0)
            return at;
    }
    if (groups == 1)
        return first;
    clash(folder, l->at, (size_t)(end - l->at), err);
    return NULL;
}

const char *folder_find_model(const char *folder, struct arena *a, struct err *err)
{
    struct list l = {0};
    size_t count = 0;
    const char *path = NULL;
    if (list_folder(&l, folder, a, err)) {
        const struct candidate *first = choose(folder, &l, &count, err);
        if (first && check_group(folder, first, count, a, err) &&
            !(path = arena_printf(a, "%s/%s", folder, first->name)))
            err_set(err, ERR_MEMORY, "%s: no memory for a path", folder);
    }
    free(l.at);
    return path;
}
