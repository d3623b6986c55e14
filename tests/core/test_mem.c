/* mem and arena: sizes that overflow, alignment, zeroes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/arena.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static void products_and_sums_are_checked(void **state)
{
    (void)state;
    size_t n = 0;
    assert_true(size_mul(1u << 20, 1u << 20, &n));
    assert_true(n == (size_t)1 << 40);
    assert_false(size_mul(UINT64_MAX, 2, &n));
    assert_true(size_mul(UINT64_MAX, 0, &n));
    assert_int_equal(n, 0);
    assert_false(size_add(UINT64_MAX, 1, &n));
    assert_null(mem_alloc(SIZE_MAX / 2, 4));
    assert_null(mem_alloc(SIZE_MAX - 8, 1));
    assert_null(mem_alloc_large(SIZE_MAX - 8, 1));
    const uint64_t there = mem_available();
    if (there < SIZE_MAX / 64)             /* the system says */
        assert_null(mem_alloc(there, 32)); /* that much swap nobody has */
}

static void some_memory_is_left(void **state)
{
    (void)state;
    assert_true(mem_available() > 1 << 20);
}

static void check_block(unsigned char *p, size_t size, size_t alignment)
{
    assert_non_null(p);
    assert_int_equal((uintptr_t)p % alignment, 0);
    for (size_t i = 0; i < size; i++)
        assert_int_equal(p[i], 0);
    memset(p, 1, size);
    free(p);
}

static void blocks_are_aligned_and_zero(void **state)
{
    (void)state;
    for (size_t size = 0; size < 300; size += 37)
        check_block(mem_alloc(size, 1), size, 64);
    for (size_t size = 0; size < 10000; size += 3700)
        check_block(mem_alloc_large(size, 3), 3 * size, (size_t)2 << 20);
}

static void grown_arrays_keep_what_they_hold(void **state)
{
    (void)state;
    size_t *array = NULL;
    for (size_t i = 0; i < 1000; i++) {
        size_t *grown = mem_grow(array, i, sizeof *array);
        assert_non_null(grown);
        array = grown;
        array[i] = i;
    }
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(array[i], i);
    free(array);
}

static void arena_pieces_do_not_overlap(void **state)
{
    (void)state;
    struct arena a = {0};
    unsigned char *piece[500];
    for (size_t i = 0; i < 500; i++) {
        piece[i] = arena_alloc(&a, i * 7 + 1, i % 5 + 1);
        assert_non_null(piece[i]);
        assert_int_equal((uintptr_t)piece[i] % 16, 0);
        assert_int_equal(piece[i][0], 0);
        memset(piece[i], (int)(i & 0xff), (i * 7 + 1) * (i % 5 + 1));
    }
    for (size_t i = 0; i < 500; i++)
        assert_int_equal(piece[i][(i * 7 + 1) * (i % 5 + 1) - 1], i & 0xff);
    assert_string_equal(arena_text(&a, "abcdef", 3), "abc");
    assert_string_equal(arena_printf(&a, "%d-%s", 5, "x"), "5-x");
    assert_null(arena_alloc(&a, SIZE_MAX, 2));
    arena_close(&a);
    arena_close(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(products_and_sums_are_checked),
        cmocka_unit_test(some_memory_is_left),
        cmocka_unit_test(blocks_are_aligned_and_zero),
        cmocka_unit_test(grown_arrays_keep_what_they_hold),
        cmocka_unit_test(arena_pieces_do_not_overlap),
    };
    return cmocka_run_group_tests_name("mem", tests, NULL, NULL);
}
