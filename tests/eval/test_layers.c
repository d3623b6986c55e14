/* The error along the layers of a golden model. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "eval/layers.h"
#include "tests/model/running.h"

#include <math.h>

enum { TOKENS = 300, CONTEXT = 100, EMBD = 64, LAYERS_MAX = 8 };

static const struct running_change f32 = {.type = DTYPE_F32};
static const struct running_change q4_0 = {.type = DTYPE_Q4_0};

static struct windows cut(void)
{
    static uint32_t token[TOKENS];
    static const struct windows_options o = {.context = CONTEXT, .bos = 1};
    struct windows w;
    struct err err = {0};
    for (uint32_t i = 0; i < TOKENS; i++)
        token[i] = (i * i + 5 * i + 3) % 400;
    assert_true(windows_init(&w, &o, token, TOKENS, &err));
    return w;
}

static struct score_options options(const struct running *model, const struct running *base)
{
    return (struct score_options){
        .model = &model->weights,
        .base = &base->weights,
        .cache = DTYPE_F32,
        .kernels = &model->kernels,
        .pool = model->pool,
    };
}

static void compared(const struct running *model, const struct running *base,
                     struct estimate *error)
{
    struct err err = {0};
    const struct windows w = cut();
    const struct score_options o = options(model, base);
    assert_int_equal(model->weights.hparams.embd, EMBD);
    assert_in_range(model->weights.hparams.layers, 1, LAYERS_MAX);
    if (!layers_compare(&o, &w, error, &err))
        fail_msg("%s", err.text);
}

static void a_model_has_no_error_against_itself(void **state)
{
    (void)state;
    struct running r;
    struct estimate error[LAYERS_MAX + 1];
    running_open(&r, "qwen2", 2, &f32);
    compared(&r, &r, error);
    for (size_t i = 0; i <= r.weights.hparams.layers; i++)
        assert_true(error[i].value == 0.0 && error[i].error == 0.0);
    running_close(&r);
}

static void see(void *arg, size_t layer, const float *x, size_t tokens)
{
    memcpy((float *)arg + layer * CONTEXT * EMBD, x, tokens * EMBD * sizeof *x);
}

/* The streams of a whole window at once. */
static void streams(struct running *r, const uint32_t *input, float *to)
{
    struct err err = {0};
    struct kv_cache cache;
    const struct forward_sequence s = {input, CONTEXT, 0, 0};
    assert_true(
        kv_cache_open(&cache, &r->weights.hparams, &r->kernels, DTYPE_F32, 1, CONTEXT, &err));
    r->forward.tap = (struct forward_tap){see, to};
    assert_true(forward_run(&r->forward, &cache, &s, 1, NULL, &err));
    kv_cache_close(&cache);
}

static void the_error_is_that_of_the_definition(void **state)
{
    (void)state;
    static float x[(LAYERS_MAX + 1) * CONTEXT * EMBD], b[(LAYERS_MAX + 1) * CONTEXT * EMBD];
    struct running model, base;
    struct estimate error[LAYERS_MAX + 1];
    double sum[LAYERS_MAX + 1] = {0};
    running_open(&model, "llama", 2, &q4_0);
    running_open(&base, "llama", 1, &f32);
    compared(&model, &base, error);
    const struct windows w = cut();
    const size_t layers = (size_t)model.weights.hparams.layers;
    for (size_t window = 0; window < w.count; window++) {
        uint32_t input[CONTEXT];
        windows_input(&w, window, input);
        streams(&model, input, x);
        streams(&base, input, b);
        for (size_t row = 0; row < (layers + 1) * CONTEXT; row++) {
            double e = 0.0, n = 0.0;
            for (size_t i = row * EMBD; i < (row + 1) * EMBD; i++) {
                e += pow((double)x[i] - (double)b[i], 2.0);
                n += pow((double)b[i], 2.0);
            }
            sum[row / CONTEXT] += sqrt(e / n);
        }
    }
    for (size_t i = 0; i <= layers; i++) {
        const double want = sum[i] / (double)(w.count * CONTEXT);
        assert_true(want > 0.001 && fabs(error[i].value / want - 1.0) < 1e-3);
        assert_true(error[i].error > 0.0 && error[i].error < 0.1 * want);
    }
    running_close(&model);
    running_close(&base);
}

static void threads_change_no_figure(void **state)
{
    (void)state;
    struct running one, many, base;
    struct estimate a[LAYERS_MAX + 1], b[LAYERS_MAX + 1];
    running_open(&base, "llama3", 1, &f32);
    running_open(&one, "llama3", 1, &q4_0);
    running_open(&many, "llama3", 3, &q4_0);
    compared(&one, &base, a);
    compared(&many, &base, b);
    for (size_t i = 0; i <= base.weights.hparams.layers; i++)
        assert_true(a[i].value == b[i].value && a[i].error == b[i].error);
    running_close(&one);
    running_close(&many);
    running_close(&base);
}

static void models_of_other_shapes_are_refused(void **state)
{
    (void)state;
    struct running a, b;
    struct err err = {0};
    struct estimate error[LAYERS_MAX + 1];
    const struct windows w = cut();
    running_open(&a, "llama", 1, &f32);
    running_open(&b, "llama", 1, &f32);
    b.weights.hparams.layers--;
    const struct score_options o = options(&a, &b);
    assert_false(layers_compare(&o, &w, error, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, " cannot be compared: "));
    running_close(&a);
    running_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_model_has_no_error_against_itself),
        cmocka_unit_test(the_error_is_that_of_the_definition),
        cmocka_unit_test(threads_change_no_figure),
        cmocka_unit_test(models_of_other_shapes_are_refused),
    };
    return cmocka_run_group_tests_name("layers", tests, NULL, NULL);
}
