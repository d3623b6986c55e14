/* Every type that holds weights is encoded and decoded, and has its speeds. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cpu.h"
#include "eval/codec_speed.h"
#include "quantize/codec.h"

#include <math.h>

enum { ROWS = 6 };

static void every_type_has_its_speeds(void **state)
{
    struct codec_speed c;
    struct kernels k;
    struct pool *pool;
    struct err err = {0};
    (void)state;
    kernels_init(&k, cpu_features());
    assert_true(pool_open(&pool, 2, &err) && codec_speed_open(&c, ROWS, &k, pool, &err));
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype_id type = (enum dtype_id)i;
        const struct codec *codec = codec_find(type);
        struct codec_rates rates;
        double error = 0.0, size = 0.0;
        assert_true(codec_speed_measure(&c, type, &rates, &err));
        assert_true((rates.encode > 0.0) == (codec != NULL) && rates.decode > 0.0);
        for (size_t j = 0; codec && j < (size_t)ROWS * CODEC_SPEED_COLS; j++) {
            error += pow((double)c.decoded[j] - (double)c.weights[j], 2.0);
            size += pow((double)c.weights[j], 2.0);
        }
        if (codec)
            assert_true(sqrt(error / size) <= codec->rms_bound); /* they are the weights, back */
    }
    codec_speed_close(&c);
    pool_close(pool);
}

static void bytes_of_a_weight_come_and_go(void **state)
{
    (void)state;
    assert_true(codec_speed_bytes(DTYPE_F32) == 8.0);
    assert_true(codec_speed_bytes(DTYPE_Q4_K) == 4.5625);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_has_its_speeds),
        cmocka_unit_test(bytes_of_a_weight_come_and_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
