/* The table of element types against facts of the file formats. */
#include "core/dtype.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void rows_are_where_their_ids_say(void **state)
{
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i);
        assert_int_equal(d->id, i);
        assert_non_null(d->name);
        assert_true(d->block_elems >= 1 && d->block_bytes >= 1);
        assert_ptr_equal(dtype_find(d->name), d);
        if (d->gguf >= 0)
            assert_ptr_equal(dtype_find_gguf((uint32_t)d->gguf), d);
        if (d->safetensors)
            assert_ptr_equal(dtype_find_safetensors(d->safetensors), d);
        assert_int_equal(d->class == DTYPE_QUANTIZED, d->block_elems > 1);
    }
}

/* ggml's numbers, elements and bytes a block, as the GGUF specification and the Python
 * package gguf have them. */
static void numbers_and_sizes_are_those_of_gguf(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        int gguf, elems, bytes;
    } facts[] = {
        {"F32", 0, 1, 4},         {"F16", 1, 1, 2},         {"Q4_0", 2, 32, 18},
        {"Q4_1", 3, 32, 20},      {"Q5_0", 6, 32, 22},      {"Q5_1", 7, 32, 24},
        {"Q8_0", 8, 32, 34},      {"Q2_K", 10, 256, 84},    {"Q3_K", 11, 256, 110},
        {"Q4_K", 12, 256, 144},   {"Q5_K", 13, 256, 176},   {"Q6_K", 14, 256, 210},
        {"IQ2_XXS", 16, 256, 66}, {"IQ2_XS", 17, 256, 74},  {"IQ3_XXS", 18, 256, 98},
        {"IQ1_S", 19, 256, 50},   {"IQ4_NL", 20, 32, 18},   {"IQ3_S", 21, 256, 110},
        {"IQ2_S", 22, 256, 82},   {"IQ4_XS", 23, 256, 136}, {"I8", 24, 1, 1},
        {"I16", 25, 1, 2},        {"I32", 26, 1, 4},        {"I64", 27, 1, 8},
        {"F64", 28, 1, 8},        {"IQ1_M", 29, 256, 56},   {"BF16", 30, 1, 2},
        {"TQ1_0", 34, 256, 54},   {"TQ2_0", 35, 256, 66},   {"MXFP4", 39, 32, 17},
    };
    for (size_t i = 0; i < sizeof facts / sizeof *facts; i++) {
        const struct dtype *d = dtype_find(facts[i].name);
        assert_non_null(d);
        assert_int_equal(d->gguf, facts[i].gguf);
        assert_int_equal(d->block_elems, facts[i].elems);
        assert_int_equal(d->block_bytes, facts[i].bytes);
    }
}

static void unknown_types_are_not_found(void **state)
{
    (void)state;
    assert_null(dtype_find("Q9_K"));
    assert_null(dtype_find(""));
    assert_null(dtype_find_gguf(4)); /* Q4_2, long gone */
    assert_null(dtype_find_gguf(UINT32_MAX));
    assert_null(dtype_find_safetensors("Q4_K"));
    assert_non_null(dtype_find("q4_k"));
}

static void rows_are_whole_blocks(void **state)
{
    (void)state;
    struct err err = {0};
    size_t bytes = 0;
    const struct dtype *q4_k = dtype_get(DTYPE_Q4_K);
    assert_true(dtype_row_bytes(q4_k, 4096, &bytes, &err));
    assert_int_equal(bytes, 16 * 144);
    assert_true(dtype_bits(q4_k) == 4.5);
    assert_false(dtype_row_bytes(q4_k, 4100, &bytes, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_non_null(strstr(err.text, "4100"));
    assert_false(dtype_row_bytes(dtype_get(DTYPE_F64), UINT64_MAX, &bytes, &err));
    assert_int_equal(err.code, ERR_FORMAT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_where_their_ids_say),
        cmocka_unit_test(numbers_and_sizes_are_those_of_gguf),
        cmocka_unit_test(unknown_types_are_not_found),
        cmocka_unit_test(rows_are_whole_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
