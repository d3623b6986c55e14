/* How texts are cut into windows: llama-perplexity's arithmetic. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "eval/windows.h"

#include <string.h>

enum { TOKENS = 1000 };

static uint32_t token[TOKENS];

static struct windows cut(size_t context, size_t stride, size_t most, int64_t bos, size_t tokens)
{
    struct windows w;
    struct err err = {0};
    const struct windows_options o = {context, stride, most, bos};
    for (size_t i = 0; i < TOKENS; i++)
        token[i] = (uint32_t)i;
    if (!windows_init(&w, &o, token, tokens, &err))
        fail_msg("%s", err.text);
    return w;
}

static void windows_lie_side_by_side(void **state)
{
    (void)state;
    uint32_t input[512];
    const struct windows w = cut(0, 0, 0, -1, TOKENS);
    assert_int_equal(w.size, 512);
    assert_int_equal(w.count, 1);
    assert_int_equal(w.scored, 255);
    assert_int_equal(windows_scored(&w, 0)[0], 257);

    const struct windows v = cut(100, 0, 0, -1, TOKENS - 1);
    assert_int_equal(v.count, 9);
    assert_int_equal(v.scored, 49);
    windows_input(&v, 8, input);
    assert_int_equal(input[0], 800);
    assert_int_equal(input[99], 899);
    assert_int_equal(windows_scored(&v, 8)[0], 851);
    assert_int_equal(windows_scored(&v, 8)[v.scored - 1], 899);
    assert_int_equal(cut(100, 0, 3, -1, TOKENS).count, 3);
    assert_int_equal(cut(101, 0, 0, -1, TOKENS).scored, 50);
}

static void bos_is_seen_and_not_scored(void **state)
{
    (void)state;
    uint32_t input[100];
    const struct windows w = cut(100, 0, 0, 7777, TOKENS);
    windows_input(&w, 2, input);
    assert_int_equal(input[0], 7777);
    assert_int_equal(input[1], 201);
    assert_int_equal(token[200], 200);
}

/* Every token behind the first window's unscored ones is scored once. */
static void strides_score_every_token_once(void **state)
{
    (void)state;
    const struct windows w = cut(100, 20, 0, -1, TOKENS);
    uint32_t next = 90;
    assert_int_equal(w.size, 110);
    assert_int_equal(w.count, 45);
    for (size_t i = 0; i < w.count; i++)
        for (size_t j = 0; j < w.scored; j++)
            assert_int_equal(windows_scored(&w, i)[j], next++);
    assert_true(next <= TOKENS && next + w.step >= TOKENS);
}

static void refused(size_t context, size_t stride, size_t tokens, const char *say)
{
    struct windows w;
    struct err err = {0};
    const struct windows_options o = {context, stride, 0, -1};
    assert_false(windows_init(&w, &o, token, tokens, &err));
    assert_int_equal(err.code, ERR_USAGE);
    if (!strstr(err.text, say))
        fail_msg("'%s' does not say '%s'", err.text, say);
}

static void what_gives_no_window_is_refused(void **state)
{
    (void)state;
    refused(512, 0, 511, "the text has 511 tokens: a window takes 512");
    refused(512, 0, 0, "the text has 0 tokens");
    refused(100, 20, 110, "more than 110");
    refused(3, 0, TOKENS, "a context of 3");
    refused(SIZE_MAX, 0, TOKENS, "a context of");
    refused(100, 100, TOKENS, "a stride of 100 tokens");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_lie_side_by_side),
        cmocka_unit_test(bos_is_seen_and_not_scored),
        cmocka_unit_test(strides_score_every_token_once),
        cmocka_unit_test(what_gives_no_window_is_refused),
    };
    return cmocka_run_group_tests_name("windows", tests, NULL, NULL);
}
