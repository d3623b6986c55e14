/* UTF-8: the same characters that utf8proc finds, wherever they are cut. */
#include "core/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#include <cmocka.h>

static size_t oracle(const char *text, size_t size)
{
    utf8proc_int32_t c;
    const utf8proc_ssize_t n =
        utf8proc_iterate((const utf8proc_uint8_t *)text, (utf8proc_ssize_t)size, &c);
    return n > 0 ? (size_t)n : 0;
}

/* All of three bytes, and four at the edges of each range. */
static void the_same_characters_are_well_formed(void **state)
{
    static const uint8_t edge[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    (void)state;
    for (uint32_t i = 0; i < 1 << 24; i++) {
        const char text[4] = {(char)(i >> 16), (char)(i >> 8), (char)i,
                              (char)edge[i % sizeof edge]};
        const size_t size = 1 + i % 4;
        if (utf8_length(text, size) != oracle(text, size))
            fail_msg("%06x, %zu bytes", (unsigned)i, size);
    }
    assert_int_equal(utf8_length("", 0), 0);
}

static void every_code_point_is_whole_or_unfinished(void **state)
{
    (void)state;
    for (utf8proc_int32_t c = 0; c <= 0x10ffff; c++) {
        char text[5] = "x";
        if (c >= 0xd800 && c < 0xe000)
            continue;
        const size_t n = (size_t)utf8proc_encode_char(c, (utf8proc_uint8_t *)text + 1);
        assert_int_equal(utf8_valid(text, 1 + n), 1 + n);
        assert_int_equal(utf8_unfinished(text, 1 + n), 0);
        for (size_t cut = 1; cut < n; cut++) {
            assert_int_equal(utf8_valid(text, 1 + cut), 1);
            assert_int_equal(utf8_unfinished(text, 1 + cut), cut);
        }
    }
}

static void what_cannot_become_a_character_is_not_unfinished(void **state)
{
    (void)state;
    assert_int_equal(utf8_unfinished("", 0), 0);
    assert_int_equal(utf8_unfinished("\x80", 1), 0);
    assert_int_equal(utf8_unfinished("a\xff", 2), 0);
    assert_int_equal(utf8_unfinished("\xed\xa0", 2), 0); /* would be a surrogate */
    assert_int_equal(utf8_unfinished("\xc3\xa9\x80", 3), 0);
    assert_int_equal(utf8_valid("ab\xc3(", 4), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_characters_are_well_formed),
        cmocka_unit_test(every_code_point_is_whole_or_unfinished),
        cmocka_unit_test(what_cannot_become_a_character_is_not_unfinished),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
