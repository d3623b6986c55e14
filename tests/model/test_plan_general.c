#include "formats/gguf_write.h"
#include "model/plan.h"
#include "model/plan_general.h"
#include "tests/model/altered.h"
#include "tests/model/planned.h"

static const struct plan_options none = {.pre = NULL};

static void assert_text(const struct plan *p, const char *key, const char *want)
{
    const char *text = meta_get_text(&p->meta, key);
    if (!text || strcmp(text, want) != 0)
        fail_msg("%s is '%s', not '%s'", key, text ? text : "(none)", want);
}

static void the_model_card_gives_general_keys(void **state)
{
    (void)state;
    static const char card[] = "---\n"
                               "license: other  # see below\n"
                               "license_name: \"a licence: of our own\"\n"
                               "license_link: 'https://example.org/l#x'\n"
                               "base_model:\n"
                               "- org/Base-1B\n"
                               "- two-words\n"
                               "language: [en, 'no']\n"
                               "tags:\n"
                               "  - chat\n"
                               "  - bad \xff bytes\n"
                               "  - code # a comment\n"
                               "pipeline_tag: text-generation\n"
                               "model-index:\n"
                               "  - name: x\n"
                               "    license: nested\n"
                               "extra: |\n"
                               "  tags: text\n"
                               "---\n"
                               "license: below the head\n";
    struct altered a;
    struct planned o;
    altered_open(&a, "llama");
    scratch_text(&a.scratch, "README.md", card);
    json_object_set_new(a.config, "_name_or_path", json_string("org/Tiny-Model-7B-Chat-v0.3"));
    planned_open_altered(&o, &a);
    const struct plan *p = &o.plan;
    assert_text(p, "general.architecture", "llama");
    assert_text(p, "general.type", "model");
    assert_text(p, "general.name", "Tiny Model 7B Chat v0.3");
    assert_text(p, "general.basename", "Tiny-Model");
    assert_text(p, "general.finetune", "Chat");
    assert_text(p, "general.version", "v0.3");
    assert_text(p, "general.size_label", "125K");
    assert_text(p, "general.license", "other");
    assert_text(p, "general.license.name", "a licence: of our own");
    assert_text(p, "general.license.link", "https://example.org/l#x");
    assert_text(p, "general.base_model.0.name", "Base-1B");
    assert_text(p, "general.base_model.0.organization", "org");
    assert_text(p, "general.base_model.0.repo_url", "https://huggingface.co/org/Base-1B");
    assert_text(p, "general.base_model.1.name", "two-words");
    const struct meta_value *v = meta_find(&p->meta, "general.tags");
    assert_int_equal(v->count, 3);
    assert_string_equal(((const struct meta_text *)v->as.array)[1].text, "code");
    assert_string_equal(((const struct meta_text *)v->as.array)[2].text, "text-generation");
    v = meta_find(&p->meta, "general.languages");
    assert_int_equal(v->count, 2);
    assert_string_equal(((const struct meta_text *)v->as.array)[1].text, "no");
    assert_null(meta_find(&p->meta, "general.file_type"));
    planned_close(&o);
    altered_close(&a);
}

static void a_name_comes_from_the_person_or_the_folder(void **state)
{
    (void)state;
    struct planned o;
    struct err err;
    const struct plan_options options = {.name = "as-told"};
    assert_true(planned_open(&o, "tests/golden/models/llama3", &options, &err));
    assert_text(&o.plan, "general.name", "as-told");
    planned_close(&o);
    assert_true(planned_open(&o, "tests/golden/models/llama_bf16/", &none, &err));
    assert_text(&o.plan, "general.name", "llama_bf16");
    planned_close(&o);
}

static void sizes_have_two_digits(void **state)
{
    (void)state;
    static const struct {
        uint64_t parameters;
        const char *label;
    } want[] = {{124608, "125K"},        {5770496, "5.8M"},      {9960000, "10M"},
                {494032768, "494M"},     {1235814400, "1.2B"},   {7241732096, "7.2B"},
                {70553706496, "71B"},    {405853388800, "406B"}, {671026419200, "671B"},
                {1000000000001, "1.0T"}, {800, "0.8K"}};
    char text[SIZE_LABEL_MAX];
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++)
        assert_string_equal(plan_size_label(text, want[i].parameters), want[i].label);
}

/* A small GGUF, written by the project's writer. */
static void write_gguf(const char *path, const char *arch)
{
    static const struct tensor tensor[] = {
        {.name = "blk.10.ffn_up.weight", .dims = 2, .shape = {2, 32}},
        {.name = "blk.2.ffn_up.weight", .dims = 2, .shape = {2, 32}},
        {.name = "blk.2.attn_norm.weight", .dims = 1, .shape = {32}},
        {.name = "blk.2.ffn_gate_inp.weight", .dims = 2, .shape = {2, 32}},
        {.name = "token_embd.weight", .dims = 2, .shape = {4, 32}},
    };
    enum { TENSORS = sizeof tensor / sizeof tensor[0] };
    struct tensor typed[TENSORS];
    const struct tensor *list[TENSORS];
    struct gguf_writer w;
    struct meta meta = {.pairs = 0};
    struct err err;
    const float zero[4 * 32] = {0};
    if (arch)
        meta_set_text(&meta, "general.architecture", arch);
    meta_set_text(&meta, "general.name", "before");
    meta_set_u32(&meta, "general.file_type", 1);
    meta_set_u32(&meta, "general.quantization_version", 2);
    meta_set_u32(&meta, "zebra.block_count", 11);
    for (size_t i = 0; i < TENSORS; i++) {
        typed[i] = tensor[i];
        typed[i].dtype = dtype_get(DTYPE_F32);
        list[i] = &typed[i];
        assert_true(tensor_size(&typed[i], &typed[i].bytes, &err));
    }
    assert_true(gguf_write_open(&w, path, false, &meta, list, TENSORS, &err));
    for (size_t i = 0; i < TENSORS; i++)
        assert_true(gguf_write_data(&w, i, 0, zero, typed[i].bytes, &err));
    assert_true(gguf_write_commit(&w, &err));
    gguf_write_close(&w);
    meta_close(&meta);
}

static void a_gguf_of_any_architecture_is_its_own_plan(void **state)
{
    (void)state;
    static const char *const order[] = {"token_embd.weight", "blk.2.attn_norm.weight",
                                        "blk.2.ffn_gate_inp.weight", "blk.2.ffn_up.weight",
                                        "blk.10.ffn_up.weight"};
    struct planned o;
    struct err err;
    struct scratch s;
    scratch_open(&s);
    const char *path = scratch_path(&s, "zebra.gguf");
    write_gguf(path, "zebra");
    const struct plan_options options = {.name = "after"};
    if (!planned_open(&o, path, &options, &err))
        fail_msg("%s", err.text);
    const struct plan *p = &o.plan;
    assert_null(p->arch);
    assert_int_equal(p->hparams.layers, 11);
    assert_int_equal(p->hparams.heads, 0);
    assert_true(p->hparams.tied);
    assert_int_equal(p->tensors, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_string_equal(p->tensor[i].out.name, order[i]);
        assert_true(p->tensor[i].keep == (i == 1 || i == 2));
        assert_ptr_equal(plan_row(&p->tensor[i], 0), p->tensor[i].source->data);
    }
    assert_text(p, "general.name", "after");
    assert_null(meta_find(&p->meta, "general.file_type"));
    assert_null(meta_find(&p->meta, "general.quantization_version"));
    planned_close(&o);

    path = scratch_path(&s, "nameless.gguf");
    write_gguf(path, NULL);
    assert_false(planned_open(&o, path, &options, &err));
    assert_non_null(strstr(err.text, "general.architecture"));
    path = scratch_path(&s, "llama.gguf");
    write_gguf(path, "llama");
    assert_false(planned_open(&o, path, &options, &err));
    assert_non_null(strstr(err.text, "'llama.context_length' is missing"));
    scratch_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_model_card_gives_general_keys),
        cmocka_unit_test(a_name_comes_from_the_person_or_the_folder),
        cmocka_unit_test(sizes_have_two_digits),
        cmocka_unit_test(a_gguf_of_any_architecture_is_its_own_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
