/* same_file.h - two files of the same bytes. */
#ifndef TESTS_FORMATS_SAME_FILE_H
#define TESTS_FORMATS_SAME_FILE_H

#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/map.h"

static inline void assert_same_file(const char *a, const char *b)
{
    struct map x = {0}, y = {0};
    struct err err = {0};
    assert_true(map_open(&x, a, &err) && map_open(&y, b, &err));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    map_close(&x);
    map_close(&y);
}

#endif
