#include "formats/shard.h"

#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { NUMBER_DIGITS = 6 };

typedef bool read_fn(struct checkpoint *c, const char *path, struct err *err);

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* The number whose digits end before *at; *at moves to its first digit.  0: there is none. */
static uint32_t number_before(const char *begin, const char **at)
{
    uint32_t value = 0, place = 1;
    const char *p = *at;
    for (; p > begin && p[-1] >= '0' && p[-1] <= '9' && *at - p < NUMBER_DIGITS; place *= 10)
        value += (uint32_t)(*--p - '0') * place;
    *at = p;
    return value;
}

bool shard_parse(struct shard *s, const char *path)
{
    const char *base = base_name(path), *suffix = strrchr(base, '.'), *at = suffix;
    if (!suffix)
        return false;
    const uint32_t total = number_before(base, &at);
    if (total == 0 || at - base < 4 || memcmp(at - 4, "-of-", 4) != 0)
        return false;
    const char *digits_end = at -= 4;
    const uint32_t number = number_before(base, &at);
    if (at == digits_end || at - base < 2 || at[-1] != '-')
        return false;
    *s = (struct shard){path, (int)(at - 1 - path), suffix, number, total};
    return true;
}

/* The path of another shard of the set, its number padded as this one's. */
static const char *sibling(struct arena *a, const struct shard *s, uint32_t number)
{
    const char *first = s->path + s->stem + 1;
    const char *rest = strchr(first, '-');
    return arena_printf(a, "%.*s-%0*" PRIu32 "%s", s->stem, s->path, (int)(rest - first), number,
                        rest);
}

bool shard_is_index(const char *path, const char *suffix)
{
    static const char index[] = ".index.json";
    const size_t length = strlen(path), tail = strlen(suffix) + sizeof index - 1;
    return length > tail && strncmp(path + length - tail, suffix, strlen(suffix)) == 0 &&
           strcmp(path + length - (sizeof index - 1), index) == 0;
}

/* The root of an index whose weight_map holds nothing but plain file names. */
static json_t *open_index(const char *path, struct err *err)
{
    json_t *root = json_open(path, err);
    if (!root)
        return NULL;
    json_t *map = json_object_get(root, "weight_map"), *value;
    const char *tensor;
    bool ok =
        json_object_size(map) > 0 ||
        err_set(err, ERR_FORMAT, "%s: no 'weight_map' that names tensors and their files", path);
    json_object_foreach (map, tensor, value) {
        const char *file = json_string_value(value);
        if (ok && (!file || !*file || *file == '.' || strchr(file, '/') ||
                   strlen(file) != json_string_length(value)))
            ok = err_set(err, ERR_FORMAT, "%s: tensor '%s': '%s' is not a plain file name", path,
                         tensor, file ? file : "");
    }
    if (ok)
        return root;
    json_decref(root);
    return NULL;
}

bool shard_index_names(const char *index, const char *file, bool *names, struct err *err)
{
    json_t *root = open_index(index, err), *value;
    if (!root)
        return false;
    const char *tensor;
    *names = false;
    json_object_foreach (json_object_get(root, "weight_map"), tensor, value)
        *names = *names || strcmp(json_string_value(value), file) == 0;
    json_decref(root);
    return true;
}

/* Reads these files one by one, once all are known to be there. */
static bool read_files(struct checkpoint *c, const char *asked, const char *const *path,
                       size_t paths, read_fn *read, struct err *err)
{
    size_t missing = 0;
    const char *first = NULL;
    for (size_t i = paths; i-- > 0;) {
        if (access(path[i], F_OK) != 0) {
            missing++;
            first = base_name(path[i]);
        }
    }
    if (missing == 1)
        return err_set(err, ERR_IO, "%s: %s is missing, one of the %zu files of this model", asked,
                       first, paths);
    if (missing)
        return err_set(err, ERR_IO,
                       "%s: %s and %zu more of the %zu files of this model are missing", asked,
                       first, missing - 1, paths);
    for (size_t i = 0; i < paths; i++)
        if (!read(c, path[i], err))
            return false;
    return true;
}

static int compare_texts(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The paths of the files that weight_map names, each once, in order; NULL without memory. */
static const char **files_of(struct arena *a, const char *index, json_t *map, size_t *count)
{
    const char **path = arena_alloc(a, json_object_size(map), sizeof *path), *tensor;
    json_t *value;
    size_t n = 0, kept = 0;
    if (!path)
        return NULL;
    json_object_foreach (map, tensor, value)
        path[n++] = json_string_value(value);
    qsort(path, n, sizeof *path, compare_texts);
    for (size_t i = 0; i < n; i++)
        if (i == 0 || strcmp(path[i], path[kept - 1]) != 0)
            path[kept++] = path[i];
    for (size_t i = 0; i < kept; i++)
        if (!(path[i] = arena_printf(a, "%.*s%s", (int)(base_name(index) - index), index, path[i])))
            return NULL;
    *count = kept;
    return path;
}

/* Do the index and the files tell of the same tensors?  Empties the map. */
static bool check_index(const struct checkpoint *c, const char *index, json_t *map, struct err *err)
{
    const size_t named = json_object_size(map);
    for (size_t i = 0; i < c->tensors; i++) {
        const char *name = c->tensor[i].name;
        const char *file = base_name(checkpoint_file_of(c, &c->tensor[i]));
        const char *said = json_string_value(json_object_get(map, name));
        if (!said)
            return err_set(err, ERR_FORMAT,
                           "%s: does not name tensor '%s' of %s (the index names "
                           "%zu tensors, the files hold %zu)",
                           index, name, file, named, c->tensors);
        if (strcmp(said, file) != 0)
            return err_set(err, ERR_FORMAT, "%s: says that tensor '%s' is in %s, but it is in %s",
                           index, name, said, file);
    }
    for (size_t i = 0; i < c->tensors; i++)
        json_object_del(map, c->tensor[i].name);
    const char *name;
    json_t *value;
    json_object_foreach (map, name, value)
        return err_set(err, ERR_FORMAT,
                       "%s: says that tensor '%s' is in %s, which does not have "
                       "it (the index names %zu tensors, the files hold %zu)",
                       index, name, json_string_value(value), named, c->tensors);
    return true;
}

static bool read_index(struct checkpoint *c, const char *path, read_fn *read, struct err *err)
{
    json_t *root = open_index(path, err);
    if (!root)
        return false;
    json_t *map = json_object_get(root, "weight_map");
    size_t count = 0;
    const char **file = files_of(&c->arena, path, map, &count);
    const bool ok =
        file ? read_files(c, path, file, count, read, err) && check_index(c, path, map, err)
             : err_set(err, ERR_MEMORY, "%s: no memory for its file names", path);
    json_decref(root);
    return ok;
}

static bool read_set(struct checkpoint *c, const struct shard *s, read_fn *read, struct err *err)
{
    if (s->number < 1 || s->number > s->total)
        return err_set(err, ERR_FORMAT, "%s: there is no shard %" PRIu32 " of %" PRIu32, s->path,
                       s->number, s->total);
    const char **path = arena_alloc(&c->arena, s->total, sizeof *path);
    for (uint32_t i = 0; path && i < s->total; i++)
        if (!(path[i] = sibling(&c->arena, s, i + 1)))
            path = NULL;
    if (!path)
        return err_set(err, ERR_MEMORY, "%s: no memory for %" PRIu32 " file names", s->path,
                       s->total);
    return read_files(c, s->path, path, s->total, read, err);
}

bool shard_open(struct checkpoint *c, const char *path, read_fn *read, struct err *err)
{
    struct shard s;
    const char *suffix = c->container->suffix;
    if (shard_is_index(path, suffix))
        return read_index(c, path, read, err);
    if (!shard_parse(&s, path))
        return read(c, path, err);
    const char *index = arena_printf(&c->arena, "%.*s%s.index.json", s.stem, path, s.suffix);
    if (!index)
        return err_set(err, ERR_MEMORY, "%s: no memory for a path", path);
    if (access(index, F_OK) != 0)
        return read_set(c, &s, read, err);
    bool names;
    if (!shard_index_names(index, base_name(path), &names, err))
        return false;
    if (!names)
        return err_set(err, ERR_FORMAT, "%s: the index beside it, %s, does not name it", path,
                       base_name(index));
    return read_index(c, index, read, err);
}
