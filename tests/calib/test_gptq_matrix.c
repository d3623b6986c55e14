/* Feedback between rows: what it makes small, against the definition in f64. */
#include "calib/gptq_matrix.h"

#include "core/cpu.h"
#include "core/mem.h"
#include "hessians.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

enum { COLS = 256, ROWS = 200 };
static const size_t elements = (size_t)ROWS * COLS;
#define TYPE DTYPE_Q4_K

static struct factor factor;
static struct kernels kernels;
static float *hessian, *weights;
static size_t row_bytes;

static int make_case(void **state)
{
    (void)state;
    hessian = hessian_make(COLS, 700, 0, 1);
    weights = malloc(elements * sizeof *weights);
    for (size_t r = 0; r < ROWS; r++)
        weights_fill(weights + r * COLS, COLS, WEIGHTS_NORMAL, r);
    kernels_init(&kernels, cpu_features());
    row_bytes = COLS / dtype_get(TYPE)->block_elems * dtype_get(TYPE)->block_bytes;
    return hessian_factor(&factor, hessian, COLS, NULL, NULL) ? 0 : -1;
}

static int free_case(void **state)
{
    (void)state;
    factor_close(&factor);
    free(hessian);
    free(weights);
    return 0;
}

/* The blocks under these gradients (NULL: rows on their own); the caller frees them. */
static uint8_t *encode(const float *gradient, int threads, bool *usable)
{
    const struct gptq_options options = {.cpu = cpu_features()};
    struct gptq g;
    struct gptq_scratch scratch[8];
    struct gptq_matrix m;
    struct gptq_sums sums = {0};
    struct pool *pool;
    uint8_t *blocks = malloc(ROWS * row_bytes);
    assert_true(pool_open(&pool, threads, NULL));
    assert_true(gptq_open(&g, &factor, TYPE, &options, &kernels, NULL));
    for (int i = 0; i < threads; i++)
        assert_true(gptq_scratch_open(&scratch[i], &g, NULL));
    if (!gradient) {
        gptq_rows(&g, weights, ROWS, blocks, &scratch[0], &sums);
    } else {
        assert_true(gptq_matrix_open(&m, &g, scratch, pool, gradient, ROWS, usable, NULL));
        float *w = malloc(elements * sizeof *w);
        for (size_t i = 0; i < ROWS; i++)
            memcpy(w + i * COLS, weights + m.order[i] * COLS, COLS * sizeof *w);
        if (*usable)
            assert_true(gptq_matrix_run(&m, w, blocks, &sums, NULL));
        free(w);
        gptq_matrix_close(&m);
    }
    for (int i = 0; i < threads; i++)
        gptq_scratch_close(&scratch[i]);
    gptq_close(&g);
    pool_close(pool);
    return blocks;
}

static double at(const float *upper, size_t n, size_t i, size_t j)
{
    return (double)upper[triangle_at(n, i, j)];
}

/* tr(G E H E') */
static double cost_of(const uint8_t *blocks, const float *gradient)
{
    double *e = malloc(elements * sizeof *e), *eh = calloc(elements, sizeof *eh), cost = 0.0;
    float v[COLS];
    for (size_t r = 0; r < ROWS; r++) {
        kernels.decode[TYPE](v, blocks + r * row_bytes, COLS);
        for (size_t c = 0; c < COLS; c++)
            e[r * COLS + c] = (double)v[c] - (double)weights[r * COLS + c];
        for (size_t c = 0; c < COLS; c++)
            for (size_t k = 0; k < COLS; k++)
                eh[r * COLS + c] += e[r * COLS + k] * at(hessian, COLS, k, c);
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t j = 0; j < ROWS; j++) {
            double dot = 0.0;
            for (size_t c = 0; c < COLS; c++)
                dot += eh[i * COLS + c] * e[j * COLS + c];
            cost += at(gradient, ROWS, i, j) * dot;
        }
    free(e);
    free(eh);
    return cost;
}

static void outputs_that_cost_together_make_up_for_each_other(void **state)
{
    bool usable = false;
    (void)state;
    float *gradient = hessian_make(ROWS, 900, 0, 5);
    uint8_t *alone = encode(NULL, 1, NULL), *together = encode(gradient, 2, &usable);
    assert_true(usable);
    const double before = cost_of(alone, gradient), after = cost_of(together, gradient);
    if (!(after < 0.75 * before))
        fail_msg("the cost is %g, and %g with every row on its own", after, before);
    free(alone);
    free(together);
    free(gradient);
}

static void outputs_that_do_not_are_rounded_on_their_own(void **state)
{
    bool usable = false;
    (void)state;
    float *gradient = calloc(ROWS * (ROWS + 1) / 2, sizeof *gradient);
    for (size_t i = 0; i < ROWS; i++)
        gradient[triangle_row(ROWS, i)] = 1.0f + (float)(i % 7);
    uint8_t *alone = encode(NULL, 1, NULL), *together = encode(gradient, 2, &usable);
    assert_true(usable);
    assert_memory_equal(alone, together, ROWS * row_bytes);
    free(alone);
    free(together);
    free(gradient);
}

static void threads_change_nothing(void **state)
{
    bool usable;
    (void)state;
    float *gradient = hessian_make(ROWS, 900, 11, 6);
    uint8_t *one = encode(gradient, 1, &usable);
    for (int threads = 2; threads <= 5; threads += 3) {
        uint8_t *more = encode(gradient, threads, &usable);
        assert_memory_equal(one, more, ROWS * row_bytes);
        free(more);
    }
    free(one);
    free(gradient);
}

static void gradients_that_are_all_zero_are_of_no_use(void **state)
{
    bool usable = true;
    (void)state;
    float *gradient = calloc(ROWS * (ROWS + 1) / 2, sizeof *gradient);
    free(encode(gradient, 1, &usable));
    assert_false(usable);
    free(gradient);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outputs_that_cost_together_make_up_for_each_other),
        cmocka_unit_test(outputs_that_do_not_are_rounded_on_their_own),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(gradients_that_are_all_zero_are_of_no_use),
    };
    return cmocka_run_group_tests(tests, make_case, free_case);
}
