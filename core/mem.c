#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

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

void *mem_alloc(size_t count, size_t size)
{
    size_t bytes;
    void *p = NULL;
    if (!size_mul(count, size, &bytes) || bytes > SIZE_MAX - 64)
        return NULL;
    bytes = (bytes + 63) / 64 * 64;
    if (posix_memalign(&p, 64, bytes ? bytes : 64) != 0)
        return NULL;
    return memset(p, 0, bytes);
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
