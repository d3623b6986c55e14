/* Places in a packed triangle count up, row by row, and do not overflow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/triangle.h"

static void places_count_up(void **state)
{
    (void)state;
    for (size_t n = 1; n < 9; n++) {
        size_t at = 0;
        for (size_t i = 0; i < n; i++) {
            assert_int_equal(triangle_row(n, i), at);
            for (size_t j = i; j < n; j++, at++) {
                assert_int_equal(triangle_at(n, i, j), at);
                assert_int_equal(triangle_at(n, j, i), at);
            }
        }
        assert_int_equal(triangle_row(n, n), at);
    }
}

static void wide_ones_fit(void **state)
{
    (void)state;
    const uint64_t n = 1 << 20;
    assert_true(triangle_row(n, n) == n * (n + 1) / 2);
    assert_true(triangle_at(n, n - 1, n - 1) == n * (n + 1) / 2 - 1);
    assert_true(triangle_at(n, n - 1, n - 2) == n * (n + 1) / 2 - 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(places_count_up),
        cmocka_unit_test(wide_ones_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
