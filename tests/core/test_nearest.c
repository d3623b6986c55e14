#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/nearest.h"

#include <string.h>

static const char *best_of(const char *word, const char *const *known)
{
    struct nearest n = {.word = word};
    for (; *known; known++)
        nearest_offer(&n, *known);
    return nearest_best(&n);
}

static void one_slip_is_understood(void **state)
{
    (void)state;
    static const char *const known[] = {"convert", "quantize", "inspect", "Q4_K_M", NULL};
    assert_string_equal(best_of("convret", known), "convert");   /* swapped */
    assert_string_equal(best_of("quantise", known), "quantize"); /* changed */
    assert_string_equal(best_of("inpect", known), "inspect");    /* dropped */
    assert_string_equal(best_of("q4__k_m", known), "Q4_K_M");    /* added, other case */
    assert_string_equal(best_of("convert", known), "convert");
}

static void nothing_near_is_not_guessed(void **state)
{
    (void)state;
    static const char *const known[] = {"convert", "quantize", NULL};
    assert_null(best_of("run", known));
    assert_null(best_of("", known));
    assert_null(best_of("convert", (const char *const[]){NULL}));
}

static void the_distance_counts_edits(void **state)
{
    (void)state;
    struct nearest n = {.word = "kitten"};
    nearest_offer(&n, "sitting");
    assert_int_equal(n.distance, 3);
    nearest_offer(&n, "mittens");
    assert_int_equal(n.distance, 2);
    nearest_offer(&n, "sitting");
    assert_string_equal(n.best, "mittens");
}

static void long_words_are_safe(void **state)
{
    (void)state;
    char a[1000], b[1000];
    memset(a, 'a', sizeof a - 1);
    memset(b, 'b', sizeof b - 1);
    a[sizeof a - 1] = b[sizeof b - 1] = '\0';
    struct nearest n = {.word = a};
    nearest_offer(&n, b);
    assert_int_equal(n.distance, 63);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_slip_is_understood),
        cmocka_unit_test(nothing_near_is_not_guessed),
        cmocka_unit_test(the_distance_counts_edits),
        cmocka_unit_test(long_words_are_safe),
    };
    return cmocka_run_group_tests_name("nearest", tests, NULL, NULL);
}
