#include "core/json.h"

#include "core/map.h"
#include "core/sink.h"

#include <stdlib.h>
#include <string.h>

static json_t *parse(const char *name, const void *data, size_t size, size_t flags, struct err *err)
{
    json_error_t e;
    json_t *root = json_loadb(data ? data : "", size, JSON_ALLOW_NUL | flags, &e);
    if (!root)
        err_set(err, ERR_FORMAT, "%s: line %d, column %d: %s", name, e.line, e.column, e.text);
    return root;
}

json_t *json_parse(const char *name, const void *data, size_t size, struct err *err)
{
    return parse(name, data, size, 0, err);
}

json_t *json_parse_unique(const char *name, const void *data, size_t size, struct err *err)
{
    return parse(name, data, size, JSON_REJECT_DUPLICATES, err);
}

static json_t *load(const char *path, size_t flags, struct err *err)
{
    struct map m;
    if (!map_open(&m, path, err))
        return NULL;
    json_t *root = parse(path, m.data, m.size, flags, err);
    map_close(&m);
    return root;
}

json_t *json_open(const char *path, struct err *err) { return load(path, 0, err); }

json_t *json_open_reals(const char *path, struct err *err)
{
    return load(path, JSON_DECODE_INT_AS_REAL, err);
}

bool json_save(const json_t *root, const char *path, bool force, struct err *err)
{
    struct sink s = {0};
    char *text = json_dumps(root, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
    if (!text)
        return err_set(err, ERR_MEMORY, "%s: no memory for the text", path);
    const bool ok = sink_open(&s, path, force, 0, err) && sink_write(&s, text, strlen(text), err) &&
                    sink_write(&s, "\n", 1, err) && sink_commit(&s, err);
    sink_close(&s);
    free(text);
    return ok;
}
