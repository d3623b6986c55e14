/* config.json in the forms that people have. */
#include "core/json.h"
#include "formats/hf_config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *parse(const char *text)
{
    struct err err = {0};
    json_t *config = json_parse("config.json", text, strlen(text), &err);
    if (!config)
        fail_msg("%s", err.text);
    return config;
}

static void the_first_name_that_is_there_answers(void **state)
{
    (void)state;
    json_t *c = parse("{\"n_embd\":null,\"hidden_size\":64,\"d_model\":1,"
                      "\"text_config\":{\"n_layer\":7,\"hidden_size\":9}}");
    struct err err = {0};
    uint64_t v = 5;
    assert_true(hf_config_u64(c, "n_embd|hidden_size|d_model", &v, &err));
    assert_int_equal(v, 64);
    assert_true(hf_config_u64(c, "num_hidden_layers|n_layer", &v, &err));
    assert_int_equal(v, 7);
    assert_true(hf_config_u64(c, "nothing|n_embd", &v, &err));
    assert_int_equal(v, 7);
    assert_true(hf_config_u64(NULL, "hidden_size", &v, &err));
    assert_int_equal(v, 7);
    assert_null(hf_config_find(c, "n_embd"));
    assert_non_null(hf_config_find(c, "n_embd|text_config"));
    json_decref(c);
}

static void a_member_of_another_kind_is_named(void **state)
{
    (void)state;
    json_t *c = parse("{\"a\":\"text\",\"b\":[1],\"c\":true,\"d\":{},\"n\":1}");
    struct err err = {0};
    uint64_t u = 0;
    double f = 0;
    bool b = false;
    const char *text = NULL;
    assert_false(hf_config_u64(c, "z|a", &u, &err));
    assert_string_equal(err.text, "config.json: 'a' is a text, a number was expected");
    assert_false(hf_config_u64(c, "b", &u, &err));
    assert_string_equal(err.text, "config.json: 'b' is a list, a number was expected");
    assert_false(hf_config_f64(c, "c", &f, &err));
    assert_string_equal(err.text, "config.json: 'c' is true or false, a number was expected");
    assert_false(hf_config_bool(c, "n", &b, &err));
    assert_string_equal(err.text, "config.json: 'n' is a number, true or false was expected");
    assert_false(hf_config_text(c, "d", &text, &err));
    assert_string_equal(err.text, "config.json: 'd' is an object, a text was expected");
    assert_int_equal(err.code, ERR_FORMAT);
    json_decref(c);
}

static void counts_are_whole_and_not_negative(void **state)
{
    (void)state;
    json_t *c = parse("{\"whole\":4096.0,\"negative\":-3,\"part\":2.5,\"huge\":1e30,\"zero\":-0.0,"
                      "\"most\":9223372036854775807}");
    struct err err = {0};
    uint64_t v = 0;
    assert_true(hf_config_u64(c, "whole", &v, &err));
    assert_int_equal(v, 4096);
    assert_true(hf_config_u64(c, "most", &v, &err));
    assert_true(v == INT64_MAX);
    assert_true(hf_config_u64(c, "zero", &v, &err));
    assert_int_equal(v, 0);
    assert_false(hf_config_u64(c, "negative", &v, &err));
    assert_string_equal(err.text, "config.json: 'negative' is -3, a whole number from 0 to 2^53 "
                                  "was expected");
    assert_false(hf_config_u64(c, "part", &v, &err));
    assert_false(hf_config_u64(c, "huge", &v, &err));
    assert_non_null(strstr(err.text, "'huge' is 1e+30"));
    json_decref(c);
}

static void booleans_and_texts_are_read(void **state)
{
    (void)state;
    json_t *c = parse("{\"t\":true,\"f\":false,\"s\":\"silu\",\"nul\":\"a\\u0000b\"}");
    struct err err = {0};
    bool b = false;
    const char *text = NULL;
    assert_true(hf_config_bool(c, "t", &b, &err) && b);
    assert_true(hf_config_bool(c, "f", &b, &err) && !b);
    assert_true(hf_config_text(c, "s", &text, &err));
    assert_string_equal(text, "silu");
    assert_false(hf_config_text(c, "nul", &text, &err));
    assert_string_equal(err.text, "config.json: 'nul' holds a NUL");
    json_decref(c);
}

/* The rotary members of config.json as their authors published them, and what they mean. */
static void published_rope_forms_are_understood(void **state)
{
    (void)state;
    static const struct {
        const char *who, *text;
        struct hf_rope is;
    } form[] = {
        {"Llama 1: nothing", "{}", {.theta = 10000, .factor = 1, .partial_rotary_factor = 1}},
        {"Llama 2",
         "{\"rope_scaling\":null}",
         {.theta = 10000, .factor = 1, .partial_rotary_factor = 1}},
        {"Llama 3",
         "{\"rope_scaling\":null,\"rope_theta\":500000.0}",
         {.theta = 500000, .factor = 1, .partial_rotary_factor = 1}},
        {"Llama 3.1",
         "{\"rope_scaling\":{\"factor\":8.0,\"low_freq_factor\":1.0,\"high_freq_factor\":4.0,"
         "\"original_max_position_embeddings\":8192,\"rope_type\":\"llama3\"},"
         "\"rope_theta\":500000.0}",
         {.theta = 500000,
          .type = HF_ROPE_LLAMA3,
          .factor = 8,
          .original_context = 8192,
          .low_freq_factor = 1,
          .high_freq_factor = 4,
          .partial_rotary_factor = 1}},
        {"Code Llama",
         "{\"rope_theta\":1000000,\"rope_scaling\":null}",
         {.theta = 1000000, .factor = 1, .partial_rotary_factor = 1}},
        {"DeepSeek Coder",
         "{\"rope_scaling\":{\"factor\":4.0,\"type\":\"linear\"},"
         "\"rope_theta\":100000}",
         {.theta = 100000, .type = HF_ROPE_LINEAR, .factor = 4, .partial_rotary_factor = 1}},
        {"Qwen2.5 with YaRN, both names of the type",
         "{\"rope_theta\":1000000.0,\"rope_scaling\":{\"factor\":4.0,\"type\":\"yarn\","
         "\"rope_type\":\"yarn\",\"original_max_position_embeddings\":32768}}",
         {.theta = 1000000,
          .type = HF_ROPE_YARN,
          .factor = 4,
          .original_context = 32768,
          .partial_rotary_factor = 1}},
        {"Yarn-Mistral",
         "{\"rope_scaling\":{\"factor\":16.0,\"finetuned\":true,"
         "\"original_max_position_embeddings\":8192,\"type\":\"yarn\"}}",
         {.theta = 10000,
          .type = HF_ROPE_YARN,
          .factor = 16,
          .original_context = 8192,
          .partial_rotary_factor = 1}},
        {"DeepSeek V2",
         "{\"rope_scaling\":{\"beta_fast\":32,\"beta_slow\":1,\"factor\":40,"
         "\"mscale\":0.707,\"mscale_all_dim\":0.707,"
         "\"original_max_position_embeddings\":4096,\"type\":\"yarn\"}}",
         {.theta = 10000,
          .type = HF_ROPE_YARN,
          .factor = 40,
          .original_context = 4096,
          .beta_fast = 32,
          .beta_slow = 1,
          .mscale = 0.707,
          .partial_rotary_factor = 1}},
        {"Phi-3 128k, its first form",
         "{\"original_max_position_embeddings\":4096,\"rope_scaling\":{\"long_factor\":[1.0],"
         "\"short_factor\":[1.0],\"type\":\"su\"}}",
         {.theta = 10000,
          .type = HF_ROPE_LONGROPE,
          .factor = 1,
          .original_context = 4096,
          .partial_rotary_factor = 1}},
        {"GPT-NeoX",
         "{\"rotary_emb_base\":25000,\"rotary_pct\":0.25}",
         {.theta = 25000, .factor = 1, .partial_rotary_factor = 0.25}},
        {"transformers 5",
         "{\"rope_parameters\":{\"rope_theta\":2000.0,\"rope_type\":\"default\","
         "\"partial_rotary_factor\":0.5}}",
         {.theta = 2000, .factor = 1, .partial_rotary_factor = 0.5}},
        {"transformers 5, by layer type",
         "{\"rope_parameters\":{\"sliding_attention\":{\"rope_theta\":10000.0,\"rope_type\":"
         "\"default\"},\"full_attention\":{\"rope_theta\":1000000.0,\"rope_type\":\"linear\","
         "\"factor\":8.0}}}",
         {.theta = 1000000, .type = HF_ROPE_LINEAR, .factor = 8, .partial_rotary_factor = 1}},
        {"transformers 5, YaRN added by hand",
         "{\"rope_parameters\":{\"rope_theta\":7000.0,\"rope_type\":\"default\"},\"rope_scaling\":"
         "{\"rope_type\":\"yarn\",\"factor\":2.0,\"attention_factor\":1.5}}",
         {.theta = 7000,
          .type = HF_ROPE_YARN,
          .factor = 2,
          .attention_factor = 1.5,
          .partial_rotary_factor = 1}},
        {"a text model within",
         "{\"text_config\":{\"rope_theta\":3000.0}}",
         {.theta = 3000, .factor = 1, .partial_rotary_factor = 1}},
    };
    for (size_t i = 0; i < sizeof form / sizeof *form; i++) {
        json_t *c = parse(form[i].text);
        struct err err = {0};
        struct hf_rope r;
        const struct hf_rope *is = &form[i].is;
        if (!hf_config_rope(c, &r, &err))
            fail_msg("%s: %s", form[i].who, err.text);
        if (r.theta != is->theta || r.type != is->type || r.factor != is->factor ||
            r.original_context != is->original_context ||
            r.low_freq_factor != is->low_freq_factor ||
            r.high_freq_factor != is->high_freq_factor ||
            r.attention_factor != is->attention_factor || r.beta_fast != is->beta_fast ||
            r.beta_slow != is->beta_slow || r.mscale != is->mscale ||
            r.partial_rotary_factor != is->partial_rotary_factor)
            fail_msg("%s: theta %g type %d factor %g", form[i].who, r.theta, (int)r.type, r.factor);
        json_decref(c);
    }
}

static void a_rope_that_makes_no_sense_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum err_code code;
        const char *sentence;
    } bad[] = {
        {"{\"rope_theta\":\"big\"}", ERR_FORMAT,
         "config.json: 'rope_theta' is a text, a number was expected"},
        {"{\"rope_theta\":-1}", ERR_FORMAT, "config.json: 'rope_theta' is -1, less than 0"},
        {"{\"rope_scaling\":4}", ERR_FORMAT, "config.json: 'rope_scaling' is not an object"},
        {"{\"rope_scaling\":{\"type\":\"linear\"}}", ERR_FORMAT,
         "config.json: the rope scaling has no 'factor'"},
        {"{\"rope_scaling\":{\"factor\":2}}", ERR_FORMAT,
         "config.json: a rope scaling with a factor, but no 'rope_type'"},
        {"{\"rope_scaling\":{\"type\":\"linear\",\"factor\":[2]}}", ERR_FORMAT,
         "config.json: 'factor' is a list, a number was expected"},
        {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1}}",
         ERR_FORMAT, "config.json: the rope scaling has no 'high_freq_factor'"},
        {"{\"rope_scaling\":{\"rope_type\":\"llama3\",\"factor\":8,\"low_freq_factor\":1,"
         "\"high_freq_factor\":4}}",
         ERR_FORMAT, "config.json: the rope scaling has no 'original_max_position_embeddings'"},
        {"{\"rope_scaling\":{\"rope_type\":\"ntk_yarn\",\"factor\":8}}", ERR_UNSUPPORTED,
         "config.json: unknown rope_type 'ntk_yarn' (known: default, linear, dynamic, yarn, "
         "llama3, longrope)"},
        {"{\"rope_parameters\":{\"sliding_attention\":{\"rope_theta\":1.0}}}", ERR_UNSUPPORTED,
         "config.json: 'rope_parameters' has neither a 'rope_type' or 'rope_theta' nor a member "
         "'full_attention' that has them"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        json_t *c = parse(bad[i].text);
        struct err err = {0};
        struct hf_rope r;
        if (hf_config_rope(c, &r, &err))
            fail_msg("was taken: %s", bad[i].text);
        assert_string_equal(err.text, bad[i].sentence);
        assert_int_equal(err.code, bad[i].code);
        json_decref(c);
    }
}

/* What transformers itself wrote. */
static void golden_configs_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        double theta;
        enum hf_rope_type type;
        double factor;
        const char *dtype;
    } golden[] = {
        {"llama", 10000, HF_ROPE_NONE, 1, "float16"},
        {"llama3", 500000, HF_ROPE_LLAMA3, 8, "float16"},
        {"llama_bf16", 10000, HF_ROPE_NONE, 1, "bfloat16"},
        {"deepseek_coder", 100000, HF_ROPE_LINEAR, 4, "float16"},
        {"mistral", 10000, HF_ROPE_NONE, 1, "float16"},
        {"qwen2", 10000, HF_ROPE_NONE, 1, "float16"},
        {"qwen3", 10000, HF_ROPE_NONE, 1, "float16"},
    };
    for (size_t i = 0; i < sizeof golden / sizeof *golden; i++) {
        char path[128];
        snprintf(path, sizeof path, "tests/golden/models/%s/config.json", golden[i].model);
        struct err err = {0};
        json_t *c = json_open(path, &err);
        if (!c)
            fail_msg("%s", err.text);
        struct hf_rope r;
        uint64_t hidden = 0;
        const char *dtype = NULL;
        assert_true(hf_config_rope(c, &r, &err));
        assert_true(r.theta == golden[i].theta && r.type == golden[i].type &&
                    r.factor == golden[i].factor);
        assert_true(hf_config_u64(c, "hidden_size", &hidden, &err));
        assert_int_equal(hidden, 64);
        assert_true(hf_config_text(c, "dtype|torch_dtype", &dtype, &err));
        assert_string_equal(dtype, golden[i].dtype);
        json_decref(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_name_that_is_there_answers),
        cmocka_unit_test(a_member_of_another_kind_is_named),
        cmocka_unit_test(counts_are_whole_and_not_negative),
        cmocka_unit_test(booleans_and_texts_are_read),
        cmocka_unit_test(published_rope_forms_are_understood),
        cmocka_unit_test(a_rope_that_makes_no_sense_is_named),
        cmocka_unit_test(golden_configs_are_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
