/* Stop strings over a stream cut anywhere. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/stop_text.h"

#include <string.h>

/* The text in pieces of `piece` bytes; what comes out, and whether it was stopped. */
static void check(const char *text, size_t piece, const char *const *stop, size_t stops,
                  const char *wanted, bool found)
{
    struct stop_text s = {.stop = stop, .stops = stops};
    struct token_text out = {0};
    const size_t length = strlen(text);
    for (size_t at = 0; at < length && !s.found; at += piece)
        assert_true(
            stop_text_add(&s, text + at, length - at < piece ? length - at : piece, &out, NULL));
    assert_int_equal(s.found, found);
    assert_true(stop_text_end(&s, &out, NULL));
    assert_int_equal(out.length, strlen(wanted));
    if (out.length > 0)
        assert_memory_equal(out.text, wanted, out.length);
    token_text_close(&out);
    stop_text_close(&s);
}

static void the_string_is_never_given_out(void **state)
{
    (void)state;
    static const char *const stop[] = {"###", "\nUser:", ""};
    for (size_t piece = 1; piece < 30; piece++) {
        check("an answer\nUser: more", piece, stop, 3, "an answer", true);
        check("one # two ## three ### four", piece, stop, 3, "one # two ## three ", true);
        check("ends with ##", piece, stop, 3, "ends with ##", false);
        check("\nUsers are not it\nUse", piece, stop, 3, "\nUsers are not it\nUse", false);
        check("#\nUser:", piece, stop, 3, "#", true);
        check("", piece, stop, 3, "", false);
        check("no strings at all", piece, NULL, 0, "no strings at all", false);
    }
}

static void a_whole_string_wins_over_one_begun_earlier(void **state)
{
    (void)state;
    static const char *const stop[] = {"abcdef", "c"};
    for (size_t piece = 1; piece < 8; piece++)
        check("xabcdy", piece, stop, 2, "xab", true);
}

static void what_is_certain_is_not_held_back(void **state)
{
    (void)state;
    static const char *const stop[] = {"END"};
    struct stop_text s = {.stop = stop, .stops = 1};
    struct token_text out = {0};
    assert_true(stop_text_add(&s, "text E", 6, &out, NULL));
    assert_int_equal(out.length, 5);
    assert_true(stop_text_add(&s, "N", 1, &out, NULL));
    assert_int_equal(out.length, 5);
    assert_true(stop_text_add(&s, "d", 1, &out, NULL));
    assert_int_equal(out.length, 8);
    token_text_close(&out);
    stop_text_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_string_is_never_given_out),
        cmocka_unit_test(a_whole_string_wins_over_one_begun_earlier),
        cmocka_unit_test(what_is_certain_is_not_held_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
