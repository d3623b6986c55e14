/* scratch.h - a folder of small files for one test, gone afterwards. */
#ifndef TESTS_FORMATS_SCRATCH_H
#define TESTS_FORMATS_SCRATCH_H

#include <assert.h>
#include <dirent.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct scratch {
    char folder[64];
    char path[400]; /* what scratch_path answered last */
};

static inline void scratch_open(struct scratch *s)
{
    strcpy(s->folder, "/tmp/quern-test-XXXXXX");
    char *made = mkdtemp(s->folder);
    assert(made);
    (void)made;
}

static inline const char *scratch_path(struct scratch *s, const char *name)
{
    snprintf(s->path, sizeof s->path, "%s/%s", s->folder, name);
    return s->path;
}

static inline void scratch_write(struct scratch *s, const char *name, const void *data, size_t size)
{
    FILE *f = fopen(scratch_path(s, name), "wb");
    assert(f);
    const size_t written = fwrite(data, 1, size, f);
    assert(written == size);
    (void)written;
    fclose(f);
}

static inline void scratch_text(struct scratch *s, const char *name, const char *text)
{
    scratch_write(s, name, text, strlen(text));
}

/* A safetensors file: the header's length, the header, `bytes` of data that count up. */
static inline void scratch_safetensors(struct scratch *s, const char *name, const char *header,
                                       size_t bytes)
{
    const size_t length = strlen(header);
    uint8_t *file = calloc(8 + length + bytes, 1);
    assert(file);
    for (int i = 0; i < 8; i++)
        file[i] = (uint8_t)((uint64_t)length >> 8 * i);
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < bytes; i++)
        file[8 + length + i] = (uint8_t)i;
    scratch_write(s, name, file, 8 + length + bytes);
    free(file);
}

static inline void scratch_close(struct scratch *s)
{
    DIR *dir = opendir(s->folder);
    assert(dir);
    for (const struct dirent *d; (d = readdir(dir));)
        if (d->d_name[0] != '.' || strlen(d->d_name) > 2)
            unlink(scratch_path(s, d->d_name));
    closedir(dir);
    rmdir(s->folder);
}

#endif
