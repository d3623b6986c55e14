/* Half a layer at a time is the same pass as the whole, and shows what the linears are fed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tests/model/running.h"

#include <math.h>

enum { TOKENS = 90, FIRST = 50 }; /* of a sequence, and of its first part */

/* What each input looked like last: tokens, and the sum of its values. */
struct seen {
    size_t width[4];
    int last; /* the input behind which a half ends; < 0: none */
    size_t calls[4], tokens[4];
    double sum[4];
};

static bool look(void *arg, enum forward_input input, const float *x, size_t tokens)
{
    struct seen *s = arg;
    s->calls[input]++;
    s->tokens[input] += tokens;
    for (size_t i = 0; i < tokens * s->width[input]; i++)
        s->sum[input] += (double)x[i];
    return (int)input != s->last;
}

static void fill(const struct running *r, uint32_t token[TOKENS])
{
    for (size_t i = 0; i < TOKENS; i++)
        token[i] = (uint32_t)((i * 37 + 11) % r->weights.hparams.vocab);
}

/* The states of all tokens, the sequence in two parts. */
static void run_whole(struct running *r, const uint32_t *token, float *states)
{
    struct err err = {0};
    struct kv_cache cache;
    const size_t embd = (size_t)r->weights.hparams.embd;
    const struct forward_sequence first = {token, FIRST, 0, FIRST},
                                  rest = {token + FIRST, TOKENS - FIRST, 0, TOKENS - FIRST};
    assert_true(
        kv_cache_open(&cache, &r->weights.hparams, &r->kernels, DTYPE_F32, 1, TOKENS, &err));
    assert_true(forward_run(&r->forward, &cache, &first, 1, states, &err));
    assert_true(forward_run(&r->forward, &cache, &rest, 1, states + FIRST * embd, &err));
    kv_cache_close(&cache);
}

static void run_halves(struct running *r, const uint32_t *token, float *states)
{
    struct err err = {0};
    struct kv_cache cache;
    struct hparams one = r->weights.hparams;
    const size_t embd = (size_t)one.embd, layers = (size_t)one.layers;
    float *x = mem_alloc(TOKENS * embd, sizeof *x), *rest = x + FIRST * embd;
    one.layers = 1;
    assert_true(kv_cache_open(&cache, &one, &r->kernels, DTYPE_F32, 1, TOKENS, &err));
    assert_true(forward_embed(&r->forward, token, FIRST, x, &err));
    assert_true(forward_embed(&r->forward, token + FIRST, TOKENS - FIRST, rest, &err));
    for (size_t layer = 0; layer < layers; layer++) {
        cache.length[0] = 0;
        forward_attention(&r->forward, &cache, layer, x, FIRST);
        forward_attention(&r->forward, &cache, layer, rest, TOKENS - FIRST);
        forward_ffn(&r->forward, layer, x, FIRST);
        forward_ffn(&r->forward, layer, rest, TOKENS - FIRST);
    }
    forward_states(&r->forward, x, TOKENS, states);
    kv_cache_close(&cache);
    free(x);
}

static void halves_are_the_whole(void **state)
{
    (void)state;
    const char *const models[] = {"llama", "mistral", "qwen2", "qwen3"};
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct running r;
        uint32_t token[TOKENS];
        running_open(&r, models[m], 2, &(struct running_change){0});
        const struct hparams *h = &r.weights.hparams;
        const size_t values = TOKENS * (size_t)h->embd;
        float *whole = mem_alloc(2 * values, sizeof *whole), *halves = whole + values;
        struct seen one = {.width = {h->embd, h->heads * h->value_dim, h->embd, h->ffn},
                           .last = -1},
                    two = one;
        fill(&r, token);
        r.forward.probe = (struct forward_probe){look, &one};
        run_whole(&r, token, whole);
        r.forward.probe = (struct forward_probe){look, &two};
        run_halves(&r, token, halves);
        assert_memory_equal(whole, halves, values * sizeof *whole);
        for (size_t i = 0; i < 4; i++) {
            assert_int_equal(two.calls[i], 2 * h->layers);
            assert_int_equal(two.tokens[i], TOKENS * h->layers);
            assert_int_equal(one.tokens[i], TOKENS * h->layers);
            assert_true(fabs(one.sum[i] - two.sum[i]) <= 1e-9 * (1 + fabs(one.sum[i])));
        }
        free(whole);
        running_close(&r);
    }
}

static void a_half_ends_where_the_probe_says(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    struct kv_cache cache;
    uint32_t token[TOKENS];
    running_open(&r, "llama", 2, &(struct running_change){0});
    struct hparams one = r.weights.hparams;
    const size_t values = TOKENS * (size_t)one.embd;
    float *x = mem_alloc(2 * values, sizeof *x), *before = x + values;
    one.layers = 1;
    fill(&r, token);
    assert_true(kv_cache_open(&cache, &one, &r.kernels, DTYPE_F32, 1, TOKENS, &err));
    assert_true(forward_embed(&r.forward, token, TOKENS, x, &err));
    memcpy(before, x, values * sizeof *x);
    for (int last = 0; last < 4; last++) {
        struct seen s = {.width = {1, 1, 1, 1}, .last = last};
        r.forward.probe = (struct forward_probe){look, &s};
        cache.length[0] = 0;
        if (last < 2)
            forward_attention(&r.forward, &cache, 0, x, TOKENS);
        else
            forward_ffn(&r.forward, 0, x, TOKENS);
        for (int input = 0; input < 4; input++)
            assert_int_equal(s.calls[input], input <= last && input / 2 == last / 2);
        assert_memory_equal(x, before, values * sizeof *x);
    }
    kv_cache_close(&cache);
    free(x);
    running_close(&r);
}

static void a_token_beyond_the_vocabulary_is_refused(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    float x[2 * 64];
    running_open(&r, "llama", 1, &(struct running_change){0});
    assert_int_equal(r.weights.hparams.embd, 64);
    const uint32_t token[2] = {0, (uint32_t)r.weights.hparams.vocab};
    assert_false(forward_embed(&r.forward, token, 2, x, &err));
    assert_int_equal(err.code, ERR_USAGE);
    running_close(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(halves_are_the_whole),
        cmocka_unit_test(a_half_ends_where_the_probe_says),
        cmocka_unit_test(a_token_beyond_the_vocabulary_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
