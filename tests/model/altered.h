/* altered.h - a golden model with something changed: for tests of what a plan makes of it. */
#ifndef TESTS_MODEL_ALTERED_H
#define TESTS_MODEL_ALTERED_H

#include "tests/formats/scratch.h"

#include <jansson.h>
#include <stdbool.h>

struct altered {
    struct scratch scratch;
    char golden[128];
    json_t *config, *header; /* of config.json, of model.safetensors */
    uint8_t *data, *added;   /* tensors' bytes: offsets from `more` on are in `added` */
    size_t more, added_bytes;
};

static inline void *altered_file(const char *folder, const char *name, size_t *size)
{
    char path[256];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "rb");
    assert(f);
    *size = 0;
    fseek(f, 0, SEEK_END);
    *size = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*size);
    const size_t read = fread(data, 1, *size, f);
    assert(read == *size);
    (void)read;
    fclose(f);
    return data;
}

static inline void altered_open(struct altered *a, const char *model)
{
    size_t size;
    memset(a, 0, sizeof *a);
    snprintf(a->golden, sizeof a->golden, "tests/golden/models/%s", model);
    scratch_open(&a->scratch);
    char *config = altered_file(a->golden, "config.json", &size);
    a->config = json_loadb(config, size, 0, NULL);
    free(config);
    a->data = altered_file(a->golden, "model.safetensors", &size);
    const size_t length = (size_t)a->data[0] | (size_t)a->data[1] << 8 | (size_t)a->data[2] << 16;
    a->header = json_loadb((const char *)a->data + 8, length, 0, NULL);
    a->more = size - 8 - length;
    memmove(a->data, a->data + 8 + length, a->more);
    assert(a->config && a->header);
}

static inline void altered_drop(struct altered *a, const char *name)
{
    const int gone = json_object_del(a->header, name);
    assert(gone == 0);
    (void)gone;
}

/* A tensor of that description, "F32", "[2, 3]"; one of that name is replaced. */
static inline void altered_add(struct altered *a, const char *name, const char *dtype,
                               const char *shape, const void *data, size_t size)
{
    a->added = realloc(a->added, a->added_bytes + size);
    memcpy(a->added + a->added_bytes, data, size);
    json_t *info = json_pack(
        "{s:s, s:o, s:[I, I]}", "dtype", dtype, "shape", json_loads(shape, 0, NULL), "data_offsets",
        (json_int_t)(a->more + a->added_bytes), (json_int_t)(a->more + a->added_bytes + size));
    a->added_bytes += size;
    json_object_set_new(a->header, name, info);
}

static inline const uint8_t *altered_find(const struct altered *a, const char *name, size_t *size)
{
    json_int_t from = 0, to = 0;
    json_unpack(json_object_get(a->header, name), "{s:[I, I]}", "data_offsets", &from, &to);
    *size = (size_t)(to - from);
    return (size_t)from < a->more ? a->data + from : a->added + ((size_t)from - a->more);
}

/* The same tensor under a second name. */
static inline void altered_copy(struct altered *a, const char *name, const char *as)
{
    size_t size;
    const uint8_t *bytes = altered_find(a, name, &size);
    uint8_t *copy = malloc(size);
    memcpy(copy, bytes, size);
    json_t *info = json_object_get(a->header, name);
    char *shape = json_dumps(json_object_get(info, "shape"), 0);
    altered_add(a, as, json_string_value(json_object_get(info, "dtype")), shape, copy, size);
    free(shape);
    free(copy);
}

/* Writes the folder; returns its path. */
static inline const char *altered_save(struct altered *a)
{
    static const char *const kept[] = {"tokenizer.json", "tokenizer_config.json",
                                       "generation_config.json"};
    size_t size, end = 0;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++) {
        void *data = altered_file(a->golden, kept[i], &size);
        scratch_write(&a->scratch, kept[i], data, size);
        free(data);
    }
    char *config = json_dumps(a->config, 0);
    scratch_text(&a->scratch, "config.json", config);
    free(config);

    const char *name;
    json_t *info, *header = json_object();
    uint8_t *all = malloc(a->more + a->added_bytes);
    json_object_del(a->header, "__metadata__");
    json_object_foreach (a->header, name, info) { /* packed anew: no gaps, nothing twice */
        const uint8_t *bytes = altered_find(a, name, &size);
        memcpy(all + end, bytes, size);
        json_object_set_new(header, name,
                            json_pack("{s:O, s:O, s:[I, I]}", "dtype",
                                      json_object_get(info, "dtype"), "shape",
                                      json_object_get(info, "shape"), "data_offsets",
                                      (json_int_t)end, (json_int_t)(end + size)));
        end += size;
    }
    char *text = json_dumps(header, 0);
    const size_t length = strlen(text);
    uint8_t *file = calloc(1, 8 + length + end);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(file + 8, text, length);
    memcpy(file + 8 + length, all, end);
    scratch_write(&a->scratch, "model.safetensors", file, 8 + length + end);
    free(file);
    free(text);
    free(all);
    json_decref(header);
    return a->scratch.folder;
}

static inline void altered_close(struct altered *a)
{
    scratch_close(&a->scratch);
    json_decref(a->config);
    json_decref(a->header);
    free(a->data);
    free(a->added);
}

#endif
