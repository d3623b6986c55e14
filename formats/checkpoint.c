#include "formats/checkpoint.h"

#include "core/mem.h"
#include "formats/folder.h"
#include "formats/gguf_read.h"
#include "formats/safetensors_read.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

static const struct container table[] = {
    {
        .name = "safetensors",
        .suffix = ".safetensors",
        .summary = "a file, or shards with or without their index",
        .probe = safetensors_probe,
        .open = safetensors_open,
    },
    {
        .name = "GGUF",
        .suffix = ".gguf",
        .summary = "a file of version 2 or 3, or the files of a split one",
        .probe = gguf_probe,
        .open = gguf_open,
    },
};

const struct container *container_at(size_t i)
{
    return i < sizeof table / sizeof *table ? &table[i] : NULL;
}

const char *container_names(char text[CONTAINER_NAMES])
{
    int n = 0;
    for (size_t i = 0; container_at(i); i++)
        n +=
            snprintf(text + n, (size_t)(CONTAINER_NAMES - n), "%s%s", i ? ", " : "", table[i].name);
    return text;
}

static bool no_memory(const char *path, struct err *err)
{
    return err_set(err, ERR_MEMORY, "%s: no memory for its list of tensors", path);
}

struct map *checkpoint_add_map(struct checkpoint *c, const char *path, struct err *err)
{
    struct map *map = mem_grow(c->map, c->maps, sizeof *map);
    if (map)
        c->map = map;
    const char **file = mem_grow(c->file, c->maps, sizeof *file);
    if (file)
        c->file = file;
    const char *name = arena_text(&c->arena, path, strlen(path));
    if (!map || !file || !name) {
        no_memory(path, err);
        return NULL;
    }
    map += c->maps;
    if (!map_open(map, path, err))
        return NULL;
    file[c->maps++] = name;
    return map;
}

/* Counts of an empty tensor are checked too: loops over its rows must not wrap. */
static bool check_tensor(const struct tensor *t, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT];
    size_t bytes, elems = 1;
    for (int i = 0; i < t->dims; i++)
        if (!size_mul(elems, t->shape[i] ? t->shape[i] : 1, &elems))
            return err_set(err, ERR_FORMAT, "%s %s does not fit in memory",
                           tensor_shape_text(t, text), t->dtype->name);
    if (!tensor_size(t, &bytes, err))
        return false;
    return bytes == t->bytes ||
           err_set(err, ERR_FORMAT, "%s of %s takes %zu bytes, its data has %zu",
                   tensor_shape_text(t, text), t->dtype->name, bytes, t->bytes);
}

bool checkpoint_add_tensor(struct checkpoint *c, const struct tensor *t, struct err *err)
{
    if (!check_tensor(t, err))
        return err_wrap(err, "tensor '%s'", t->name);
    struct tensor *grown = mem_grow(c->tensor, c->tensors, sizeof *grown);
    const char *name = arena_text(&c->arena, t->name, strlen(t->name));
    if (grown)
        c->tensor = grown;
    if (!grown || !name)
        return err_set(err, ERR_MEMORY, "tensor '%s': no memory for its name", t->name);
    grown += c->tensors++;
    *grown = *t;
    grown->name = name;
    if (grown->bytes == 0 && c->maps) /* so that its file can be found */
        grown->data = c->map[c->maps - 1].data;
    return true;
}

/* By name, then as in the files. */
static int compare_names(const void *a, const void *b)
{
    const struct checkpoint_name *x = a, *y = b;
    const int order = strcmp(x->name, y->name);
    return order ? order : (x->tensor > y->tensor) - (x->tensor < y->tensor);
}

static int compare_name(const void *name, const void *entry)
{
    return strcmp(name, ((const struct checkpoint_name *)entry)->name);
}

static bool sort_names(struct checkpoint *c, struct err *err)
{
    struct checkpoint_name *n = c->by_name = mem_alloc(c->tensors, sizeof *n);
    if (!n)
        return no_memory(c->path, err);
    for (size_t i = 0; i < c->tensors; i++)
        n[i] = (struct checkpoint_name){c->tensor[i].name, &c->tensor[i]};
    qsort(n, c->tensors, sizeof *n, compare_names);
    for (size_t i = 1; i < c->tensors; i++)
        if (strcmp(n[i - 1].name, n[i].name) == 0)
            return err_set(err, ERR_FORMAT, "%s: tensor '%s' is also in %s",
                           checkpoint_file_of(c, n[i - 1].tensor), n[i].name,
                           checkpoint_file_of(c, n[i].tensor));
    return true;
}

static bool load_config(struct checkpoint *c, struct err *err)
{
    struct stat st;
    const char *path = arena_printf(&c->arena, "%s/config.json", c->folder);
    if (!path)
        return no_memory(c->path, err);
    if (stat(path, &st) != 0)
        return true;
    if (!(c->config = json_open(path, err)))
        return false;
    return json_is_object(c->config) || err_set(err, ERR_FORMAT, "%s: not a JSON object", path);
}

/* Who reads this file? */
static bool find_container(struct checkpoint *c, const char *path, struct err *err)
{
    struct map m;
    if (!map_open(&m, path, err))
        return false;
    const size_t size = m.size < CHECKPOINT_HEAD ? m.size : CHECKPOINT_HEAD;
    uint8_t head[CHECKPOINT_HEAD];
    if (size)
        memcpy(head, m.data, size);
    map_close(&m);
    for (size_t i = 0; container_at(i) && !c->container; i++)
        if (table[i].probe(path, head, size))
            c->container = &table[i];
    const char *suffix = strrchr(path, '.');
    for (size_t i = 0; container_at(i) && !c->container; i++)
        if (suffix && strcmp(suffix, table[i].suffix) == 0)
            c->container = &table[i];
    if (c->container)
        return true;
    char names[CONTAINER_NAMES];
    const char *kind = folder_unread_kind(path);
    container_names(names);
    if (kind)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: a %s file, which quern does not read; it reads %s", path, kind, names);
    return err_set(err, ERR_UNSUPPORTED, "%s: not a model file that quern reads (%s)", path, names);
}

/* Where the path leads: c->path and c->folder, and the file to open. */
static const char *resolve(struct checkpoint *c, const char *path, struct err *err)
{
    struct stat st;
    size_t length = strlen(path);
    if (stat(path, &st) != 0) {
        err_set(err, ERR_IO, "%s: cannot open: %s", path, strerror(errno));
        return NULL;
    }
    if (!S_ISDIR(st.st_mode) && !S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "%s: neither a file nor a folder", path);
        return NULL;
    }
    while (length > 1 && path[length - 1] == '/')
        length--;
    const char *slash = strrchr(path, '/');
    if (!(c->path = arena_text(&c->arena, path, length)) ||
        !(c->folder =
              S_ISDIR(st.st_mode) ? c->path
              : !slash            ? "."
                       : arena_text(&c->arena, path, slash > path ? (size_t)(slash - path) : 1))) {
        no_memory(path, err);
        return NULL;
    }
    return S_ISDIR(st.st_mode) ? folder_find_model(c->folder, &c->arena, err) : c->path;
}

bool checkpoint_open(struct checkpoint *c, const char *path, struct err *err)
{
    *c = (struct checkpoint){0};
    const char *file = resolve(c, path, err);
    if (file && find_container(c, file, err) && c->container->open(c, file, err) &&
        sort_names(c, err) && load_config(c, err))
        return true;
    checkpoint_close(c);
    return false;
}

void checkpoint_close(struct checkpoint *c)
{
    for (size_t i = 0; i < c->maps; i++)
        map_close(&c->map[i]);
    free(c->map);
    free(c->file);
    free(c->tensor);
    free(c->by_name);
    json_decref(c->config);
    json_decref(c->header);
    meta_close(&c->meta);
    arena_close(&c->arena);
    *c = (struct checkpoint){0};
}

const struct tensor *checkpoint_find(const struct checkpoint *c, const char *name)
{
    const struct checkpoint_name *found =
        c->tensors ? bsearch(name, c->by_name, c->tensors, sizeof *found, compare_name) : NULL;
    return found ? found->tensor : NULL;
}

static size_t map_of(const struct checkpoint *c, const struct tensor *t)
{
    size_t i = 0;
    while (i < c->maps && (uintptr_t)t->data - (uintptr_t)c->map[i].data >= c->map[i].size)
        i++;
    return i;
}

const char *checkpoint_file_of(const struct checkpoint *c, const struct tensor *t)
{
    const size_t i = map_of(c, t);
    return i < c->maps ? c->file[i] : c->path;
}

void checkpoint_release(const struct checkpoint *c, const struct tensor *t)
{
    const size_t i = map_of(c, t);
    if (i < c->maps)
        map_release(&c->map[i], t->data, t->bytes);
}
