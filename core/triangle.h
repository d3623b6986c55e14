/* triangle.h - where numbers of a symmetric n x n matrix are that is kept as its upper triangle, row by
 * row: (0,0) (0,1) ... (0,n-1) (1,1) ... */
#ifndef CORE_TRIANGLE_H
#define CORE_TRIANGLE_H

#include <stddef.h>

/* Row i, which begins with its diagonal. */
static inline size_t triangle_row(size_t n, size_t i) { return i * (2 * n - i + 1) / 2; }

/* (i, j), which is (j, i). */
static inline size_t triangle_at(size_t n, size_t i, size_t j)
{
    return i <= j ? triangle_row(n, i) + (j - i) : triangle_row(n, j) + (i - j);
}

#endif
