/* The sampler: which candidates each step keeps, what they are drawn with, the same for a seed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/sampler.h"

#include <math.h>
#include <string.h>

enum { VOCAB = 1000, DRAWS = 40000 };

static const struct sampler_options all = {
    .temperature = 1.0, .top_p = 1.0, .repeat_penalty = 1.0, .repeat_last = 64};

static void fill(float logits[VOCAB])
{
    struct rng r = {7};
    for (int i = 0; i < VOCAB; i++)
        logits[i] = 3.0f * rng_normal(&r);
}

static void open_or_fail(struct sampler *s, const struct sampler_options *o, size_t vocab)
{
    struct err err = {0};
    if (!sampler_open(s, o, vocab, &err))
        fail_msg("%s", err.text);
}

/* With everything kept: all in order, with the probabilities of a softmax. */
static void choose_all(struct sampler *s, const float *logits)
{
    open_or_fail(s, &all, VOCAB);
    assert_true(sampler_choose(s, logits, NULL));
    assert_int_equal(s->candidates, VOCAB);
}

static void without_options_it_is_a_softmax(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler s;
    double sum = 0.0, p = 0.0;
    fill(logits);
    choose_all(&s, logits);
    for (int i = 0; i < VOCAB; i++)
        sum += exp((double)logits[i]);
    for (int i = 0; i < VOCAB; i++) {
        assert_true(fabs(s.candidate[i].p - exp((double)logits[s.candidate[i].id]) / sum) < 1e-12);
        assert_true(i == 0 || s.candidate[i].logit <= s.candidate[i - 1].logit);
        p += s.candidate[i].p;
    }
    assert_true(fabs(p - 1.0) < 1e-9);
    sampler_close(&s);
}

static void top_k_keeps_the_k_most_likely(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler every, s;
    fill(logits);
    choose_all(&every, logits);
    static const size_t counts[] = {1, 2, 3, 40, 999, 1000, 5000};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct sampler_options o = all;
        o.top_k = counts[i];
        open_or_fail(&s, &o, VOCAB);
        assert_true(sampler_choose(&s, logits, NULL));
        assert_int_equal(s.candidates, counts[i] < VOCAB ? counts[i] : VOCAB);
        for (size_t j = 0; j < s.candidates; j++)
            assert_int_equal(s.candidate[j].id, every.candidate[j].id);
        sampler_close(&s);
    }
    sampler_close(&every);
}

static void top_p_keeps_the_fewest_that_reach_p(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler every, s;
    fill(logits);
    choose_all(&every, logits);
    static const double wanted[] = {0.001, 0.1, 0.5, 0.9, 0.999};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct sampler_options o = all;
        double sum = 0.0;
        o.top_p = wanted[i];
        open_or_fail(&s, &o, VOCAB);
        assert_true(sampler_choose(&s, logits, NULL));
        for (size_t j = 0; j + 1 < s.candidates; j++)
            sum += every.candidate[j].p;
        assert_true(sum < wanted[i]);
        assert_true(sum + every.candidate[s.candidates - 1].p >= wanted[i]);
        sampler_close(&s);
    }
    sampler_close(&every);
}

static void min_p_keeps_what_is_near_the_first(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler every, s;
    fill(logits);
    choose_all(&every, logits);
    static const double wanted[] = {0.0, 0.001, 0.05, 0.5, 1.0};
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct sampler_options o = all;
        size_t count = 0;
        o.min_p = wanted[i];
        open_or_fail(&s, &o, VOCAB);
        assert_true(sampler_choose(&s, logits, NULL));
        while (count < VOCAB && every.candidate[count].p >= wanted[i] * every.candidate[0].p)
            count++;
        assert_int_equal(s.candidates, count);
        sampler_close(&s);
    }
    sampler_close(&every);
}

static void a_temperature_of_0_takes_the_first(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler_options o = SAMPLER_DEFAULTS;
    struct sampler s;
    uint32_t id, best = 0;
    fill(logits);
    for (uint32_t i = 0; i < VOCAB; i++)
        best = logits[i] > logits[best] ? i : best;
    logits[VOCAB - 1] = logits[best]; /* a tie: the lower id */
    o.temperature = 0.0;
    open_or_fail(&s, &o, VOCAB);
    for (int i = 0; i < 100; i++) {
        assert_true(sampler_draw(&s, logits, &id, NULL));
        assert_int_equal(id, best);
    }
    sampler_close(&s);
}

/* Each of eight tokens as often as it should, within five standard deviations. */
static void draws_follow_the_temperature(void **state)
{
    (void)state;
    static const float logits[8] = {0.0f, 1.0f, -1.0f, 2.0f, 0.5f, 3.0f, -8.0f, 2.5f};
    static const double temperatures[] = {0.5, 1.0, 2.0};
    for (size_t t = 0; t < 3; t++) {
        struct sampler_options o = all;
        struct sampler s;
        int count[8] = {0};
        double sum = 0.0;
        uint32_t id;
        o.temperature = temperatures[t];
        open_or_fail(&s, &o, 8);
        for (int i = 0; i < DRAWS; i++) {
            assert_true(sampler_draw(&s, logits, &id, NULL));
            count[id]++;
        }
        for (int i = 0; i < 8; i++)
            sum += exp((double)logits[i] / temperatures[t]);
        for (int i = 0; i < 8; i++) {
            const double p = exp((double)logits[i] / temperatures[t]) / sum;
            const double deviation = sqrt(p * (1.0 - p) * DRAWS);
            assert_true(fabs(count[i] - p * DRAWS) < 5.0 * deviation + 1.0);
        }
        sampler_close(&s);
    }
}

static void a_seed_gives_the_same_tokens(void **state)
{
    (void)state;
    float logits[VOCAB];
    struct sampler a, b, c;
    struct sampler_options o = SAMPLER_DEFAULTS;
    int differ = 0;
    fill(logits);
    open_or_fail(&a, &o, VOCAB);
    open_or_fail(&b, &o, VOCAB);
    o.seed = 1;
    open_or_fail(&c, &o, VOCAB);
    for (int i = 0; i < 100; i++) {
        uint32_t x, y, z;
        assert_true(sampler_draw(&a, logits, &x, NULL));
        assert_true(sampler_draw(&b, logits, &y, NULL));
        assert_true(sampler_draw(&c, logits, &z, NULL));
        assert_int_equal(x, y);
        differ += x != z;
    }
    assert_true(differ > 10);
    sampler_close(&a);
    sampler_close(&b);
    sampler_close(&c);
}

static float logit_of(const struct sampler *s, uint32_t id)
{
    for (size_t i = 0; i < s->candidates; i++)
        if (s->candidate[i].id == id)
            return s->candidate[i].logit;
    fail_msg("token %u is no candidate", id);
    return 0.0f;
}

static void only_the_last_tokens_are_penalized(void **state)
{
    (void)state;
    static const float logits[6] = {4.0f, -4.0f, 2.0f, -2.0f, 1.0f, 0.0f};
    struct sampler_options o = all;
    struct sampler s;
    o.repeat_penalty = 2.0;
    o.repeat_last = 3;
    open_or_fail(&s, &o, 6);
    for (uint32_t id = 0; id < 4; id++)
        sampler_accept(&s, id);
    sampler_accept(&s, 3); /* twice: penalized once.  2 3 3 are the last */
    assert_true(sampler_choose(&s, logits, NULL));
    static const float wanted[6] = {4.0f, -4.0f, 1.0f, -4.0f, 1.0f, 0.0f};
    for (uint32_t id = 0; id < 6; id++)
        assert_float_equal(logit_of(&s, id), wanted[id], 0.0);
    sampler_forget(&s);
    assert_true(sampler_choose(&s, logits, NULL));
    for (uint32_t id = 0; id < 6; id++)
        assert_float_equal(logit_of(&s, id), logits[id], 0.0);
    sampler_close(&s);
}

static void what_is_no_number_is_never_drawn(void **state)
{
    (void)state;
    const float some[4] = {NAN, -INFINITY, 1.0f, NAN}, none[4] = {NAN, NAN, NAN, NAN};
    struct err err = {0};
    struct sampler s;
    uint32_t id;
    open_or_fail(&s, &all, 4);
    assert_true(sampler_draw(&s, some, &id, &err));
    assert_int_equal(id, 2);
    assert_false(sampler_draw(&s, none, &id, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    sampler_close(&s);
}

static void options_out_of_range_are_named(void **state)
{
    (void)state;
    static const struct sampler_options wrong[] = {
        {.temperature = -1.0, .top_p = 1.0, .repeat_penalty = 1.0},
        {.top_p = 0.0, .repeat_penalty = 1.0},
        {.top_p = 1.5, .repeat_penalty = 1.0},
        {.top_p = 1.0, .min_p = -0.1, .repeat_penalty = 1.0},
        {.top_p = 1.0, .min_p = 1.1, .repeat_penalty = 1.0},
        {.top_p = 1.0, .repeat_penalty = 0.0},
    };
    static const char *const named[] = {"--temp",  "--top-p", "--top-p",
                                        "--min-p", "--min-p", "--repeat-penalty"};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct sampler s;
        struct err err = {0};
        assert_false(sampler_open(&s, &wrong[i], 4, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_non_null(strstr(err.text, named[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_options_it_is_a_softmax),
        cmocka_unit_test(top_k_keeps_the_k_most_likely),
        cmocka_unit_test(top_p_keeps_the_fewest_that_reach_p),
        cmocka_unit_test(min_p_keeps_what_is_near_the_first),
        cmocka_unit_test(a_temperature_of_0_takes_the_first),
        cmocka_unit_test(draws_follow_the_temperature),
        cmocka_unit_test(a_seed_gives_the_same_tokens),
        cmocka_unit_test(only_the_last_tokens_are_penalized),
        cmocka_unit_test(what_is_no_number_is_never_drawn),
        cmocka_unit_test(options_out_of_range_are_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
