#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/err.h"

#include <string.h>

static void context_goes_in_front(void **state)
{
    (void)state;
    struct err err = {0};
    assert_false(err_set(&err, ERR_FORMAT, "data ends at %d", 7));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_false(err_wrap(&err, "tensor '%s'", "a"));
    assert_string_equal(err.text, "tensor 'a': data ends at 7");
    assert_int_equal(err.code, ERR_FORMAT);
}

static void long_error_is_cut(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_IO, "%0600d", 7);
    assert_int_equal(strlen(err.text), ERR_TEXT_MAX - 1);
    assert_string_equal(err.text + ERR_TEXT_MAX - 4, "...");
    err_wrap(&err, "%0505d", 7);
    assert_string_equal(err.text + ERR_TEXT_MAX - 4, "...");
}

static void a_name_is_said_once(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_IO, "model/config.json: cannot open");
    err_wrap(&err, "%s", "model");
    assert_string_equal(err.text, "model/config.json: cannot open");
    err_wrap(&err, "%s", "model/config.json");
    assert_string_equal(err.text, "model/config.json: cannot open");
    err_wrap(&err, "%s", "mod");
    assert_string_equal(err.text, "mod: model/config.json: cannot open");
}

static void a_stop_has_no_context(void **state)
{
    (void)state;
    struct err err = {0};
    err_set(&err, ERR_STOPPED, "stopped");
    assert_false(err_wrap(&err, "tensor 'a'"));
    assert_string_equal(err.text, "stopped");
}

static void nobody_needs_to_listen(void **state)
{
    (void)state;
    assert_false(err_set(NULL, ERR_IO, "x"));
    assert_false(err_wrap(NULL, "y"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(context_goes_in_front),  cmocka_unit_test(long_error_is_cut),
        cmocka_unit_test(a_name_is_said_once),    cmocka_unit_test(a_stop_has_no_context),
        cmocka_unit_test(nobody_needs_to_listen),
    };
    return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
