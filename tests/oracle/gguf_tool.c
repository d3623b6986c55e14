/* What the GGUF and imatrix readers and writers do, for comparison with those of others
 * (test_gguf_package.py).  Prints one line a thing, its fields between tabs, texts in
 * hexadecimal; exit 1 and a sentence where a file is refused. */
#include "formats/checkpoint.h"
#include "formats/gguf_read.h"
#include "formats/gguf_split.h"
#include "formats/gguf_write.h"
#include "formats/imatrix_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void print_hex(const void *data, size_t size)
{
    const uint8_t *byte = data;
    for (size_t i = 0; i < size; i++)
        printf("%02x", byte[i]);
}

static void print_texts(const struct meta_text *text, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        fputs(i ? " " : "", stdout);
        print_hex(text[i].text, text[i].length);
    }
}

/* The elements of an array of numbers as the file holds them. */
static void print_value(const struct meta_value *v)
{
    if (v->type == META_TEXT)
        print_texts(&v->as.text, 1);
    else if (v->type == META_ARRAY && v->elem == META_TEXT)
        print_texts(v->as.array, v->count);
    else if (v->type == META_ARRAY)
        print_hex(v->as.array, v->count * meta_type_bytes(v->elem));
    else if (v->type == META_F32 || v->type == META_F64)
        printf("%a", v->as.f);
    else if (v->type == META_I8 || v->type == META_I16 || v->type == META_I32 ||
             v->type == META_I64)
        printf("%" PRId64, v->as.i);
    else
        printf("%" PRIu64, v->as.u);
}

static void print_meta(const struct meta *m)
{
    for (size_t i = 0; i < m->pairs; i++) {
        const struct meta_value *v = &m->pair[i].value;
        printf("pair\t%s\t%d\t%d\t", m->pair[i].key, (int)v->type,
               v->type == META_ARRAY ? (int)v->elem : -1);
        print_value(v);
        putchar('\n');
    }
}

static void print_tensors(const struct tensor *t, size_t tensors)
{
    for (size_t i = 0; i < tensors; i++) {
        printf("tensor\t%s\t%s\t", t[i].name, t[i].dtype->name);
        for (int d = 0; d < t[i].dims; d++)
            printf("%s%" PRIu64, d ? " " : "", t[i].shape[d]);
        putchar('\t');
        print_hex(t[i].data, t[i].bytes);
        putchar('\n');
    }
}

static bool dump(char **arg, struct err *err)
{
    struct checkpoint c;
    if (!checkpoint_open(&c, arg[0], err))
        return false;
    print_meta(&c.meta);
    print_tensors(c.tensor, c.tensors);
    checkpoint_close(&c);
    return true;
}

/* One verdict a file. */
static bool check(char **arg, struct err *err)
{
    for (; *arg; arg++) {
        struct map map;
        struct gguf_header h = {0};
        if (!map_open(&map, *arg, err))
            return false;
        puts(gguf_read_header(&h, map.data, map.size, err) ? "read" : err->text);
        gguf_header_close(&h);
        map_close(&map);
    }
    return true;
}

static bool split(char **arg, struct err *err)
{
    struct checkpoint c;
    size_t files;
    if (!checkpoint_open(&c, arg[0], err))
        return false;
    const bool ok = gguf_split_write(&c, arg[1], strtoull(arg[2], NULL, 10),
                                     strtoull(arg[3], NULL, 10), false, NULL, &files, err);
    checkpoint_close(&c);
    return ok;
}

static bool merge(char **arg, struct err *err)
{
    struct checkpoint c;
    if (!checkpoint_open(&c, arg[0], err))
        return false;
    const bool ok = gguf_merge_write(&c, arg[1], false, NULL, err);
    checkpoint_close(&c);
    return ok;
}

static bool imatrix(char **arg, struct err *err)
{
    struct imatrix m;
    if (!imatrix_open(&m, arg[0], err))
        return false;
    printf("chunks\t%" PRIu32 "\t%" PRIu32 "\t", m.chunks, m.chunk_size);
    print_texts(m.dataset, m.datasets);
    putchar('\n');
    for (size_t i = 0; i < m.entries; i++) {
        const struct imatrix_entry *e = &m.entry[i];
        printf("entry\t%s\t%zu\t", e->name, e->unseen);
        print_hex(e->mean, e->values * sizeof *e->mean);
        putchar('\t');
        print_hex(e->count, e->matrices * sizeof *e->count);
        putchar('\n');
    }
    imatrix_close(&m);
    return true;
}

static bool imatrix_to(char **arg, struct err *err,
                       bool (*write)(const struct imatrix *, const char *, bool, struct err *))
{
    struct imatrix m;
    if (!imatrix_open(&m, arg[0], err))
        return false;
    const bool ok = write(&m, arg[1], false, err);
    imatrix_close(&m);
    return ok;
}

static bool imatrix_dat(char **arg, struct err *err)
{
    return imatrix_to(arg, err, imatrix_write_dat);
}

static bool imatrix_gguf(char **arg, struct err *err)
{
    return imatrix_to(arg, err, imatrix_write_gguf);
}

int main(int argc, char **argv)
{
    static const struct {
        const char *name, *usage;
        int args; /* at least */
        bool (*run)(char **arg, struct err *err);
    } commands[] = {
        {"dump", "FILE", 1, dump},
        {"check", "FILE...", 1, check},
        {"split", "FILE PREFIX BYTES TENSORS", 4, split},
        {"merge", "FILE OUT", 2, merge},
        {"imatrix", "FILE", 1, imatrix},
        {"imatrix-dat", "FILE OUT", 2, imatrix_dat},
        {"imatrix-gguf", "FILE OUT", 2, imatrix_gguf},
    };
    struct err err = {0};
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        if (argc < 2 || strcmp(argv[1], commands[i].name) != 0 || argc - 2 < commands[i].args)
            continue;
        if (commands[i].run(argv + 2, &err))
            return 0;
        fprintf(stderr, "%s\n", err.text);
        return 1;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(stderr, "usage: gguf_tool %s %s\n", commands[i].name, commands[i].usage);
    return 2;
}
