/* Decoders of plain numbers, against values written down here; the blocks are held against
 * stock ggml in test_golden_blocks.c. */
#include "core/cpu.h"
#include "core/half.h"
#include "quantize/kernels.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kernels tables[2]; /* the reference, the best */

/* Decodes elements from an odd address in a heap block that ends with them. */
static void check(enum dtype_id id, const void *elements, const float *expected, size_t n)
{
    const size_t bytes = n * dtype_get(id)->block_bytes;
    uint8_t *src = malloc(bytes + 1);
    float *dst = malloc(n * sizeof *dst);
    memcpy(src + 1, elements, bytes);
    for (int t = 0; t < 2; t++) {
        memset(dst, 0x55, n * sizeof *dst);
        tables[t].decode[id](dst, src + 1, n);
        for (size_t i = 0; i < n; i++)
            if (float_bits(dst[i]) != float_bits(expected[i]))
                fail_msg("%s: element %zu is %a, not %a", dtype_get(id)->name, i, (double)dst[i],
                         (double)expected[i]);
    }
    free(src);
    free(dst);
}

static void floats_keep_their_values(void **state)
{
    (void)state;
    const float f32[] = {0.0f, -0.0f, 1.5f, 3.4e38f, 0x1p-149f, INFINITY};
    check(DTYPE_F32, f32, f32, 6);
    const double f64[] = {0.1, -1e300, 0x1p-149, 1.0 + 0x1p-24, 1.0 + 0x1.8p-23, -0.0};
    const float narrowed[] = {0.1f, -INFINITY, 0x1p-149f, 1.0f, 1.0f + 0x1p-22f, -0.0f};
    check(DTYPE_F64, f64, narrowed, 6);
    const uint16_t f16[] = {0x3c00, 0xc000, 0x0001, 0x7bff, 0x8000, 0xfc00, 0x3555, 0x03ff, 0x4248};
    const float halves[] = {1.0f,      -2.0f,       0x1p-24f,   65504.0f, -0.0f,
                            -INFINITY, 0x1.554p-2f, 0x3ffp-24f, 3.140625f};
    check(DTYPE_F16, f16, halves, 9);
    const uint16_t bf16[] = {0x3f80, 0xc049, 0x0001, 0x7f80, 0x8000,
                             0x7f7f, 0x3eab, 0x4000, 0x1234};
    const float brains[] = {1.0f,        -3.140625f, 0x1p-133f, INFINITY,   -0.0f,
                            0x1.fep127f, 0x1.56p-2f, 2.0f,      0x1.68p-91f};
    check(DTYPE_BF16, bf16, brains, 9);
    const uint8_t fp8[] = {0x38, 0xb8, 0x7e, 0x01, 0x80};
    const float e4m3[] = {1.0f, -1.0f, 448.0f, 0x1p-9f, -0.0f};
    const float e5m2[] = {0.5f, -0.5f, INFINITY, 0x1p-16f, -0.0f};
    check(DTYPE_F8_E4M3, fp8, e4m3, 5);
    check(DTYPE_F8_E5M2, (const uint8_t[]){0x38, 0xb8, 0x7c, 0x01, 0x80}, e5m2, 5);
}

static void integers_become_the_nearest_float(void **state)
{
    (void)state;
    check(DTYPE_I8, (const int8_t[]){-128, -1, 0, 127}, (const float[]){-128, -1, 0, 127}, 4);
    check(DTYPE_U8, (const uint8_t[]){0, 1, 128, 255}, (const float[]){0, 1, 128, 255}, 4);
    check(DTYPE_I16, (const int16_t[]){INT16_MIN, -2, INT16_MAX},
          (const float[]){-32768, -2, 32767}, 3);
    check(DTYPE_I32, (const int32_t[]){INT32_MIN, 16777217, 16777219, -3},
          (const float[]){-0x1p31f, 16777216.0f, 16777220.0f, -3.0f}, 4);
    check(DTYPE_I64, (const int64_t[]){INT64_MIN, 5, (int64_t)1 << 40},
          (const float[]){-0x1p63f, 5.0f, 0x1p40f}, 3);
    check(DTYPE_BOOL, (const uint8_t[]){0, 1, 2, 255}, (const float[]){0, 1, 1, 1}, 4);
}

int main(void)
{
    kernels_init(&tables[0], 0);
    kernels_init(&tables[1], cpu_features());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floats_keep_their_values),
        cmocka_unit_test(integers_become_the_nearest_float),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
