/* mem.h - memory whose sizes come from files: every product is checked. */
#ifndef CORE_MEM_H
#define CORE_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* *out = a * b, or a + b; false where it does not fit. */
bool size_mul(uint64_t a, uint64_t b, size_t *out);
bool size_add(uint64_t a, uint64_t b, size_t *out);

/* count * size bytes, zeroed, aligned to 64; NULL where they are not to be had, or are more than
 * mem_available() and the system's swap.
 * Freed with free(). */
void *mem_alloc(size_t count, size_t size);

/* The same in whole pages of 2 MiB, where the system has some to give: for what kernels walk through
 * again and again, and would lose time looking up page by page. */
void *mem_alloc_large(size_t count, size_t size);

/* The same with anything in it: for threads that fill it together, and so get its pages together. */
void *mem_alloc_unset(size_t count, size_t size);

/* Bytes that this process may still take without the system beginning to swap, as far as the system
 * says so. */
uint64_t mem_available(void);

/* Makes room for one more element in an array of `used` elements that was grown by
 * this function alone (capacities double).  Returns the array, perhaps moved, or
 * NULL: the old one then stays valid.  Freed with free(). */
void *mem_grow(void *array, size_t used, size_t size);

#endif
