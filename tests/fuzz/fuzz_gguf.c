/* The GGUF reader on any bytes; what it reads is written and read again, and must be the same. */
#include "core/map.h"
#include "formats/gguf_read.h"
#include "formats/gguf_write.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { LARGEST = 1 << 20 }; /* a large alignment makes large files */

static char folder[] = "/tmp/quern-fuzz-XXXXXX";

static void remove_folder(void) { rmdir(folder); }

static void expect(bool ok)
{
    if (!ok)
        abort();
}

static bool same_text(const struct meta_text *a, const struct meta_text *b)
{
    return a->length == b->length && memcmp(a->text, b->text, a->length + 1) == 0;
}

static bool same_value(const struct meta_value *a, const struct meta_value *b)
{
    if (a->type != b->type)
        return false;
    if (a->type == META_TEXT)
        return same_text(&a->as.text, &b->as.text);
    if (a->type != META_ARRAY)
        return memcmp(&a->as, &b->as, sizeof a->as.u) == 0;
    if (a->elem != b->elem || a->count != b->count)
        return false;
    if (a->elem != META_TEXT)
        return memcmp(a->as.array, b->as.array, a->count * meta_type_bytes(a->elem)) == 0;
    const struct meta_text *x = a->as.array, *y = b->as.array;
    for (size_t i = 0; i < a->count; i++)
        if (!same_text(&x[i], &y[i]))
            return false;
    return true;
}

static bool same_tensor(const struct tensor *a, const struct tensor *b)
{
    return strcmp(a->name, b->name) == 0 && a->dtype == b->dtype && a->dims == b->dims &&
           memcmp(a->shape, b->shape, sizeof a->shape) == 0 && a->bytes == b->bytes &&
           memcmp(a->data, b->data, a->bytes) == 0;
}

static void compare(const struct gguf_header *a, const struct gguf_header *b)
{
    expect(a->alignment == b->alignment && a->meta.pairs == b->meta.pairs &&
           a->tensors == b->tensors);
    for (size_t i = 0; i < a->meta.pairs; i++)
        expect(strcmp(a->meta.pair[i].key, b->meta.pair[i].key) == 0 &&
               same_value(&a->meta.pair[i].value, &b->meta.pair[i].value));
    for (size_t i = 0; i < a->tensors; i++)
        expect(same_tensor(&a->tensor[i], &b->tensor[i]));
}

/* Through the temporary file: nothing is committed, so nothing waits for the disk. */
static void write_and_read(const struct gguf_header *h, const struct tensor *const *list)
{
    static bool made;
    char path[64];
    uint64_t size;
    struct err err = {0};
    struct gguf_writer w;
    struct map map;
    struct gguf_header again;
    expect(gguf_write_size(&h->meta, list, h->tensors, &size, &err));
    if (size > LARGEST)
        return;
    if (!made) {
        expect(mkdtemp(folder) != NULL);
        atexit(remove_folder);
    }
    made = true;
    snprintf(path, sizeof path, "%s/a.gguf", folder);
    expect(gguf_write_open(&w, path, false, &h->meta, list, h->tensors, &err));
    for (size_t i = 0; i < h->tensors; i++)
        expect(gguf_write_data(&w, i, 0, list[i]->data, list[i]->bytes, &err));
    expect(map_open(&map, w.sink.temporary, &err) && map.size == size);
    expect(gguf_read_header(&again, map.data, map.size, &err));
    compare(h, &again);
    gguf_header_close(&again);
    map_close(&map);
    gguf_write_close(&w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gguf_header h;
    struct err err = {0};
    if (!gguf_read_header(&h, data, size, &err)) {
        expect(err.code != ERR_NONE && err.code != ERR_MEMORY && err.text[0]);
        return 0;
    }
    expect(err.code == ERR_NONE);
    const struct tensor **list = calloc(h.tensors + 1, sizeof *list);
    expect(list != NULL);
    for (size_t i = 0; i < h.tensors; i++)
        list[i] = &h.tensor[i];
    write_and_read(&h, list);
    free(list);
    gguf_header_close(&h);
    return 0;
}
