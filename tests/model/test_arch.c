#include "model/arch.h"
#include "model/names.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *config_of(const char *class) { return json_pack("{s:[s]}", "architectures", class); }

static void every_class_and_model_type_finds_its_row(void **state)
{
    (void)state;
    const struct arch *a, *found;
    struct err err;
    for (size_t i = 0; (a = arch_at(i)) != NULL; i++) {
        assert_ptr_equal(arch_find(a->name), a);
        for (size_t c = 0; a->class[c]; c++) {
            json_t *config = config_of(a->class[c]);
            assert_true(arch_find_config(&found, config, &err));
            assert_ptr_equal(found, a);
            json_decref(config);
        }
        for (size_t m = 0; a->model_type[m]; m++) {
            json_t *config = json_pack("{s:s}", "model_type", a->model_type[m]);
            assert_true(arch_find_config(&found, config, &err));
            assert_ptr_equal(found, a);
            json_decref(config);
        }
    }
    assert_null(arch_find("Llama"));
}

static void mistral_is_a_llama(void **state)
{
    (void)state;
    const struct arch *found;
    struct err err;
    json_t *config = config_of("MistralForCausalLM");
    assert_true(arch_find_config(&found, config, &err));
    assert_string_equal(found->name, "llama");
    json_decref(config);
}

static void an_unknown_class_is_told_the_nearest_and_all(void **state)
{
    (void)state;
    const struct arch *found;
    struct err err;
    json_t *config = config_of("Qwen3MoeForCausalLM");
    assert_false(arch_find_config(&found, config, &err));
    assert_int_equal(err.code, ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "'Qwen3MoeForCausalLM'"));
    assert_non_null(strstr(err.text, "the nearest is Qwen3ForCausalLM"));
    const struct arch *a;
    for (size_t i = 0; (a = arch_at(i)) != NULL; i++)
        for (size_t c = 0; a->class[c]; c++)
            assert_non_null(strstr(err.text, a->class[c]));
    json_decref(config);

    config = config_of("T5EncoderModel"); /* near to nothing */
    assert_false(arch_find_config(&found, config, &err));
    assert_null(strstr(err.text, "nearest"));
    json_decref(config);

    config = json_pack("{s:s}", "model_type", "qwen4");
    assert_false(arch_find_config(&found, config, &err));
    assert_non_null(strstr(err.text, "model_type 'qwen4'"));
    json_decref(config);
}

static void a_config_that_names_nothing_is_refused(void **state)
{
    (void)state;
    const struct arch *found;
    struct err err;
    json_t *config = json_pack("{s:i}", "hidden_size", 64);
    assert_false(arch_find_config(&found, config, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    json_decref(config);
}

/* A GGUF holds 63 bytes of name; layers of both names go together; shapes are there. */
static void every_tensor_is_well_formed(void **state)
{
    (void)state;
    const struct arch *a;
    const struct arch_tensor *t;
    for (size_t i = 0; (a = arch_at(i)) != NULL; i++)
        for (size_t k = 0; (t = arch_tensor_at(a, k)) != NULL; k++) {
            char text[NAME_MAX_TEXT];
            int64_t layer;
            const bool layered = strstr(t->source, "%d") != NULL;
            assert_true(layered == (strstr(t->name, "%d") != NULL));
            assert_true(strlen(name_fill(text, t->name, 999999999)) < 64);
            assert_int_not_equal(t->shape[0], ARCH_NONE);
            name_fill(text, t->source, 17);
            assert_ptr_equal(arch_find_tensor(a, text, &layer), t);
            assert_int_equal(layer, layered ? 17 : -1);
            assert_false(arch_drops(text));
        }
}

static void every_size_has_a_number_and_a_name(void **state)
{
    (void)state;
    const struct hparams h = {
        .embd = 10,
        .vocab = 11,
        .ffn = 12,
        .heads = 6,
        .kv_heads = 2,
        .head_dim = 4,
        .value_dim = 5,
    };
    static const struct {
        enum arch_dim dim;
        uint64_t size;
    } want[] = {{ARCH_EMBD, 10}, {ARCH_VOCAB, 11}, {ARCH_FFN, 12}, {ARCH_HEAD, 4},
                {ARCH_Q, 24},    {ARCH_K, 8},      {ARCH_V, 10},   {ARCH_O, 30}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        assert_int_equal(arch_dim_size(want[i].dim, &h), want[i].size);
        assert_true(strlen(arch_dim_name(want[i].dim)) > 0);
    }
}

static void names_match_numbers_as_they_are_written(void **state)
{
    (void)state;
    int64_t n;
    assert_true(name_match("a.%d.b", "a.12.b", &n));
    assert_int_equal(n, 12);
    assert_true(name_match("a.b", "a.b", &n));
    assert_int_equal(n, -1);
    static const char *const not [] = {"a..b",          "a.012.b", "a.-1.b", "a.1.c", "a.1.bb",
                                       "a.1",           "a.",      "",       "b.1.b", "a.1x.b",
                                       "a.9999999999.b"};
    for (size_t i = 0; i < sizeof not / sizeof not [0]; i++)
        assert_false(name_match("a.%d.b", not [i], &n));
}

static void tensors_stand_by_layer_then_by_name(void **state)
{
    (void)state;
    static const char *const order[] = {"output.weight",       "token_embd.weight",
                                        "blk.0.attn_k.weight", "blk.0.ffn_up.weight",
                                        "blk.2.attn_k.weight", "blk.10.attn_k.weight"};
    const size_t count = sizeof order / sizeof order[0];
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < count; j++) {
            const int way = name_compare(order[i], order[j]);
            assert_int_equal((way > 0) - (way < 0), (i > j) - (i < j));
        }
    assert_int_equal(name_layer("blk.7.x"), 7);
    assert_int_equal(name_layer("blk.7"), -1);
    assert_int_equal(name_layer("blk..x"), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_class_and_model_type_finds_its_row),
        cmocka_unit_test(mistral_is_a_llama),
        cmocka_unit_test(an_unknown_class_is_told_the_nearest_and_all),
        cmocka_unit_test(a_config_that_names_nothing_is_refused),
        cmocka_unit_test(every_tensor_is_well_formed),
        cmocka_unit_test(every_size_has_a_number_and_a_name),
        cmocka_unit_test(names_match_numbers_as_they_are_written),
        cmocka_unit_test(tensors_stand_by_layer_then_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
