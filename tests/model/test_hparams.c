#include "core/json.h"
#include "model/hparams.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *golden(const char *model)
{
    char path[256];
    struct err err;
    snprintf(path, sizeof path, "tests/golden/models/%s/config.json", model);
    json_t *config = json_open(path, &err);
    assert_non_null(config);
    return config;
}

static struct hparams read_golden(const char *model)
{
    struct hparams h;
    struct err err;
    json_t *config = golden(model);
    assert_true(hparams_read_config(&h, config, &err));
    json_decref(config);
    return h;
}

static void a_config_is_read(void **state)
{
    (void)state;
    struct hparams h = read_golden("llama");
    assert_int_equal(h.layers, 2);
    assert_int_equal(h.embd, 64);
    assert_int_equal(h.ffn, 128);
    assert_int_equal(h.vocab, 400);
    assert_int_equal(h.context, 512);
    assert_int_equal(h.heads, 4);
    assert_int_equal(h.kv_heads, 2);
    assert_int_equal(h.head_dim, 16);
    assert_int_equal(h.value_dim, 16);
    assert_int_equal(h.rope_dims, 16);
    assert_int_equal(h.window, 0);
    assert_false(h.tied);
    assert_true(h.norm_eps == 1e-5);

    h = read_golden("mistral");
    assert_int_equal(h.window, 32);
    h = read_golden("qwen2"); /* no head_dim there, and a window that is switched off */
    assert_int_equal(h.head_dim, 16);
    assert_int_equal(h.window, 0);
    assert_true(h.tied);
    h = read_golden("deepseek_coder");
    assert_int_equal(h.rope.type, HF_ROPE_LINEAR);
    assert_true(h.rope.factor == 4.0 && h.rope.theta == 100000.0);
}

static void a_window_that_is_not_used_is_none(void **state)
{
    (void)state;
    struct hparams h;
    struct err err;
    json_t *config = golden("qwen2");
    json_object_set_new(config, "sliding_window", json_integer(4096));
    assert_true(hparams_read_config(&h, config, &err));
    assert_int_equal(h.window, 0);
    json_object_set_new(config, "use_sliding_window", json_true());
    assert_true(hparams_read_config(&h, config, &err));
    assert_int_equal(h.window, 4096);
    json_decref(config);
}

/* What is written as keys reads back as the same numbers. */
static void keys_read_back(void **state)
{
    (void)state;
    static const char *const model[] = {"llama", "mistral", "qwen3", "deepseek_coder"};
    for (size_t i = 0; i < sizeof model / sizeof model[0]; i++) {
        struct hparams h = read_golden(model[i]), back;
        struct meta meta = {.pairs = 0};
        struct err err;
        hparams_write(&h, "llama", &meta);
        assert_true(hparams_read_meta(&back, "llama", true, &meta, &err));
        assert_true((float)back.norm_eps == (float)h.norm_eps);
        back.norm_eps = h.norm_eps;
        back.tied = h.tied;
        back.rope.original_context = h.rope.original_context; /* a key for yarn alone */
        assert_memory_equal(&back, &h, sizeof h);
        meta_close(&meta);
    }
}

static void the_keys_are_those_of_the_specification(void **state)
{
    (void)state;
    static const struct {
        const char *key;
        uint64_t value;
    } want[] = {
        {"llama.block_count", 2},
        {"llama.context_length", 512},
        {"llama.embedding_length", 64},
        {"llama.feed_forward_length", 128},
        {"llama.attention.head_count", 4},
        {"llama.attention.head_count_kv", 2},
        {"llama.attention.key_length", 16},
        {"llama.attention.value_length", 16},
        {"llama.attention.sliding_window", 32},
        {"llama.rope.dimension_count", 16},
        {"llama.vocab_size", 400},
    };
    const struct hparams h = read_golden("mistral");
    struct meta meta = {.pairs = 0};
    uint64_t v;
    hparams_write(&h, "llama", &meta);
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_true(meta_get_u64(&meta, want[i].key, &v));
        assert_int_equal(v, want[i].value);
        assert_int_equal(meta_find(&meta, want[i].key)->type, META_U32);
    }
    assert_int_equal(meta_find(&meta, "llama.rope.freq_base")->type, META_F32);
    assert_int_equal(meta_find(&meta, "llama.attention.layer_norm_rms_epsilon")->type, META_F32);
    assert_int_equal(meta.pairs, sizeof want / sizeof want[0] + 2);
    meta_close(&meta);
}

static void yarn_has_its_keys(void **state)
{
    (void)state;
    struct hparams h;
    struct err err;
    struct meta meta = {.pairs = 0};
    double f;
    uint64_t u;
    json_t *config = golden("qwen2");
    json_object_set_new(config, "rope_parameters",
                        json_pack("{s:s, s:f, s:i, s:f}", "rope_type", "yarn", "factor", 4.0,
                                  "original_max_position_embeddings", 128, "attention_factor",
                                  1.0 + 0.1 * log(4.0)));
    assert_true(hparams_read_config(&h, config, &err));
    hparams_write(&h, "qwen2", &meta);
    assert_string_equal(meta_get_text(&meta, "qwen2.rope.scaling.type"), "yarn");
    assert_true(meta_get_f64(&meta, "qwen2.rope.scaling.factor", &f) && f == 4.0);
    assert_true(meta_get_u64(&meta, "qwen2.rope.scaling.original_context_length", &u) && u == 128);
    assert_true(meta_get_f64(&meta, "qwen2.rope.scaling.attn_factor", &f) && f == 1.0);

    struct hparams back;
    meta_set_f32(&meta, "qwen2.rope.scaling.attn_factor", 0.5f);
    meta_set_f32(&meta, "qwen2.rope.scaling.yarn_beta_fast", 16.0f);
    assert_true(hparams_read_meta(&back, "qwen2", true, &meta, &err));
    assert_int_equal(back.rope.type, HF_ROPE_YARN);
    assert_true(back.rope.factor == 4.0 && back.rope.original_context == 128);
    assert_true(back.rope.beta_fast == 16.0 && back.rope.beta_slow == 0.0);
    assert_true(fabs(back.rope.attention_factor - 0.5 * (1.0 + 0.1 * log(4.0))) < 1e-12);
    meta_remove(&meta, "qwen2.rope.scaling.type");
    assert_true(hparams_read_meta(&back, "qwen2", true, &meta, &err));
    assert_int_equal(back.rope.type, HF_ROPE_LINEAR);
    meta_close(&meta);
    json_decref(config);
}

static void bad_numbers_are_one_sentence(void **state)
{
    (void)state;
    static const struct {
        const char *change; /* laid over llama's config.json */
        const char *say[2];
    } bad[] = {
        {"{\"num_attention_heads\": 0}", {"'num_attention_heads'", "is 0"}},
        {"{\"num_attention_heads\": null}", {"'num_attention_heads'", "missing"}},
        {"{\"num_hidden_layers\": 0}", {"'num_hidden_layers'", "is 0"}},
        {"{\"num_key_value_heads\": 3}", {"4 attention heads", "3 key-value heads"}},
        {"{\"num_key_value_heads\": 0}", {"'num_key_value_heads'", "is 0"}},
        {"{\"num_attention_heads\": 6, \"head_dim\": null}", {"64", "6 attention heads"}},
        {"{\"head_dim\": 15}", {"15", "even"}},
        {"{\"hidden_size\": 2147483648}", {"'hidden_size'", "2147483648"}},
        {"{\"hidden_size\": -64}", {"'hidden_size'", "-64"}},
        {"{\"hidden_size\": \"64\"}", {"'hidden_size'", ""}},
        {"{\"vocab_size\": null}", {"'vocab_size'", "missing"}},
        {"{\"rms_norm_eps\": 0}", {"epsilon", "0"}},
        {"{\"rope_parameters\": {\"rope_theta\": 0}}", {"rope_theta", "0"}},
        {"{\"rope_parameters\": {\"rope_type\": \"linear\", \"factor\": 0}}", {"factor", "0"}},
        {"{\"rope_parameters\": {\"rope_type\": \"llama3\", \"factor\": 8, \"low_freq_factor\": 4, "
         "\"high_freq_factor\": 4, \"original_max_position_embeddings\": 64}}",
         {"low_freq_factor 4", "high_freq_factor 4"}},
        {"{\"partial_rotary_factor\": 0.01}", {"0 columns", "16"}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct hparams h;
        struct err err = {.code = ERR_NONE};
        json_t *config = golden("llama"), *change = json_loads(bad[i].change, 0, NULL);
        assert_non_null(change);
        json_object_update(config, change);
        assert_false(hparams_read_config(&h, config, &err));
        assert_int_equal(err.code, ERR_FORMAT);
        assert_non_null(strstr(err.text, "config.json"));
        assert_non_null(strstr(err.text, bad[i].say[0]));
        assert_non_null(strstr(err.text, bad[i].say[1]));
        json_decref(config);
        json_decref(change);
    }
}

static void a_known_gguf_needs_its_keys_an_unknown_one_does_not(void **state)
{
    (void)state;
    struct hparams h = read_golden("llama");
    struct err err;
    struct meta meta = {.pairs = 0};
    const int32_t heads[] = {8, 0, 8};
    hparams_write(&h, "mamba", &meta);
    meta_remove(&meta, "mamba.attention.head_count");
    assert_false(hparams_read_meta(&h, "mamba", true, &meta, &err));
    assert_non_null(strstr(err.text, "'mamba.attention.head_count' is missing"));
    assert_true(hparams_read_meta(&h, "mamba", false, &meta, &err));
    assert_int_equal(h.heads, 0);
    assert_int_equal(h.layers, 2);

    meta_set_text(&meta, "mamba.attention.head_count", "8");
    assert_false(hparams_read_meta(&h, "mamba", true, &meta, &err));
    assert_non_null(strstr(err.text, "'mamba.attention.head_count' is text"));
    meta_set_i32s(&meta, "mamba.attention.head_count", heads, 3); /* one a layer */
    assert_true(hparams_read_meta(&h, "mamba", true, &meta, &err));
    assert_int_equal(h.heads, 8);
    meta_close(&meta);
}

/* The figures of the 3.1 models: 64 pairs, factor 8, 1 to 4 turns in 8192 positions.  The
 * expected values were computed with numpy in float64 (tests/oracle/test_plan.py does more). */
static void llama_31s_factors(void **state)
{
    (void)state;
    const struct hparams h = {
        .rope_dims = 128,
        .rope = {.theta = 500000.0,
                 .type = HF_ROPE_LLAMA3,
                 .factor = 8.0,
                 .original_context = 8192,
                 .low_freq_factor = 1.0,
                 .high_freq_factor = 4.0},
    };
    float f[64];
    hparams_rope_factors(&h, f);
    for (int i = 0; i < 64; i++) {
        const double wave = 2.0 * acos(-1.0) * pow(500000.0, i / 64.0);
        if (wave < 8192.0 / 4.0)
            assert_true(f[i] == 1.0f);
        else if (wave > 8192.0)
            assert_true(f[i] == 8.0f);
        else
            assert_true(f[i] > f[i - 1] && f[i] < 8.0f);
    }
    assert_true(f[28] == 1.0f && f[29] > 1.0f && f[34] < 8.0f && f[35] == 8.0f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_config_is_read),
        cmocka_unit_test(a_window_that_is_not_used_is_none),
        cmocka_unit_test(keys_read_back),
        cmocka_unit_test(the_keys_are_those_of_the_specification),
        cmocka_unit_test(yarn_has_its_keys),
        cmocka_unit_test(bad_numbers_are_one_sentence),
        cmocka_unit_test(a_known_gguf_needs_its_keys_an_unknown_one_does_not),
        cmocka_unit_test(llama_31s_factors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
