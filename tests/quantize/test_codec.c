/* The codec table: what each row promises, held against the kernels and stock ggml. */
#include "core/cpu.h"
#include "quantize/codec.h"
#include "quantize/error.h"
#include "quantize/kernels.h"
#include "tests/quantize/golden.h"
#include "tests/quantize/sample_weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static struct kernels kernels;

/* Encodes and decodes rows, and sums up the errors; importance (a row of it) guides the
 * encoder where it is told to. */
static struct error_figures round_trip(enum dtype_id id, const float *x, size_t rows, size_t cols,
                                       const float *importance, bool guided)
{
    size_t bytes;
    struct err err;
    assert_true(dtype_row_bytes(dtype_get(id), cols, &bytes, &err));
    uint8_t *blocks = malloc(bytes);
    float *y = malloc(cols * sizeof *y);
    struct error_sums sums = {0};
    for (size_t r = 0; r < rows; r++) {
        kernels.encode[id](blocks, x + r * cols, guided ? importance : NULL, cols);
        kernels.decode[id](y, blocks, cols);
        kernels.add_error(&sums, x + r * cols, y, importance, cols);
    }
    free(blocks);
    free(y);
    return error_figures(&sums);
}

static void rows_are_found_by_their_type(void **state)
{
    (void)state;
    const struct codec *c;
    size_t count = 0;
    for (; (c = codec_at(count)); count++) {
        assert_ptr_equal(codec_find(c->dtype), c);
        assert_true(strlen(c->summary) > 0);
        assert_non_null(kernels.encode[c->dtype]);
    }
    assert_int_equal(count, 18);
    assert_null(codec_at(count + 1));
    assert_null(codec_find(DTYPE_IQ2_XS));
}

/* The bound is not slack either: within a tenth of what is seen. */
static void normal_weights_stay_within_the_bound(void **state)
{
    (void)state;
    enum { ROWS = 32, COLS = 2048 };
    float *x = malloc(ROWS * COLS * sizeof *x);
    weights_fill(x, ROWS * COLS, WEIGHTS_NORMAL, 11);
    const struct codec *c;
    int bad = 0;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        const double rms = round_trip(c->dtype, x, ROWS, COLS, NULL, false).rmse;
        if (rms <= c->rms_bound && rms >= 0.9 * c->rms_bound)
            continue;
        print_error("%s: rms error %g of N(0,1), bound %g\n", dtype_get(c->dtype)->name, rms,
                    c->rms_bound);
        bad++;
    }
    assert_int_equal(bad, 0);
    free(x);
}

static bool must_beat_ggml(enum dtype_id id)
{
    switch (id) {
    case DTYPE_Q4_0:
    case DTYPE_Q4_1:
    case DTYPE_Q5_0:
    case DTYPE_Q5_1:
    case DTYPE_Q2_K:
    case DTYPE_Q3_K:
    case DTYPE_Q4_K:
    case DTYPE_Q5_K:
    case DTYPE_Q6_K:
        return true;
    default:
        return false;
    }
}

/* Whether ours is good enough; says what is not. */
static bool holds(enum dtype_id id, const char *what, double ours, double ggml)
{
    if (ggml < 0.0) /* not a block type */
        return true;
    const bool good = must_beat_ggml(id) ? ours < ggml : ours <= ggml;
    if (!good)
        print_error("%s, %s: error %g, ggml has %g\n", dtype_get(id)->name, what, ours, ggml);
    return good;
}

static void errors_are_at_most_those_of_ggml(void **state)
{
    (void)state;
    size_t bytes;
    float *x = golden_read("weights.f32", &bytes);
    assert_non_null(x);
    assert_int_equal(bytes, GOLDEN_WEIGHTS * sizeof *x);
    float *importance = golden_read("importance.f32", &bytes);
    assert_non_null(importance);
    assert_int_equal(bytes, GOLDEN_COLS * sizeof *importance);
    json_t *root;
    const json_t *types = golden_types(&root);
    assert_non_null(types);
    const struct codec *c;
    int compared = 0, bad = 0;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        const char *name = dtype_get(c->dtype)->name;
        const double plain = golden_error(types, name, "plain", "mse");
        const double weighted = golden_error(types, name, "importance", "weighted_mse");
        bad += !holds(c->dtype, "plain",
                      round_trip(c->dtype, x, GOLDEN_ROWS, GOLDEN_COLS, NULL, false).mse, plain);
        bad +=
            !holds(c->dtype, "importance",
                   round_trip(c->dtype, x, GOLDEN_ROWS, GOLDEN_COLS, importance, true).weighted_mse,
                   weighted);
        compared += (plain > 0.0) + (weighted > 0.0);
    }
    assert_int_equal(compared, 30); /* fifteen block types, both ways */
    assert_int_equal(bad, 0);
    json_decref(root);
    free(x);
    free(importance);
}

static void importance_never_raises_the_weighted_error(void **state)
{
    (void)state;
    enum { ROWS = 4, COLS = 2048 };
    float *x = malloc(ROWS * COLS * sizeof *x), *w = malloc(COLS * sizeof *w);
    weights_fill(x, ROWS * COLS, WEIGHTS_NORMAL, 12);
    importance_fill(w, COLS, IMPORTANCE_SMOOTH, 12);
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        if (dtype_get(c->dtype)->class != DTYPE_QUANTIZED)
            continue;
        const double blind = round_trip(c->dtype, x, ROWS, COLS, w, false).weighted_mse;
        const double guided = round_trip(c->dtype, x, ROWS, COLS, w, true).weighted_mse;
        if (!(guided <= blind))
            fail_msg("%s: weighted error %g with importance, %g without", dtype_get(c->dtype)->name,
                     guided, blind);
    }
    free(x);
    free(w);
}

/* Zeros stay zeros; F32 keeps every bit; ternary weights survive the ternary types. */
static void what_a_type_can_hold_stays_exact(void **state)
{
    (void)state;
    enum { COLS = 512 };
    float x[COLS];
    const struct codec *c;
    weights_fill(x, COLS, WEIGHTS_ZERO, 1);
    for (size_t i = 0; (c = codec_at(i)); i++)
        assert_true(round_trip(c->dtype, x, 1, COLS, NULL, false).max_abs == 0.0);
    weights_fill(x, COLS, WEIGHTS_MIXED, 1);
    assert_true(round_trip(DTYPE_F32, x, 1, COLS, NULL, false).max_abs == 0.0);
    for (uint64_t seed = 0; seed < 50; seed++) {
        weights_fill(x, COLS, WEIGHTS_TERNARY, seed);
        float w[COLS];
        importance_fill(w, COLS, IMPORTANCE_SPREAD, seed);
        for (int i = 0; i < COLS; i++)
            x[i] *= 0.0625f / 0.0371f; /* a scale that fp16 holds */
        assert_true(round_trip(DTYPE_TQ1_0, x, 1, COLS, NULL, false).max_abs == 0.0);
        assert_true(round_trip(DTYPE_TQ2_0, x, 1, COLS, w, true).max_abs == 0.0);
    }
}

int main(void)
{
    kernels_init(&kernels, cpu_features());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_their_type),
        cmocka_unit_test(normal_weights_stay_within_the_bound),
        cmocka_unit_test(errors_are_at_most_those_of_ggml),
        cmocka_unit_test(importance_never_raises_the_weighted_error),
        cmocka_unit_test(what_a_type_can_hold_stays_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
