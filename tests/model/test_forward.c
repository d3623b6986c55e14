/* The forward pass against reference logits, against itself in other batches, and on files that
 * are not what their keys say. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/half.h"
#include "tests/model/running.h"

#include <math.h>

static const char *const models[] = {"llama",   "llama3", "deepseek_coder",
                                     "mistral", "qwen2",  "qwen3"};
enum { MODELS = sizeof models / sizeof models[0], TOKENS = 48, TEXTS = 2 };

/* tests/golden/models/NAME/reference.safetensors */
struct reference {
    struct checkpoint file;
    uint32_t token[TEXTS][TOKENS];
    const float *logits; /* TEXTS x TOKENS x vocab */
    size_t vocab;
};

static void reference_open(struct reference *r, const char *model)
{
    struct err err = {0};
    char path[160];
    snprintf(path, sizeof path, "tests/golden/models/%s/reference.safetensors", model);
    memset(r, 0, sizeof *r);
    if (!checkpoint_open(&r->file, path, &err))
        fail_msg("%s", err.text);
    const struct tensor *ids = checkpoint_find(&r->file, "input_ids");
    const struct tensor *logits = checkpoint_find(&r->file, "logits");
    assert_int_equal(ids->bytes, sizeof r->token);
    memcpy(r->token, ids->data, sizeof r->token);
    r->logits = (const float *)(const void *)logits->data;
    r->vocab = (size_t)logits->shape[2];
}

static double relative_error(const float *got, const float *want, size_t n)
{
    double error = 0.0, size = 0.0;
    for (size_t i = 0; i < n; i++) {
        error += ((double)got[i] - want[i]) * ((double)got[i] - want[i]);
        size += (double)want[i] * want[i];
    }
    return sqrt(error / size);
}

/* Logits of all tokens of both reference texts; split: how many tokens go in at a time (0: all). */
static float *logits_of(struct running *r, const struct reference *reference, enum dtype_id cache,
                        bool together, size_t split)
{
    struct err err = {0};
    struct kv_cache kv;
    const size_t embd = (size_t)r->weights.hparams.embd;
    const size_t step = split ? split : TOKENS;
    float *states = mem_alloc(TEXTS * TOKENS * embd, sizeof *states);
    float *logits = mem_alloc(TEXTS * TOKENS * reference->vocab, sizeof *logits);
    if (!kv_cache_open(&kv, &r->weights.hparams, &r->kernels, cache, TEXTS, TOKENS, &err))
        fail_msg("%s", err.text);
    if (together) {
        const struct forward_sequence both[] = {{reference->token[0], TOKENS, 1, TOKENS},
                                                {reference->token[1], TOKENS, 0, TOKENS}};
        assert_true(forward_run(&r->forward, &kv, both, 2, states, &err));
    }
    for (size_t text = 0; !together && text < TEXTS; text++)
        for (size_t i = 0; i < TOKENS; i += step) {
            const size_t n = TOKENS - i < step ? TOKENS - i : step;
            const struct forward_sequence one = {reference->token[text] + i, n, text, n};
            float *to = states + (text * TOKENS + i) * embd;
            assert_true(forward_run(&r->forward, &kv, &one, 1, to, &err));
        }
    forward_logits(&r->forward, states, TEXTS * TOKENS, logits);
    kv_cache_close(&kv);
    free(states);
    return logits;
}

/* The references come from models whose buffers were in half precision: their rotary frequencies
 * are rounded to F16.  A perplexity beside stock's (tests/oracle/test_eval.py) tests ours. */
static void round_frequencies(struct rope *rope)
{
    static float rounded[64];
    assert_true(rope->dims / 2 <= 64);
    for (size_t i = 0; i < rope->dims / 2; i++)
        rounded[i] = half_to_float(half_from_float(rope->frequency[i]));
    rope->frequency = rounded;
}

/* Runs the model so and gives the error against the reference. */
static double error_with(const char *model, const struct running_change *change,
                         enum dtype_id cache, bool together, size_t split)
{
    struct running r;
    struct reference reference;
    running_open(&r, model, 2, change);
    reference_open(&reference, model);
    round_frequencies(&r.weights.rope);
    float *got = logits_of(&r, &reference, cache, together, split);
    const double error = relative_error(got, reference.logits, TEXTS * TOKENS * reference.vocab);
    free(got);
    checkpoint_close(&reference.file);
    running_close(&r);
    return error;
}

static double error_of(const char *model, enum dtype_id type, enum dtype_id cache, bool together,
                       size_t split)
{
    return error_with(model, &(struct running_change){.type = type}, cache, together, split);
}

static void logits_agree_with_the_reference(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        const double f32 = error_of(models[m], DTYPE_F32, DTYPE_F32, false, 0);
        const double f16 = error_of(models[m], DTYPE_F16, DTYPE_F32, false, 0);
        print_message("# %s: relative error %.1e in F32, %.1e in F16\n", models[m], f32, f16);
        assert_true(f32 < 1e-5 && f16 < 1e-5);
    }
}

static void a_half_cache_costs_little(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        assert_true(error_of(models[m], DTYPE_F32, DTYPE_F16, false, 0) < 2e-3);
}

static void eight_bit_weights_cost_little(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        assert_true(error_of(models[m], DTYPE_Q8_0, DTYPE_F32, false, 0) < 3e-2);
}

/* Float weights lose nothing by fast products; with blocks, activations in eight bits add little to
 * what the blocks lost. */
static void fast_products_cost_little(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        struct running_change change = {.type = DTYPE_F16, .fast = true};
        const double f16 = error_with(models[m], &change, DTYPE_F32, false, 0);
        change.type = DTYPE_Q8_0;
        const double q8 = error_with(models[m], &change, DTYPE_F32, false, 0);
        const double exact = error_of(models[m], DTYPE_Q8_0, DTYPE_F32, false, 0);
        print_message("# %s: relative error %.1e in F16, %.2e in Q8_0 (exact products: %.2e)\n",
                      models[m], f16, q8, exact);
        assert_true(f16 < 1e-5);
        assert_true(q8 < 1.6 * exact);
    }
}

static void sequences_together_are_those_one_by_one(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++)
        assert_true(error_of(models[m], DTYPE_F32, DTYPE_F32, true, 0) < 1e-5);
}

static void token_by_token_is_all_at_once(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        assert_true(error_of(models[m], DTYPE_F32, DTYPE_F32, false, 1) < 1e-5);
        assert_true(error_of(models[m], DTYPE_F32, DTYPE_F32, false, 7) < 1e-5);
    }
}

static void threads_change_no_bit(bool fast)
{
    struct reference reference;
    float *want = NULL;
    reference_open(&reference, "qwen3");
    for (int threads = 1; threads <= 5; threads += 2) {
        struct running r;
        running_open(&r, "qwen3", threads,
                     &(struct running_change){.type = DTYPE_Q4_0, .fast = fast});
        float *got = logits_of(&r, &reference, DTYPE_F16, true, 0);
        if (want)
            assert_memory_equal(got, want, TEXTS * TOKENS * reference.vocab * sizeof *got);
        if (!want)
            want = got;
        else
            free(got);
        running_close(&r);
    }
    free(want);
    checkpoint_close(&reference.file);
}

static void threads_change_no_bit_exactly(void **state)
{
    (void)state;
    threads_change_no_bit(false);
}

static void threads_change_no_bit_fast(void **state)
{
    (void)state;
    threads_change_no_bit(true);
}

/* More tokens than a piece has, of three sequences, with states of the last few. */
static void a_long_batch_is_its_pieces(void **state)
{
    (void)state;
    enum { LONG = FORWARD_PIECE + 200, LAST = 3 };
    struct running r;
    struct err err = {0};
    struct kv_cache together, apart;
    uint32_t token[LONG];
    running_open(&r, "llama3", 2, &(struct running_change){.type = DTYPE_F32});
    const struct hparams *h = &r.weights.hparams;
    const size_t embd = (size_t)h->embd;
    for (int i = 0; i < LONG; i++)
        token[i] = (uint32_t)(i * 37 + 11) % 400;
    assert_true(kv_cache_open(&together, h, &r.kernels, DTYPE_F32, 3, LONG, &err));
    assert_true(kv_cache_open(&apart, h, &r.kernels, DTYPE_F32, 3, LONG, &err));
    const struct forward_sequence s[] = {
        {token, LONG, 0, LAST}, {token, 400, 2, LAST}, {token, 9, 1, LAST}};
    float *got = mem_alloc(3 * LAST * embd, sizeof *got);
    float *want = mem_alloc(3 * LAST * embd, sizeof *want);
    assert_true(forward_run(&r.forward, &together, s, 3, got, &err));
    for (size_t i = 0; i < 3; i++) {
        struct forward_sequence head = s[i], tail = s[i];
        head.tokens = s[i].tokens - LAST;
        head.states = 0;
        tail.tokens = LAST;
        tail.token += head.tokens;
        assert_true(forward_run(&r.forward, &apart, &head, 1, NULL, &err));
        assert_true(forward_run(&r.forward, &apart, &tail, 1, want + i * LAST * embd, &err));
    }
    assert_true(relative_error(got, want, 3 * LAST * embd) < 1e-5);
    assert_int_equal(together.length[2], 400);
    free(got);
    free(want);
    kv_cache_close(&together);
    kv_cache_close(&apart);
    running_close(&r);
}

struct seen {
    size_t layers;
    double norm[8];
};

static void see(void *arg, size_t layer, const float *x, size_t tokens)
{
    struct seen *seen = arg;
    assert_int_equal(layer, seen->layers++);
    for (size_t i = 0; i < tokens * 64; i++)
        seen->norm[layer] += (double)x[i] * x[i];
}

static void a_tap_sees_every_layer(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    struct kv_cache kv;
    struct seen seen = {0};
    const uint32_t token[] = {5, 6, 7};
    running_open(&r, "llama", 1, &(struct running_change){.type = DTYPE_F32});
    assert_true(kv_cache_open(&kv, &r.weights.hparams, &r.kernels, DTYPE_F32, 1, 8, &err));
    r.forward.tap = (struct forward_tap){see, &seen};
    const struct forward_sequence s = {token, 3, 0, 0};
    assert_true(forward_run(&r.forward, &kv, &s, 1, NULL, &err));
    assert_int_equal(seen.layers, r.weights.hparams.layers + 1);
    double embedded = 0.0;
    float row[64];
    const struct tensor *t = r.weights.embedding;
    for (int i = 0; i < 3; i++) {
        r.kernels.decode[t->dtype->id](row, t->data + t->bytes / 400 * (size_t)token[i], 64);
        for (int j = 0; j < 64; j++)
            embedded += (double)row[j] * row[j];
    }
    assert_true(fabs(seen.norm[0] / embedded - 1.0) < 1e-12);
    assert_true(seen.norm[0] != seen.norm[1] && seen.norm[1] != seen.norm[2]);
    kv_cache_close(&kv);
    running_close(&r);
}

static void what_does_not_fit_is_refused(void **state)
{
    (void)state;
    struct running r;
    struct err err = {0};
    struct kv_cache kv;
    const uint32_t good[] = {1, 2, 3, 4, 5}, bad[] = {1, 400}, huge[] = {UINT32_MAX};
    running_open(&r, "llama", 1, &(struct running_change){.type = DTYPE_F32});
    assert_false(kv_cache_open(&kv, &r.weights.hparams, &r.kernels, DTYPE_Q8_0, 1, 4, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_true(kv_cache_open(&kv, &r.weights.hparams, &r.kernels, DTYPE_F16, 1, 4, &err));
    const struct forward_sequence refused[] = {{good, 5, 0, 0}, {bad, 2, 0, 0}, {huge, 1, 0, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_false(forward_run(&r.forward, &kv, &refused[i], 1, NULL, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_int_equal(kv.length[0], 0);
    }
    assert_non_null(strstr(err.text, "token 0 is 4294967295"));
    kv_cache_close(&kv);
    running_close(&r);
}

/* The changed file must be refused in a sentence with these words. */
static void refused(const char *model, struct running_change change, enum err_code code,
                    const char *say)
{
    struct running r;
    struct err err = {0};
    change.type = DTYPE_F16;
    running_prepare(&r, model, 1, &change);
    assert_false(weights_open(&r.weights, &r.checkpoint, &r.kernels, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, say))
        fail_msg("'%s' does not say '%s'", err.text, say);
    running_close(&r);
}

static void a_file_must_be_what_its_keys_say(void **state)
{
    (void)state;
    refused("llama", (struct running_change){.left_out = "blk.1.ffn_up.weight"}, ERR_FORMAT,
            "'blk.1.ffn_up.weight' is missing");
    refused("qwen2", (struct running_change){.left_out = "blk.0.attn_k.bias"}, ERR_FORMAT,
            "'blk.0.attn_k.bias' is missing");
    refused("llama",
            (struct running_change){.renamed = "blk.0.attn_q.weight", .to = "blk.0.odd.weight"},
            ERR_FORMAT, "'blk.0.odd.weight' has no place");
    refused("llama", (struct running_change){.key = "llama.feed_forward_length", .value = 96},
            ERR_FORMAT, "'blk.0.ffn_gate.weight' is 128 x 64, the model's keys ask for 96 x 64");
    refused("llama", (struct running_change){.key = "llama.block_count", .value = 1000000},
            ERR_FORMAT, "1000000 layers in a file of 21 tensors");
    refused("llama", (struct running_change){.key = "llama.block_count", .value = 1}, ERR_FORMAT,
            "has no place in a 1-layer model");
    refused("llama3", (struct running_change){.key = "llama.rope.dimension_count", .value = 8},
            ERR_FORMAT, "'rope_freqs.weight' is 8, the model's keys ask for 4");
}

static void a_folder_is_no_gguf(void **state)
{
    (void)state;
    struct err err = {0};
    struct checkpoint c = {0};
    struct kernels k;
    struct weights w;
    kernels_init(&k, 0);
    assert_true(checkpoint_open(&c, "tests/golden/models/llama", &err));
    assert_false(weights_open(&w, &c, &k, &err));
    assert_int_equal(err.code, ERR_USAGE);
    checkpoint_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(logits_agree_with_the_reference),
        cmocka_unit_test(a_half_cache_costs_little),
        cmocka_unit_test(eight_bit_weights_cost_little),
        cmocka_unit_test(fast_products_cost_little),
        cmocka_unit_test(sequences_together_are_those_one_by_one),
        cmocka_unit_test(token_by_token_is_all_at_once),
        cmocka_unit_test(threads_change_no_bit_exactly),
        cmocka_unit_test(threads_change_no_bit_fast),
        cmocka_unit_test(a_long_batch_is_its_pieces),
        cmocka_unit_test(a_tap_sees_every_layer),
        cmocka_unit_test(what_does_not_fit_is_refused),
        cmocka_unit_test(a_file_must_be_what_its_keys_say),
        cmocka_unit_test(a_folder_is_no_gguf),
    };
    return cmocka_run_group_tests_name("forward", tests, NULL, NULL);
}
