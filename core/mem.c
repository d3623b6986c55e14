#define _DEFAULT_SOURCE /* NOLINT(bugprone-reserved-identifier) */
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { LARGE_PAGE = 2 << 20, LOOK_BYTES = 1 << 28 };

bool size_mul(uint64_t a, uint64_t b, size_t *out)
{
    if (b != 0 && a > SIZE_MAX / b)
        return false;
    *out = (size_t)(a * b);
    return true;
}

bool size_add(uint64_t a, uint64_t b, size_t *out)
{
    if (a > SIZE_MAX - b)
        return false;
    *out = (size_t)(a + b);
    return true;
}

/* The number behind `key` in a file of such lines, or the file's first; UINT64_MAX: there is none. */
static uint64_t read_number(const char *path, const char *key)
{
    uint64_t n = UINT64_MAX;
    char line[128];
    FILE *f = fopen(path, "r");
    while (f && fgets(line, sizeof line, f))
        if (strncmp(line, key, strlen(key)) == 0) {
            const char *at = line + strlen(key) + strspn(line + strlen(key), " ");
            n = *at >= '0' && *at <= '9' ? strtoull(at, NULL, 10) : n;
            break;
        }
    if (f)
        fclose(f);
    return n;
}

/* A line of the system's, in bytes. */
static uint64_t read_memory(const char *key)
{
    const uint64_t kib = read_number("/proc/meminfo", key);
    return kib > UINT64_MAX / 1024 ? UINT64_MAX : kib * 1024;
}

uint64_t mem_available(void)
{
    const uint64_t all = read_memory("MemAvailable:");
    const uint64_t group = read_number("/sys/fs/cgroup/memory.max", "");
    return group < all ? group : all;
}

/* More than there is, swap and all: the system would promise it, and end the program that uses it. */
static bool too_much(size_t bytes)
{
    const uint64_t there = bytes < LOOK_BYTES ? UINT64_MAX : mem_available();
    return bytes > there && bytes - there > read_memory("SwapFree:");
}

/* Whole pieces of `page` bytes, at least one; how much they are to *all. */
static void *alloc_pages(size_t count, size_t size, size_t page, size_t *all)
{
    size_t bytes;
    void *p = NULL;
    if (!size_mul(count, size, &bytes) || bytes > SIZE_MAX - page)
        return NULL;
    bytes = (bytes + page - 1) / page * page;
    bytes = bytes ? bytes : page;
    if (too_much(bytes) || posix_memalign(&p, page, bytes) != 0)
        return NULL;
#if defined(MADV_HUGEPAGE)
    if (page == LARGE_PAGE)
        madvise(p, bytes, MADV_HUGEPAGE); /* advice: without it all is slower, and well */
#endif
    *all = bytes;
    return p;
}

static void *alloc_zeroed(size_t count, size_t size, size_t page)
{
    size_t bytes;
    void *p = alloc_pages(count, size, page, &bytes);
    return p ? memset(p, 0, bytes) : NULL;
}

void *mem_alloc(size_t count, size_t size) { return alloc_zeroed(count, size, 64); }

void *mem_alloc_large(size_t count, size_t size) { return alloc_zeroed(count, size, LARGE_PAGE); }

void *mem_alloc_unset(size_t count, size_t size)
{
    size_t bytes;
    return alloc_pages(count, size, LARGE_PAGE, &bytes);
}

void *mem_grow(void *array, size_t used, size_t size)
{
    if ((used & (used - 1)) != 0) /* capacities are powers of two: room is left */
        return array;
    size_t bytes;
    if (!size_mul(used ? used * 2 : 1, size, &bytes))
        return NULL;
    return realloc(array, bytes);
}
