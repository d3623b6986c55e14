/* The contract of formats/meta.h. */
#include "formats/meta.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void pairs_keep_their_order(void **state)
{
    (void)state;
    struct meta m = {0};
    meta_set_u32(&m, "b", 1);
    meta_set_text(&m, "a", "x");
    meta_set_f32(&m, "c", 0.5f);
    meta_set_u32(&m, "b", 2); /* in place */
    assert_int_equal(m.pairs, 3);
    assert_string_equal(m.pair[0].key, "b");
    assert_int_equal(m.pair[0].value.as.u, 2);
    assert_string_equal(m.pair[1].key, "a");
    assert_string_equal(m.pair[2].key, "c");
    meta_remove(&m, "a");
    meta_remove(&m, "not there");
    assert_int_equal(m.pairs, 2);
    assert_string_equal(m.pair[1].key, "c");
    assert_null(meta_find(&m, "a"));
    assert_false(m.failed);
    meta_close(&m);
    meta_close(&m);
    assert_int_equal(m.pairs, 0);
}

static void a_new_value_may_have_another_type(void **state)
{
    (void)state;
    struct meta m = {0};
    meta_set_u32(&m, "k", 1);
    meta_set_text(&m, "k", "text");
    assert_int_equal(m.pairs, 1);
    assert_string_equal(meta_get_text(&m, "k"), "text");
    meta_close(&m);
}

static void what_is_set_is_copied(void **state)
{
    (void)state;
    struct meta m = {0};
    char key[] = "key", text[] = "some", a[] = "x\0y";
    struct meta_text texts[] = {{a, 3}, {"", 0}};
    int32_t numbers[] = {-1, 2};
    meta_set_text(&m, key, text);
    meta_set_texts(&m, "texts", texts, 2);
    meta_set_i32s(&m, "numbers", numbers, 2);
    meta_set_f32s(&m, "none", NULL, 0);
    memset(key, '-', 3);
    memset(text, '-', 4);
    memset(a, '-', 3);
    memset(texts, 0, sizeof texts);
    memset(numbers, 0, sizeof numbers);
    assert_string_equal(meta_get_text(&m, "key"), "some");
    const struct meta_value *v = meta_find(&m, "texts");
    const struct meta_text *t = v->as.array;
    assert_int_equal(v->count, 2);
    assert_int_equal(t[0].length, 3);
    assert_memory_equal(t[0].text, "x\0y", 4); /* a NUL behind it */
    assert_int_equal(t[1].length, 0);
    assert_string_equal(t[1].text, "");
    const int32_t *n = meta_find(&m, "numbers")->as.array;
    assert_int_equal(n[0], -1);
    assert_int_equal(n[1], 2);
    assert_int_equal(meta_find(&m, "none")->count, 0);
    meta_close(&m);
}

static void a_number_is_had_where_it_fits(void **state)
{
    (void)state;
    struct meta m = {0};
    meta_set_u16(&m, "u16", 65535);
    meta_set_i32(&m, "i32", 7);
    meta_set_i32(&m, "minus", -7);
    meta_set_f32(&m, "f32", 1.5f);
    meta_set_bool(&m, "bool", true);
    meta_set_text(&m, "text", "1");
    meta_set(&m, "u64", &(struct meta_value){.type = META_U64, .as.u = UINT64_MAX});
    uint64_t u = 1;
    double f = 1;
    bool b = false;
    assert_true(meta_get_u64(&m, "u16", &u) && u == 65535);
    assert_true(meta_get_u64(&m, "i32", &u) && u == 7);
    assert_true(meta_get_u64(&m, "u64", &u) && u == UINT64_MAX);
    u = 1;
    assert_false(meta_get_u64(&m, "minus", &u) || meta_get_u64(&m, "f32", &u) ||
                 meta_get_u64(&m, "bool", &u) || meta_get_u64(&m, "text", &u) ||
                 meta_get_u64(&m, "not there", &u));
    assert_int_equal(u, 1);
    assert_true(meta_get_f64(&m, "minus", &f) && f == -7);
    assert_true(meta_get_f64(&m, "f32", &f) && f == 1.5);
    assert_true(meta_get_f64(&m, "u16", &f) && f == 65535);
    assert_false(meta_get_f64(&m, "text", &f) || meta_get_f64(&m, "bool", &f) ||
                 meta_get_f64(&m, "not there", &f));
    assert_true(meta_get_bool(&m, "bool", &b) && b);
    assert_false(meta_get_bool(&m, "i32", &b) || meta_get_bool(&m, "not there", &b));
    assert_null(meta_get_text(&m, "i32"));
    assert_null(meta_get_text(&m, "not there"));
    meta_close(&m);
}

static void a_copy_stands_alone(void **state)
{
    (void)state;
    struct meta from = {0}, into = {0}, mixed = {0};
    meta_set_text(&from, "a", "text");
    meta_set_f32s(&from, "b", (const float[]){1, 2, 3}, 3);
    meta_set_u32(&mixed, "a", 5);
    meta_set_u32(&mixed, "z", 6);
    meta_copy(&into, &from);
    meta_copy(&mixed, &from);
    meta_close(&from);
    assert_int_equal(into.pairs, 2);
    assert_string_equal(meta_get_text(&into, "a"), "text");
    assert_memory_equal(meta_find(&into, "b")->as.array, ((const float[]){1, 2, 3}), 12);
    assert_int_equal(mixed.pairs, 3);
    assert_string_equal(mixed.pair[0].key, "a");
    assert_string_equal(meta_get_text(&mixed, "a"), "text");
    assert_string_equal(mixed.pair[1].key, "z");
    from.failed = true;
    meta_copy(&into, &from);
    assert_true(into.failed);
    meta_close(&into);
    meta_close(&mixed);
}

static void keys_are_made_by_printf(void **state)
{
    (void)state;
    struct meta m = {0};
    meta_set_u32(&m, meta_key(&m, "%s.block_count", "llama"), 32);
    assert_non_null(meta_find(&m, "llama.block_count"));
    meta_close(&m);
}

static void types_have_names_and_sizes(void **state)
{
    (void)state;
    assert_string_equal(meta_type_name(META_U8), "u8");
    assert_string_equal(meta_type_name(META_F64), "f64");
    assert_int_equal(meta_type_bytes(META_BOOL), 1);
    assert_int_equal(meta_type_bytes(META_I16), 2);
    assert_int_equal(meta_type_bytes(META_F32), 4);
    assert_int_equal(meta_type_bytes(META_I64), 8);
    assert_int_equal(meta_type_bytes(META_TEXT), 0);
    assert_int_equal(meta_type_bytes(META_ARRAY), 0);
    assert_string_equal(
        meta_value_kind(&(struct meta_value){.type = META_ARRAY, .elem = META_TEXT}),
        "array of text");
    assert_string_equal(meta_value_kind(&(struct meta_value){.type = META_I8}), "i8");
}

static void elements_of_arrays_are_values(void **state)
{
    (void)state;
    const int8_t small[] = {-128, 127};
    const int64_t large[] = {INT64_MIN, -1};
    const uint16_t shorts[] = {65535};
    const double doubles[] = {0.1};
    const float floats[] = {-0.5f};
    const struct meta_text texts[] = {{"a", 1}};
    struct meta_value v = {.type = META_ARRAY, .elem = META_I8, .count = 2, .as.array = small};
    assert_true(meta_element(&v, 0).as.i == -128 && meta_element(&v, 1).as.i == 127);
    v = (struct meta_value){.type = META_ARRAY, .elem = META_I64, .count = 2, .as.array = large};
    assert_true(meta_element(&v, 0).as.i == INT64_MIN && meta_element(&v, 1).as.i == -1);
    v = (struct meta_value){.type = META_ARRAY, .elem = META_U16, .count = 1, .as.array = shorts};
    assert_true(meta_element(&v, 0).as.u == 65535 && meta_element(&v, 0).type == META_U16);
    v = (struct meta_value){.type = META_ARRAY, .elem = META_F64, .count = 1, .as.array = doubles};
    assert_true(meta_element(&v, 0).as.f == 0.1);
    v = (struct meta_value){.type = META_ARRAY, .elem = META_F32, .count = 1, .as.array = floats};
    assert_true(meta_element(&v, 0).as.f == -0.5);
    v = (struct meta_value){.type = META_ARRAY, .elem = META_TEXT, .count = 1, .as.array = texts};
    assert_string_equal(meta_element(&v, 0).as.text.text, "a");
}

static void many_pairs_are_held(void **state)
{
    (void)state;
    struct meta m = {0};
    for (uint32_t i = 0; i < 1000; i++)
        meta_set_u32(&m, meta_key(&m, "key.%u", i), i);
    for (uint32_t i = 0; i < 1000; i += 2)
        meta_remove(&m, meta_key(&m, "key.%u", i));
    for (uint32_t i = 0; i < 100; i++)
        meta_set_u32(&m, meta_key(&m, "new.%u", i), i);
    assert_int_equal(m.pairs, 600);
    uint64_t v = 0;
    assert_true(meta_get_u64(&m, "key.999", &v) && v == 999);
    assert_true(meta_get_u64(&m, "new.99", &v) && v == 99);
    assert_false(meta_get_u64(&m, "key.998", &v));
    meta_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs_keep_their_order),
        cmocka_unit_test(a_new_value_may_have_another_type),
        cmocka_unit_test(what_is_set_is_copied),
        cmocka_unit_test(a_number_is_had_where_it_fits),
        cmocka_unit_test(a_copy_stands_alone),
        cmocka_unit_test(keys_are_made_by_printf),
        cmocka_unit_test(types_have_names_and_sizes),
        cmocka_unit_test(elements_of_arrays_are_values),
        cmocka_unit_test(many_pairs_are_held),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
