/* Scores of a golden model's tokens, alone and beside others. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "eval/perplexity.h"
#include "eval/score.h"
#include "tests/model/running.h"

#include <math.h>

enum { TOKENS = 400, CONTEXT = 40, WINDOWS = 10, SCORES = WINDOWS * 19 };

static const struct running_change f32 = {.type = DTYPE_F32};
static const struct running_change q8_0 = {.type = DTYPE_Q8_0};

static struct windows cut(void)
{
    static uint32_t token[TOKENS];
    static const struct windows_options o = {.context = CONTEXT, .bos = 1};
    struct windows w;
    struct err err = {0};
    for (uint32_t i = 0; i < TOKENS; i++)
        token[i] = (i * i + 3 * i + 7) % 400;
    assert_true(windows_init(&w, &o, token, TOKENS, &err));
    assert_int_equal(w.count * w.scored, SCORES);
    return w;
}

static void scored(struct running *model, const struct weights *base, enum dtype_id cache,
                   struct score *score)
{
    struct err err = {0};
    const struct windows w = cut();
    const struct score_options o = {
        .model = &model->weights,
        .base = base,
        .cache = cache,
        .kernels = &model->kernels,
        .pool = model->pool,
    };
    if (!score_windows(&o, &w, score, &err))
        fail_msg("%s", err.text);
}

/* The loss of each token, with the whole window's logits written out and a softmax in double. */
static void a_loss_is_that_of_the_softmax(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    struct kv_cache cache;
    struct score score[SCORES];
    running_open(&r, "llama", 2, &f32);
    scored(&r, NULL, DTYPE_F32, score);
    const struct windows w = cut();
    float *states = mem_alloc(CONTEXT * 64, sizeof *states);
    float *logits = mem_alloc(CONTEXT * 400, sizeof *logits);
    assert_true(kv_cache_open(&cache, &r.weights.hparams, &r.kernels, DTYPE_F32, 1, CONTEXT, &err));
    for (size_t window = 0; window < w.count; window++) {
        uint32_t input[CONTEXT];
        windows_input(&w, window, input);
        assert_int_equal(input[0], 1);
        cache.length[0] = 0;
        const struct forward_sequence s = {input, CONTEXT, 0, CONTEXT};
        assert_true(forward_run(&r.forward, &cache, &s, 1, states, &err));
        forward_logits(&r.forward, states, CONTEXT, logits);
        for (size_t position = CONTEXT / 2; position < CONTEXT - 1; position++) {
            const float *x = logits + position * 400;
            double sum = 0.0;
            for (int i = 0; i < 400; i++)
                sum += exp((double)x[i]);
            const double want = log(sum) - (double)x[input[position + 1]];
            const double got = score[window * w.scored + position - CONTEXT / 2].loss;
            assert_true(fabs(got - want) < 1e-4);
        }
    }
    kv_cache_close(&cache);
    free(states);
    free(logits);
    running_close(&r);
}

static void a_model_does_not_diverge_from_itself(void **state)
{
    (void)state;
    struct running r;
    struct score score[SCORES];
    running_open(&r, "qwen2", 2, &f32);
    scored(&r, &r.weights, DTYPE_F16, score);
    for (size_t i = 0; i < SCORES; i++) {
        assert_true(score[i].loss == score[i].base_loss);
        assert_true(score[i].divergence == 0.0);
        assert_true(score[i].same_top);
    }
    running_close(&r);
}

static void divergence_is_not_negative_and_grows_with_the_error(void **state)
{
    (void)state;
    struct running base, eight, four;
    struct score score[SCORES], coarse[SCORES], alone[SCORES];
    double small = 0.0, large = 0.0;
    running_open(&base, "qwen3", 1, &f32);
    running_open(&eight, "qwen3", 2, &q8_0);
    running_open(&four, "qwen3", 2, &(struct running_change){.type = DTYPE_Q4_0});
    scored(&eight, &base.weights, DTYPE_F32, score);
    scored(&four, &base.weights, DTYPE_F32, coarse);
    scored(&base, NULL, DTYPE_F32, alone);
    for (size_t i = 0; i < SCORES; i++) {
        assert_true(score[i].divergence > -1e-9 && coarse[i].divergence > -1e-9);
        assert_true(score[i].base_loss == alone[i].loss);
        small += score[i].divergence;
        large += coarse[i].divergence;
    }
    assert_true(small > 0.0 && large > 10.0 * small);
    running_close(&base);
    running_close(&eight);
    running_close(&four);
}

static void threads_change_no_score(void **state)
{
    (void)state;
    struct running one, many;
    struct score a[SCORES], b[SCORES];
    memset(a, 0, sizeof a);
    memset(b, 0, sizeof b);
    running_open(&one, "llama3", 1, &q8_0);
    running_open(&many, "llama3", 3, &q8_0);
    scored(&one, NULL, DTYPE_F16, a);
    scored(&many, NULL, DTYPE_F16, b);
    for (size_t i = 0; i < SCORES; i++)
        assert_true(a[i].loss == b[i].loss);
    running_close(&one);
    running_close(&many);
}

static void logits_that_are_not_finite_are_refused(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    struct score score[SCORES];
    const struct windows w = cut();
    running_open(&r, "llama", 1, &f32);
    r.weights.hparams.norm_eps = NAN;
    const struct score_options o = {
        .model = &r.weights, .cache = DTYPE_F32, .kernels = &r.kernels, .pool = r.pool};
    assert_false(score_windows(&o, &w, score, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.text, "window 0: the logits of token 21 are not finite"));
    running_close(&r);
}

static void other_vocabularies_are_refused(void **state)
{
    (void)state;
    struct running a, b;
    struct err err = {0};
    running_open(&a, "llama", 1, &f32);
    running_open(&b, "qwen2", 1, &f32);
    assert_true(score_check_vocabularies(&a.weights, &a.weights, &err));
    b.weights.hparams.vocab = 300;
    assert_false(score_check_vocabularies(&a.weights, &b.weights, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "400 and 300"));
    b.weights.hparams.vocab = 400;
    static const struct meta_text other[] = {{"one", 3}, {"two", 3}};
    meta_set_texts(&b.checkpoint.meta, "tokenizer.ggml.tokens", other, 2);
    assert_false(score_check_vocabularies(&a.weights, &b.weights, &err));
    assert_non_null(strstr(err.text, "token 0 is"));
    running_close(&a);
    running_close(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_is_that_of_the_softmax),
        cmocka_unit_test(a_model_does_not_diverge_from_itself),
        cmocka_unit_test(divergence_is_not_negative_and_grows_with_the_error),
        cmocka_unit_test(threads_change_no_score),
        cmocka_unit_test(logits_that_are_not_finite_are_refused),
        cmocka_unit_test(other_vocabularies_are_refused),
    };
    return cmocka_run_group_tests_name("score", tests, NULL, NULL);
}
