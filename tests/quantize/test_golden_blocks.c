/* Decoding against stock ggml: every block file there is, every kernel table. */
#include "tests/quantize/golden.h"

#include "core/cpu.h"
#include "quantize/kernels.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

/* Decodes type.kind.blocks row by row; the floats must be those of type.kind.f32. */
static void compare(const struct kernels *k, const char *type, const char *kind)
{
    size_t block_bytes, float_bytes, row_bytes;
    uint8_t *blocks = golden_read_type(type, kind, ".blocks", &block_bytes);
    float *expected = golden_read_type(type, kind, ".f32", &float_bytes);
    assert_non_null(blocks);
    assert_non_null(expected);
    const struct dtype *d = dtype_find(type);
    assert_non_null(d);
    struct err err;
    assert_true(dtype_row_bytes(d, GOLDEN_COLS, &row_bytes, &err));
    assert_int_equal(block_bytes, GOLDEN_ROWS * row_bytes);
    assert_int_equal(float_bytes, GOLDEN_WEIGHTS * sizeof(float));

    float *row = malloc(GOLDEN_COLS * sizeof *row);
    uint8_t *copy = malloc(row_bytes + 1); /* at an odd address, ending with the heap block */
    for (size_t r = 0; r < GOLDEN_ROWS; r++) {
        memcpy(copy + 1, blocks + r * row_bytes, row_bytes);
        k->decode[d->id](row, copy + 1, GOLDEN_COLS);
        if (memcmp(row, expected + r * GOLDEN_COLS, GOLDEN_COLS * sizeof *row) != 0)
            fail_msg("%s %s: row %zu differs in the %s kernel", type, kind, r, k->name);
    }
    free(copy);
    free(row);
    free(expected);
    free(blocks);
}

static void every_type_decodes_bit_for_bit(void **state)
{
    (void)state;
    json_t *root;
    const json_t *types = golden_types(&root);
    assert_non_null(types);
    struct kernels scalar, best;
    kernels_init(&scalar, 0);
    kernels_init(&best, cpu_features());
    int compared = 0;
    const char *type;
    json_t *entry;
    json_object_foreach ((json_t *)(size_t)types, type, entry) {
        static const char *const kinds[] = {"plain", "importance"};
        for (int i = 0; i < 2; i++) {
            if (!json_object_get(entry, kinds[i]))
                continue;
            compare(&scalar, type, kinds[i]);
            compare(&best, type, kinds[i]);
            compared++;
        }
    }
    assert_true(compared >= 40);
    json_decref(root);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_decodes_bit_for_bit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
