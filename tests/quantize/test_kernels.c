/* The kernel tables against each other: same bytes, from every input, whatever the machine. */
#include "core/cpu.h"
#include "quantize/codec.h"
#include "quantize/kernels.h"
#include "tests/quantize/sample_weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kernels ref, fast;

static const char *name_of(enum dtype_id id) { return dtype_get(id)->name; }

static void every_type_is_read_and_every_codec_written(void **state)
{
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const enum dtype_id id = (enum dtype_id)i;
        if (!ref.decode[id] || !fast.decode[id])
            fail_msg("%s has no decoder", name_of(id));
        if ((codec_find(id) != NULL) != (ref.encode[id] != NULL))
            fail_msg("%s: the codec table and the kernels disagree", name_of(id));
        assert_int_equal(ref.encode[id] != NULL, fast.encode[id] != NULL);
    }
}

/* Encodes with both tables from buffers of exact size, wants the same bytes, and the
 * decoded values finite where the input has room in the type. */
static void check_row(enum dtype_id id, size_t blocks, enum weights_kind kind,
                      enum importance_kind importance, uint64_t seed)
{
    const struct dtype *d = dtype_get(id);
    const size_t n = blocks * d->block_elems, bytes = blocks * d->block_bytes;
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y),
          *spare = malloc(n * sizeof *spare);
    uint8_t *a = malloc(bytes), *b = malloc(bytes);
    weights_fill(x, n, kind, seed);
    const float *w = importance_fill(spare, n, importance, seed);
    memset(a, 0x55, bytes);
    memset(b, 0xaa, bytes);
    ref.encode[id](a, x, w, n);
    fast.encode[id](b, x, w, n);
    for (size_t i = 0; i < bytes; i++)
        if (a[i] != b[i])
            fail_msg("%s: %zu blocks of weights %d, importance %d, seed %d: byte %zu of block %zu "
                     "is %d, in %s %d",
                     d->name, blocks, (int)kind, (int)importance, (int)seed, i % d->block_bytes,
                     i / d->block_bytes, a[i], fast.name, b[i]);
    fast.decode[id](y, b, n);
    const size_t bad = fast.find_nonfinite(y, n);
    if (bad != n && d->class == DTYPE_QUANTIZED)
        fail_msg("%s: weights %d, importance %d, seed %d: %g became %g", d->name, (int)kind,
                 (int)importance, (int)seed, (double)x[bad], (double)y[bad]);
    free(x);
    free(y);
    free(spare);
    free(a);
    free(b);
}

static void encoders_give_the_same_bytes_and_finite_values(void **state)
{
    (void)state;
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++)
        for (int kind = 0; kind < WEIGHTS_KINDS; kind++)
            for (int w = 0; w < IMPORTANCE_KINDS; w++)
                for (uint64_t seed = 0; seed < 2; seed++)
                    check_row(c->dtype, 1 + (size_t)(seed * 8 + (uint64_t)(kind + w)) % 11,
                              (enum weights_kind)kind, (enum importance_kind)w, seed);
}

static void encoders_give_the_same_bytes_for_many_seeds(void **state)
{
    (void)state;
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++)
        for (uint64_t seed = 100; seed < 140; seed++)
            check_row(c->dtype, 1 + seed % 17, (enum weights_kind)(seed % 3),
                      (enum importance_kind)(seed / 3 % 2), seed);
}

/* A block's bytes do not depend on where in the row it stands. */
static void blocks_are_encoded_alike_wherever_they_are(void **state)
{
    (void)state;
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        const struct dtype *d = dtype_get(c->dtype);
        enum { BLOCKS = 11 };
        const size_t n = BLOCKS * d->block_elems;
        float *x = malloc(n * sizeof *x);
        uint8_t *whole = malloc(BLOCKS * d->block_bytes), *one = malloc(d->block_bytes);
        weights_fill(x, n, WEIGHTS_NORMAL, 3);
        fast.encode[c->dtype](whole, x, NULL, n);
        for (size_t b = 0; b < BLOCKS; b++) {
            fast.encode[c->dtype](one, x + b * d->block_elems, NULL, d->block_elems);
            if (memcmp(one, whole + b * d->block_bytes, d->block_bytes) != 0)
                fail_msg("%s: block %zu differs alone", d->name, b);
        }
        free(x);
        free(whole);
        free(one);
    }
}

static void importance_of_zero_is_importance_alike(void **state)
{
    (void)state;
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        const struct dtype *d = dtype_get(c->dtype);
        const size_t n = 8 * d->block_elems, bytes = 8 * d->block_bytes;
        float *x = malloc(n * sizeof *x), *w = malloc(n * sizeof *w);
        uint8_t *a = malloc(bytes), *b = malloc(bytes);
        weights_fill(x, n, WEIGHTS_NORMAL, 4);
        memset(w, 0, n * sizeof *w);
        fast.encode[c->dtype](a, x, w, n);
        for (size_t j = 0; j < n; j++)
            w[j] = 1.0f;
        fast.encode[c->dtype](b, x, w, n);
        if (memcmp(a, b, bytes) != 0)
            fail_msg("%s: all zero importance is not as all one", d->name);
        free(x);
        free(w);
        free(a);
        free(b);
    }
}

/* Any bytes at all: the same floats, or NaN in both. */
static void decoders_agree_on_arbitrary_bytes(void **state)
{
    (void)state;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i);
        for (size_t blocks = 1; blocks < 40; blocks++) {
            const size_t n = blocks * d->block_elems, bytes = blocks * d->block_bytes;
            uint8_t *src = malloc(bytes + 1);
            float *a = malloc(n * sizeof *a), *b = malloc(n * sizeof *b);
            struct seed s = {blocks};
            for (size_t j = 0; j < bytes; j++)
                src[1 + j] = (uint8_t)seed_next(&s);
            ref.decode[d->id](a, src + 1, n);
            fast.decode[d->id](b, src + 1, n);
            for (size_t j = 0; j < n; j++)
                if (memcmp(a + j, b + j, sizeof *a) != 0 && !(isnan(a[j]) && isnan(b[j])))
                    fail_msg("%s: weight %zu is %a, in %s %a", d->name, j, (double)a[j], fast.name,
                             (double)b[j]);
            free(src);
            free(a);
            free(b);
        }
    }
}

static void without_features_the_reference_is_used(void **state)
{
    (void)state;
    assert_string_equal(ref.name, "scalar");
    const unsigned cpu = cpu_features();
#if defined(QUERN_AVX2)
    assert_string_equal(fast.name, cpu & CPU_AVX2 ? "avx2" : "scalar");
#elif defined(QUERN_NEON)
    assert_string_equal(fast.name, cpu & CPU_NEON ? "neon" : "scalar");
#else
    (void)cpu;
    assert_string_equal(fast.name, "scalar");
#endif
}

int main(void)
{
    kernels_init(&ref, 0);
    kernels_init(&fast, cpu_features());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_features_the_reference_is_used),
        cmocka_unit_test(every_type_is_read_and_every_codec_written),
        cmocka_unit_test(decoders_agree_on_arbitrary_bytes),
        cmocka_unit_test(encoders_give_the_same_bytes_and_finite_values),
        cmocka_unit_test(encoders_give_the_same_bytes_for_many_seeds),
        cmocka_unit_test(blocks_are_encoded_alike_wherever_they_are),
        cmocka_unit_test(importance_of_zero_is_importance_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
