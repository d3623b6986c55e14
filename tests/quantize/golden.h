/* golden.h - tests/golden/blocks, as the tests read it: files whole, errors.json. */
#ifndef TESTS_GOLDEN_H
#define TESTS_GOLDEN_H

#include "core/dtype.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

enum { GOLDEN_ROWS = 16, GOLDEN_COLS = 1024, GOLDEN_WEIGHTS = GOLDEN_ROWS * GOLDEN_COLS };

/* The whole file on the heap (exact size), or NULL where there is none. */
static inline void *golden_read(const char *name, size_t *bytes)
{
    char path[256];
    snprintf(path, sizeof path, "tests/golden/blocks/%s", name);
    FILE *f = fopen(path, "rb");
    if (!f)
        return NULL;
    fseek(f, 0, SEEK_END);
    *bytes = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*bytes);
    if (data && fread(data, 1, *bytes, f) != *bytes) {
        free(data);
        data = NULL;
    }
    fclose(f);
    return data;
}

/* The same for one type: "q4_K" + "plain" + ".blocks". */
static inline void *golden_read_type(const char *type, const char *kind, const char *ending,
                                     size_t *bytes)
{
    char name[128];
    snprintf(name, sizeof name, "%s.%s%s", type, kind, ending);
    return golden_read(name, bytes);
}

/* errors.json's "types"; `*root` is to be released by the caller. */
static inline const json_t *golden_types(json_t **root)
{
    *root = json_load_file("tests/golden/blocks/errors.json", 0, NULL);
    return json_object_get(*root, "types");
}

/* ggml's error of a type as quern names it, or a negative number where unknown. */
static inline double golden_error(const json_t *types, const char *type, const char *kind,
                                  const char *figure)
{
    void *at = json_object_iter((json_t *)(size_t)types);
    for (; at; at = json_object_iter_next((json_t *)(size_t)types, at)) {
        if (strcasecmp(json_object_iter_key(at), type) != 0)
            continue;
        const json_t *k = json_object_get(json_object_iter_value(at), kind);
        const json_t *value = json_object_get(k, figure);
        return value ? json_real_value(value) : -1.0;
    }
    return -1.0;
}

#endif
