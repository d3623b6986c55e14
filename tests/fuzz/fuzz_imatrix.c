/* The imatrix reader on any bytes; what it reads holds its promises, and is the same after it
 * was written in either form and read again. */
#include "formats/imatrix_write.h"
#include "tests/fuzz/one_file.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_promises(const struct imatrix *m)
{
    for (size_t i = 0; i < m->entries; i++) {
        const struct imatrix_entry *e = &m->entry[i];
        expect(e->matrices > 0 && e->values % e->matrices == 0 && e->unseen <= e->matrices);
        for (size_t j = 0; j < e->values; j++)
            expect(isfinite(e->mean[j]) && e->mean[j] >= 0);
        for (size_t j = 0; j < e->matrices; j++)
            expect(isfinite(e->count[j]) && e->count[j] >= 0);
        expect(imatrix_find(m, e->name) == e);
        expect(i == 0 || strcmp(m->entry[i - 1].name, e->name) < 0);
    }
}

/* Twice rounded, where the sum is a normal float. */
static void compare_means(const struct imatrix_entry *a, const struct imatrix_entry *b,
                          float factor)
{
    for (size_t i = 0; i < a->values; i++)
        expect(!isnormal(a->mean[i] * factor) || !isnormal(a->mean[i]) ||
               fabsf(a->mean[i] - b->mean[i]) <= 4e-7f * a->mean[i]);
}

static void compare(const struct imatrix *a, const struct imatrix *b, bool counts)
{
    expect(a->entries == b->entries);
    for (size_t i = 0; i < a->entries; i++) {
        const struct imatrix_entry *x = &a->entry[i], *y = &b->entry[i];
        expect(strcmp(x->name, y->name) == 0 && x->values == y->values);
        expect(!counts || (x->matrices == y->matrices && x->unseen == y->unseen &&
                           memcmp(x->count, y->count, x->matrices * sizeof *x->count) == 0));
        if (!counts || x->matrices == 1)
            compare_means(x, y, counts ? x->count[0] : (float)(a->chunks ? a->chunks : 1));
    }
}

static void write_and_read(const struct imatrix *m, bool gguf)
{
    struct imatrix again;
    struct err err = {0};
    if (!(gguf ? imatrix_write_gguf : imatrix_write_dat)(m, path, true, &err)) {
        expect(err.code == ERR_FORMAT || err.code == ERR_NUMERIC);
        return;
    }
    expect(imatrix_open(&again, path, &err));
    check_promises(&again);
    compare(m, &again, gguf);
    imatrix_close(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct imatrix m;
    struct err err = {0};
    if (!folder[0])
        make_folder("imatrix");
    if (!imatrix_read(&m, data, size, &err)) {
        expect(err.code != ERR_NONE && err.code != ERR_MEMORY && err.text[0]);
        return 0;
    }
    expect(err.code == ERR_NONE);
    check_promises(&m);
    write_and_read(&m, false);
    write_and_read(&m, true);
    imatrix_close(&m);
    return 0;
}
