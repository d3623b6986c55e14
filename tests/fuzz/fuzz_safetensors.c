/* The safetensors reader on any bytes; bytes that begin as JSON are read as an index, beside a file
 * "a" that has the tensor "a". */
#include "formats/safetensors_read.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static char folder[] = "/tmp/quern-fuzz-XXXXXX";
static const char index_name[] = "model.safetensors.index.json";

static void write_file(const char *name, const void *data, size_t size)
{
    char path[128];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(data, 1, size, f) != size || fclose(f) != 0)
        abort();
}

static void remove_folder(void)
{
    char path[128];
    snprintf(path, sizeof path, "%s/a", folder);
    unlink(path);
    snprintf(path, sizeof path, "%s/%s", folder, index_name);
    unlink(path);
    rmdir(folder);
}

static void make_folder(void)
{
    static const char header[] = "{\"a\":{\"dtype\":\"I8\",\"shape\":[1],\"data_offsets\":[0,1]}}";
    uint8_t file[8 + sizeof header] = {sizeof header - 1};
    memcpy(file + 8, header, sizeof header); /* the closing NUL is the data */
    if (!mkdtemp(folder))
        abort();
    write_file("a", file, sizeof file);
    atexit(remove_folder);
}

static unsigned sum_of(const struct tensor *t)
{
    unsigned sum = 0;
    for (size_t i = 0; i < t->bytes; i++)
        sum += t->data[i];
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static bool made;
    static volatile unsigned sink; /* keeps the reads */
    if (!made)
        make_folder();
    made = true;
    struct checkpoint c = {0};
    struct err err = {0};
    const struct map m = {.data = data, .size = size};
    bool ok;
    if (size && data[0] == '{') {
        char path[128];
        write_file(index_name, data, size);
        snprintf(path, sizeof path, "%s/%s", folder, index_name);
        ok = checkpoint_open(&c, path, &err);
    } else {
        ok = safetensors_read(&c, "file", &m, &err);
    }
    if (ok == (err.code != ERR_NONE) || (!ok && !err.text[0]))
        abort();
    for (size_t i = 0; ok && i < c.tensors; i++)
        sink = sink + sum_of(&c.tensor[i]);
    checkpoint_close(&c);
    return 0;
}
