#include "model/names.h"
#include "model/plan.h"
#include "quantize/kernels.h"
#include "tests/model/altered.h"
#include "tests/model/planned.h"

static const struct plan_options none = {.pre = NULL};

/* The altered model must be refused in a sentence with these parts. */
static void refused(struct altered *a, enum err_code code, const char *say, const char *and)
{
    struct planned o;
    struct err err = {.code = ERR_NONE};
    assert_false(planned_open(&o, altered_save(a), &none, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, say) || !strstr(err.text, and))
        fail_msg("'%s' does not say '%s' and '%s'", err.text, say, and);
    altered_close(a);
}

static void every_golden_model_has_a_plan(void **state)
{
    (void)state;
    static const struct {
        const char *model, *arch;
        size_t tensors;
        enum dtype_id type;
    } want[] = {
        {"llama", "llama", 21, DTYPE_F16},          {"llama3", "llama", 21, DTYPE_F16},
        {"llama_bf16", "llama", 21, DTYPE_BF16},    {"llama_sharded", "llama", 21, DTYPE_F16},
        {"deepseek_coder", "llama", 21, DTYPE_F16}, {"mistral", "llama", 21, DTYPE_F16},
        {"qwen2", "qwen2", 26, DTYPE_F16},          {"qwen3", "qwen3", 25, DTYPE_F16},
    };
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct planned o;
        struct err err;
        char folder[128];
        snprintf(folder, sizeof folder, "tests/golden/models/%s", want[i].model);
        if (!planned_open(&o, folder, &none, &err))
            fail_msg("%s", err.text);
        assert_string_equal(o.plan.arch->name, want[i].arch);
        assert_int_equal(o.plan.tensors, want[i].tensors);
        for (size_t t = 0; t < o.plan.tensors; t++) {
            const struct plan_tensor *x = &o.plan.tensor[t];
            assert_true(x->keep == (x->out.dims == 1));
            assert_int_equal(x->out.dtype->id, x->keep ? DTYPE_F32 : want[i].type);
            assert_true(t == 0 || name_compare(x[-1].out.name, x->out.name) < 0);
            size_t bytes;
            assert_true(tensor_size(&x->out, &bytes, &err));
            assert_int_equal(bytes, x->out.bytes);
            assert_null(x->out.data);
        }
        planned_close(&o);
    }
}

static void tied_models_have_no_output_matrix(void **state)
{
    (void)state;
    struct planned o;
    struct err err;
    assert_true(planned_open(&o, "tests/golden/models/llama3", &none, &err));
    assert_null(planned_find(&o.plan, "output.weight"));
    assert_true(o.plan.hparams.tied);
    assert_int_equal(o.plan.notes, 0);
    const struct plan_tensor *rope = planned_find(&o.plan, "rope_freqs.weight");
    assert_non_null(rope);
    assert_int_equal(rope->out.shape[0], 8);
    assert_null(plan_row(rope, 0));
    planned_close(&o);

    assert_true(planned_open(&o, "tests/golden/models/llama", &none, &err));
    assert_non_null(planned_find(&o.plan, "output.weight"));
    assert_null(planned_find(&o.plan, "rope_freqs.weight"));
    assert_false(o.plan.hparams.tied);
    planned_close(&o);
}

/* Row 2 p + h of a head comes from row h n / 2 + p, and plan_row and plan_read agree. */
static void rows_of_q_change_places(void **state)
{
    (void)state;
    struct planned o;
    struct err err;
    struct kernels k = {.name = NULL};
    float row[64], want[64];
    decode_init_scalar(&k);
    assert_true(planned_open(&o, "tests/golden/models/llama", &none, &err));
    for (size_t i = 0; i < o.plan.tensors; i++) {
        const struct plan_tensor *t = &o.plan.tensor[i];
        const bool q = strstr(t->out.name, "attn_q.") != NULL;
        const bool moved = q || strstr(t->out.name, "attn_k.") != NULL;
        assert_int_equal(t->edit, moved ? PLAN_PERMUTE : PLAN_COPY);
        for (uint64_t r = 0; moved && r < tensor_rows(&t->out); r++) {
            const uint64_t from = r / 16 * 16 + r % 2 * 8 + r % 16 / 2;
            assert_ptr_equal(plan_row(t, r), t->source->data + from * 64 * 2);
            plan_read(t, &k, r, 1, row);
            k.decode[DTYPE_F16](want, t->source->data + from * 64 * 2, 64);
            assert_memory_equal(row, want, sizeof row);
        }
    }
    planned_close(&o);
}

static void elements_of_a_bias_of_q_change_places(void **state)
{
    (void)state;
    struct altered a;
    struct planned o;
    struct kernels k = {.name = NULL};
    float bias[64], got[64];
    decode_init_scalar(&k);
    for (int i = 0; i < 64; i++)
        bias[i] = (float)i;
    altered_open(&a, "llama");
    altered_add(&a, "model.layers.1.self_attn.q_proj.bias", "F32", "[64]", bias, sizeof bias);
    planned_open_altered(&o, &a);
    const struct plan_tensor *t = planned_find(&o.plan, "blk.1.attn_q.bias");
    assert_non_null(t);
    assert_true(t->keep);
    assert_null(plan_row(t, 0));
    plan_read(t, &k, 0, 1, got);
    for (int i = 0; i < 64; i++)
        assert_true(got[i] == (float)(i / 16 * 16 + i % 2 * 8 + i % 16 / 2));
    planned_close(&o);
    altered_close(&a);
}

static void a_missing_tensor_is_named(void **state)
{
    (void)state;
    struct altered a;
    altered_open(&a, "llama");
    altered_drop(&a, "model.layers.1.mlp.up_proj.weight");
    refused(&a, ERR_FORMAT, "'model.layers.1.mlp.up_proj.weight' is missing", "2 layers");
}

static void a_missing_layer_is_named(void **state)
{
    (void)state;
    struct altered a;
    altered_open(&a, "llama");
    json_object_set_new(a.config, "num_hidden_layers", json_integer(2000000000));
    refused(&a, ERR_FORMAT, "'model.layers.2.input_layernorm.weight' is missing", "2000000000");
}

static void a_layer_too_many_is_named(void **state)
{
    (void)state;
    struct altered a;
    altered_open(&a, "llama");
    json_object_set_new(a.config, "num_hidden_layers", json_integer(1));
    refused(&a, ERR_FORMAT, "'model.layers.1.", "config.json has 1 layer");
}

static void a_wrong_shape_is_told_with_the_right_one(void **state)
{
    (void)state;
    struct altered a;
    altered_open(&a, "llama");
    json_object_set_new(a.config, "intermediate_size", json_integer(192));
    refused(&a, ERR_FORMAT, ".weight' is ", "intermediate_size");
    altered_open(&a, "llama");
    json_object_set_new(a.config, "vocab_size", json_integer(384));
    refused(&a, ERR_FORMAT, "is 400 x 64; config.json makes it 384 x 64",
            "(vocab_size x hidden_size)");
}

static void unknown_tensors_are_named(void **state)
{
    (void)state;
    struct altered a;
    const float x[4] = {0};
    altered_open(&a, "qwen3");
    altered_add(&a, "model.layers.0.self_attn.q_proj.bias", "F32", "[4]", x, sizeof x);
    refused(&a, ERR_UNSUPPORTED, "'model.layers.0.self_attn.q_proj.bias' has no place",
            "GGUF qwen3");
    altered_open(&a, "llama");
    for (int i = 0; i < 5; i++) {
        char name[32];
        snprintf(name, sizeof name, "extra.%d", i);
        altered_add(&a, name, "F32", "[4]", x, sizeof x);
    }
    refused(&a, ERR_UNSUPPORTED, "'extra.", "and 2 others");
}

static void integers_are_not_weights(void **state)
{
    (void)state;
    struct altered a;
    const int32_t x[64] = {0};
    altered_open(&a, "llama");
    altered_add(&a, "model.norm.weight", "I32", "[64]", x, sizeof x);
    refused(&a, ERR_FORMAT, "'model.norm.weight' holds I32", "");
}

static void quantized_and_adapter_sources_are_refused_by_name(void **state)
{
    (void)state;
    struct altered a;
    const float x[4] = {0};
    altered_open(&a, "llama");
    json_object_set_new(a.config, "quantization_config",
                        json_pack("{s:s, s:i}", "quant_method", "gptq", "bits", 4));
    refused(&a, ERR_UNSUPPORTED, "already quantized by gptq (4 bits)", "float checkpoint");
    altered_open(&a, "llama");
    json_object_set_new(a.config, "quantization_config",
                        json_pack("{s:s, s:b}", "quant_method", "bitsandbytes", "load_in_8bit", 1));
    refused(&a, ERR_UNSUPPORTED, "bitsandbytes (8 bits)", "");
    altered_open(&a, "llama");
    altered_add(&a, "base_model.model.layers.0.self_attn.q_proj.lora_A.weight", "F32", "[4]", x,
                sizeof x);
    refused(&a, ERR_UNSUPPORTED, "an adapter", "lora_A");
}

static void an_adapter_without_config_is_told_as_such(void **state)
{
    (void)state;
    struct planned o;
    struct err err;
    struct scratch s;
    scratch_open(&s);
    scratch_safetensors(&s, "adapter_model.safetensors",
                        "{\"x\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}", 4);
    char file[400];
    snprintf(file, sizeof file, "%s", s.path);
    assert_false(planned_open(&o, file, &none, &err));
    assert_non_null(strstr(err.text, "no config.json"));
    scratch_text(&s, "adapter_config.json", "{}");
    assert_false(planned_open(&o, file, &none, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "adapter"));
    scratch_close(&s);
}

static void another_activation_is_refused(void **state)
{
    (void)state;
    struct altered a;
    altered_open(&a, "mistral");
    json_object_set_new(a.config, "hidden_act", json_string("gelu"));
    refused(&a, ERR_UNSUPPORTED, "'gelu'", "'silu'");
}

static void more_tokens_than_rows_are_refused(void **state)
{
    (void)state;
    static const char *const matrix[] = {"model.embed_tokens.weight", "lm_head.weight"};
    struct altered a;
    static uint16_t x[100 * 64];
    altered_open(&a, "llama");
    json_object_set_new(a.config, "vocab_size", json_integer(100));
    for (size_t i = 0; i < 2; i++)
        altered_add(&a, matrix[i], "F16", "[100, 64]", x, sizeof x);
    refused(&a, ERR_FORMAT, "400", "100");
}

static void fewer_tokens_than_rows_are_padded(void **state)
{
    (void)state;
    static const char *const matrix[] = {"model.embed_tokens.weight", "lm_head.weight"};
    struct altered a;
    struct planned o;
    static uint16_t x[448 * 64];
    altered_open(&a, "llama");
    json_object_set_new(a.config, "vocab_size", json_integer(448));
    for (size_t i = 0; i < 2; i++)
        altered_add(&a, matrix[i], "F16", "[448, 64]", x, sizeof x);
    planned_open_altered(&o, &a);
    assert_int_equal(meta_find(&o.plan.meta, "tokenizer.ggml.tokens")->count, 448);
    planned_close(&o);
    altered_close(&a);
}

static void an_output_that_repeats_the_embedding_is_dropped(void **state)
{
    (void)state;
    struct altered a;
    struct planned o;
    altered_open(&a, "llama3"); /* tied */
    altered_copy(&a, "model.embed_tokens.weight", "lm_head.weight");
    planned_open_altered(&o, &a);
    assert_null(planned_find(&o.plan, "output.weight"));
    assert_true(o.plan.hparams.tied);
    assert_true(planned_notes(&o.plan, "repeats the embedding"));
    planned_close(&o);
    altered_close(&a);

    altered_open(&a, "llama3");
    altered_copy(&a, "model.embed_tokens.weight", "lm_head.weight");
    a.added[100] ^= 1;
    planned_open_altered(&o, &a);
    assert_non_null(planned_find(&o.plan, "output.weight"));
    assert_false(o.plan.hparams.tied);
    assert_true(planned_notes(&o.plan, "differs"));
    planned_close(&o);
    altered_close(&a);

    altered_open(&a, "llama"); /* untied */
    altered_drop(&a, "lm_head.weight");
    planned_open_altered(&o, &a);
    assert_true(o.plan.hparams.tied);
    assert_true(planned_notes(&o.plan, "no lm_head.weight"));
    planned_close(&o);
    altered_close(&a);
}

static void frequency_tables_are_dropped_and_told(void **state)
{
    (void)state;
    struct altered a;
    struct planned o;
    const float x[8] = {0};
    altered_open(&a, "llama");
    altered_add(&a, "model.layers.1.self_attn.rotary_emb.inv_freq", "F32", "[8]", x, sizeof x);
    planned_open_altered(&o, &a);
    assert_int_equal(o.plan.tensors, 21);
    assert_true(planned_notes(&o.plan, "1 tables of rotary frequencies"));
    planned_close(&o);
    altered_close(&a);
}

static void a_base_model_has_names_without_prefix(void **state)
{
    (void)state;
    struct altered a;
    struct planned o;
    const char *name;
    json_t *info, *header = json_object();
    altered_open(&a, "qwen2");
    json_object_foreach (a.header, name, info)
        if (strncmp(name, "model.", 6) == 0)
            json_object_set(header, name + 6, info);
    json_decref(a.header);
    a.header = header;
    json_object_set_new(a.config, "architectures", json_pack("[s]", "Qwen2Model"));
    planned_open_altered(&o, &a);
    assert_int_equal(o.plan.tensors, 26);
    planned_close(&o);
    altered_close(&a);
}

static void f64_is_rounded_and_told(void **state)
{
    (void)state;
    struct altered a;
    struct planned o;
    static double x[64 * 64];
    altered_open(&a, "llama");
    altered_add(&a, "model.layers.0.self_attn.o_proj.weight", "F64", "[64, 64]", x, sizeof x);
    planned_open_altered(&o, &a);
    assert_int_equal(planned_find(&o.plan, "blk.0.attn_output.weight")->out.dtype->id, DTYPE_F32);
    assert_true(planned_notes(&o.plan, "1 F64"));
    planned_close(&o);
    altered_close(&a);
}

/* Code 0x38 is 1.0 in E4M3.  One factor a matrix, a row, a block of 48 x 40. */
static void fp8_is_multiplied_by_its_scales(void **state)
{
    (void)state;
    static const struct {
        const char *end, *shape;
        size_t factors;
    } form[] = {{"_scale", "[]", 1},
                {"_scale", "[1]", 1},
                {"_scale", "[64, 1]", 64},
                {"_scale", "[64]", 64},
                {"_scale_inv", "[2, 2]", 4}};
    static const char weight[] = "model.layers.0.self_attn.q_proj.weight";
    struct kernels k = {.name = NULL};
    uint8_t code[64 * 64];
    float factor[64], row[64];
    decode_init_scalar(&k);
    memset(code, 0x38, sizeof code);
    for (int i = 0; i < 64; i++)
        factor[i] = (float)(i + 1);
    for (size_t f = 0; f < sizeof form / sizeof form[0]; f++) {
        struct altered a;
        struct planned o;
        char name[64];
        altered_open(&a, "llama");
        json_object_set_new(
            a.config, "quantization_config",
            json_pack("{s:s, s:[i, i]}", "quant_method", "fp8", "weight_block_size", 48, 40));
        snprintf(name, sizeof name, "%s%s", weight, form[f].end);
        altered_add(&a, weight, "F8_E4M3", "[64, 64]", code, sizeof code);
        altered_add(&a, name, "F32", form[f].shape, factor, form[f].factors * sizeof factor[0]);
        planned_open_altered(&o, &a);
        const struct plan_tensor *t = planned_find(&o.plan, "blk.0.attn_q.weight");
        assert_int_equal(t->out.dtype->id, DTYPE_BF16);
        assert_null(plan_row(t, 0));
        assert_true(planned_notes(&o.plan, "1 FP8"));
        for (size_t r = 0; r < 64; r++) {
            const size_t from = r / 16 * 16 + r % 2 * 8 + r % 16 / 2; /* q is permuted as well */
            plan_read(t, &k, r, 1, row);
            for (size_t c = 0; c < 64; c++)
                assert_true(row[c] == (form[f].factors == 1 ? 1.0f
                                       : form[f].factors == 64
                                           ? (float)(from + 1)
                                           : (float)(from / 48 * 2 + c / 40 + 1)));
        }
        planned_close(&o);
        altered_close(&a);
    }
}

static void fp8_scales_of_another_shape_are_refused(void **state)
{
    (void)state;
    static const char weight[] = "model.layers.0.self_attn.v_proj.weight";
    struct altered a;
    const uint8_t code[32 * 64] = {0};
    const float factor[6] = {0};
    altered_open(&a, "llama");
    json_object_set_new(a.config, "quantization_config", json_pack("{s:s}", "quant_method", "fp8"));
    altered_add(&a, weight, "F8_E4M3", "[32, 64]", code, sizeof code);
    altered_add(&a, "model.layers.0.self_attn.v_proj.weight_scale", "F32", "[2, 3]", factor,
                sizeof factor);
    refused(&a, ERR_UNSUPPORTED, "v_proj.weight_scale' (2 x 3 F32)", "weight_block_size");
}

static void the_vocabulary_alone(void **state)
{
    (void)state;
    struct planned o;
    struct err err;
    const struct plan_options options = {.vocab_only = true};
    assert_true(planned_open(&o, "tests/golden/models/llama", &options, &err));
    assert_int_equal(o.plan.tensors, 0);
    assert_int_equal(meta_find(&o.plan.meta, "tokenizer.ggml.tokens")->count, 400);
    assert_null(meta_find(&o.plan.meta, "general.size_label"));
    planned_close(&o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_golden_model_has_a_plan),
        cmocka_unit_test(tied_models_have_no_output_matrix),
        cmocka_unit_test(rows_of_q_change_places),
        cmocka_unit_test(elements_of_a_bias_of_q_change_places),
        cmocka_unit_test(a_missing_tensor_is_named),
        cmocka_unit_test(a_missing_layer_is_named),
        cmocka_unit_test(a_layer_too_many_is_named),
        cmocka_unit_test(a_wrong_shape_is_told_with_the_right_one),
        cmocka_unit_test(unknown_tensors_are_named),
        cmocka_unit_test(integers_are_not_weights),
        cmocka_unit_test(quantized_and_adapter_sources_are_refused_by_name),
        cmocka_unit_test(an_adapter_without_config_is_told_as_such),
        cmocka_unit_test(another_activation_is_refused),
        cmocka_unit_test(more_tokens_than_rows_are_refused),
        cmocka_unit_test(fewer_tokens_than_rows_are_padded),
        cmocka_unit_test(an_output_that_repeats_the_embedding_is_dropped),
        cmocka_unit_test(frequency_tables_are_dropped_and_told),
        cmocka_unit_test(a_base_model_has_names_without_prefix),
        cmocka_unit_test(f64_is_rounded_and_told),
        cmocka_unit_test(fp8_is_multiplied_by_its_scales),
        cmocka_unit_test(fp8_scales_of_another_shape_are_refused),
        cmocka_unit_test(the_vocabulary_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
