#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "model/recipe.h"

#include "core/json.h"
#include "core/mem.h"

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A model as the rules see it. */
struct shape {
    struct recipe_model model;
    struct plan_tensor *tensor;
    size_t tensors;
};

static void add_tensor(struct shape *s, const char *name, uint64_t rows, uint64_t cols,
                       uint64_t experts)
{
    s->tensor = mem_grow(s->tensor, s->tensors, sizeof *s->tensor);
    assert_non_null(s->tensor);
    struct tensor *t = &s->tensor[s->tensors].out;
    s->tensor[s->tensors++] = (struct plan_tensor){0};
    *t = (struct tensor){.name = name, .dtype = dtype_get(DTYPE_F16)};
    if (experts > 1)
        t->shape[t->dims++] = experts;
    if (rows)
        t->shape[t->dims++] = rows;
    t->shape[t->dims++] = cols;
}

static void close_shape(struct shape *s)
{
    free(s->tensor);
    *s = (struct shape){0};
}

static uint64_t member(const json_t *object, const char *key, uint64_t none)
{
    const json_t *v = json_object_get(object, key);
    return v ? (uint64_t)json_integer_value(v) : none;
}

static json_t *first_recipe(json_t *root)
{
    return json_object_iter_value(json_object_iter(json_object_get(root, "recipes")));
}

/* The shape of a golden file; its names stay in the JSON. */
static void read_shape(struct shape *s, json_t *root)
{
    const json_t *m = json_object_get(root, "model");
    *s = (struct shape){.model = {.arch = json_string_value(json_object_get(m, "arch")),
                                  .layers = member(m, "n_layer", 0),
                                  .heads = member(m, "n_head", 0),
                                  .kv_heads = member(m, "n_kv", 0),
                                  .experts = member(m, "experts", 0)}};
    const uint64_t embd = member(m, "d", 256), ffn = member(m, "ff", 512);
    const char *name;
    json_t *type;
    json_object_foreach (first_recipe(root), name, type) {
        if (strcmp(name, "general.file_type") == 0)
            continue;
        const bool expert = strstr(name, "_exps") != NULL, down = strstr(name, "ffn_down") != NULL;
        add_tensor(s, name, 64, down ? ffn : embd, expert ? s->model.experts : 0);
    }
}

enum { OVERRIDES_MAX = 8 };

/* The options of a golden file, if it has any; `override` is room for its overrides. */
static struct recipe_options read_options(const json_t *root, const char *override[OVERRIDES_MAX])
{
    const json_t *from = json_object_get(root, "options");
    const json_t *list = json_object_get(from, "overrides");
    for (size_t i = 0; i < json_array_size(list); i++)
        override[i] = json_string_value(json_array_get(list, i));
    return (struct recipe_options){
        .pure = json_is_true(json_object_get(from, "pure")),
        .importance = json_is_true(json_object_get(from, "importance")),
        .leave_output = json_is_true(json_object_get(from, "leave_output")),
        .output_type = json_string_value(json_object_get(from, "output_type")),
        .embedding_type = json_string_value(json_object_get(from, "embedding_type")),
        .overrides = override,
        .override_count = json_array_size(list),
    };
}

static void check_recipe(const struct shape *s, const struct recipe_options *o, const char *file,
                         const json_t *golden)
{
    struct err err = {0};
    struct recipe_choice *choice = mem_alloc(s->tensors, sizeof *choice);
    struct recipe_census census;
    if (!recipe_assign(o, &s->model, s->tensor, s->tensors, choice, &census, &err))
        fail_msg("%s", err.text);
    assert_int_equal(o->recipe->file_type, member(golden, "general.file_type", 0));
    for (size_t i = 0; i < s->tensors; i++) {
        const char *name = s->tensor[i].out.name;
        const char *want = json_string_value(json_object_get(golden, name));
        if (strcmp(choice[i].dtype->name, want) != 0)
            fail_msg("%s %s %s: %s, stock has %s", file, o->recipe->name, name,
                     choice[i].dtype->name, want);
    }
    free(choice);
}

/* Every file of a golden folder, every recipe in it. */
static size_t check_folder(const char *folder, enum recipe_flavour flavour)
{
    size_t recipes = 0;
    DIR *dir = opendir(folder);
    assert_non_null(dir);
    for (const struct dirent *e; (e = readdir(dir)) != NULL;) {
        if (!strstr(e->d_name, ".json"))
            continue;
        char path[512];
        struct err err = {0};
        struct shape s;
        snprintf(path, sizeof path, "%s/%s", folder, e->d_name);
        json_t *root = json_open(path, &err), *golden;
        if (!root)
            fail_msg("%s", err.text);
        read_shape(&s, root);
        const char *recipe;
        json_object_foreach (json_object_get(root, "recipes"), recipe, golden) {
            const char *override[OVERRIDES_MAX];
            struct recipe_options o = read_options(root, override);
            o.flavour = flavour;
            o.recipe = recipe_find(recipe, &err);
            assert_non_null(o.recipe);
            check_recipe(&s, &o, path, golden);
            recipes++;
        }
        close_shape(&s);
        json_decref(root);
    }
    closedir(dir);
    return recipes;
}

static void stock_2025_gives_what_llama_quantize_gave(void **state)
{
    (void)state;
    assert_int_equal(check_folder("tests/golden/recipes", RECIPE_STOCK_2025), 11 * 16);
}

static void stock_gives_what_llama_quantize_gives(void **state)
{
    (void)state;
    assert_true(check_folder("tests/golden/recipes_2026", RECIPE_STOCK) > 19 * 3);
}

/* Llama 3 8B, in full size: the figures that struct recipe gives are for it. */
static void add_llama_8b(struct shape *s, char (*name)[64])
{
    static const struct {
        const char *name;
        uint64_t rows, cols;
    } layer[] = {{"attn_k", 1024, 4096},    {"attn_norm", 0, 4096}, {"attn_output", 4096, 4096},
                 {"attn_q", 4096, 4096},    {"attn_v", 1024, 4096}, {"ffn_down", 4096, 14336},
                 {"ffn_gate", 14336, 4096}, {"ffn_norm", 0, 4096},  {"ffn_up", 14336, 4096}};
    *s = (struct shape){.model = {"llama", 32, 32, 8, 0}};
    add_tensor(s, "output.weight", 128256, 4096, 0);
    add_tensor(s, "output_norm.weight", 0, 4096, 0);
    add_tensor(s, "token_embd.weight", 128256, 4096, 0);
    for (size_t l = 0; l < 32; l++)
        for (size_t i = 0; i < sizeof layer / sizeof layer[0]; i++, name++) {
            snprintf(*name, sizeof *name, "blk.%zu.%s.weight", l, layer[i].name);
            add_tensor(s, *name, layer[i].rows, layer[i].cols, 0);
        }
    for (size_t i = 0; i < s->tensors; i++)
        if (s->tensor[i].out.dims == 1)
            s->tensor[i].out.dtype = dtype_get(DTYPE_F32);
}

static void stated_bits_are_those_of_llama_3_8b(void **state)
{
    (void)state;
    char name[32 * 9][64];
    struct shape s;
    add_llama_8b(&s, name);
    struct recipe_choice *choice = mem_alloc(s.tensors, sizeof *choice);
    struct recipe_census census;
    struct err err = {0};
    const struct recipe *r;
    for (size_t i = 0; (r = recipe_at(i)) != NULL; i++) {
        const struct recipe_options o = {.recipe = r};
        assert_true(recipe_assign(&o, &s.model, s.tensor, s.tensors, choice, &census, &err));
        assert_int_equal(census.params, 8030261248);
        assert_int_equal(census.fallbacks, 0);
        assert_int_equal(census.fallback_bytes, 0);
        if (fabs(census.bits - r->bits) > 0.0051)
            fail_msg("%s: %.4f bits, the table says %.2f", r->name, census.bits, r->bits);
    }
    free(choice);
    close_shape(&s);
}

static void recipes_are_found_by_name_and_alias_in_any_case(void **state)
{
    (void)state;
    struct err err = {0};
    const struct recipe *r;
    for (size_t i = 0; (r = recipe_at(i)) != NULL; i++) {
        assert_ptr_equal(recipe_find(r->name, &err), r);
        for (size_t j = 0; j < i; j++)
            assert_int_not_equal(recipe_at(j)->file_type, r->file_type);
    }
    assert_string_equal(recipe_find("q4_k", &err)->name, "Q4_K_M");
    assert_string_equal(recipe_find("Q3_k", &err)->name, "Q3_K_M");
    assert_string_equal(recipe_find("mxfp4_moe", &err)->name, "MXFP4");
    assert_null(recipe_find("Q4_KM", &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "'Q4_KM', did you mean Q4_K_M?"));
    assert_non_null(strstr(err.text, "TQ1_0"));
    assert_null(recipe_find("nothing-like-it", &err));
    assert_null(strstr(err.text, "did you mean"));
}

/* Four tensors of awkward columns: whole super-blocks, whole blocks, neither, and a norm. */
static void add_awkward(struct shape *s)
{
    *s = (struct shape){.model = {"llama", 1, 4, 4, 0}};
    add_tensor(s, "token_embd.weight", 100, 256, 0);
    add_tensor(s, "blk.0.attn_norm.weight", 0, 256, 0);
    add_tensor(s, "blk.0.attn_q.weight", 8, 160, 0);
    add_tensor(s, "blk.0.ffn_up.weight", 8, 100, 0);
}

static bool assign(const struct shape *s, const struct recipe_options *o,
                   struct recipe_choice *choice, struct recipe_census *census, struct err *err)
{
    *err = (struct err){0};
    return recipe_assign(o, &s->model, s->tensor, s->tensors, choice, census, err);
}

static void fallbacks_are_counted_or_refused(void **state)
{
    (void)state;
    struct shape s;
    struct recipe_choice c[4];
    struct recipe_census census;
    struct err err;
    add_awkward(&s);
    struct recipe_options o = {.recipe = recipe_find("Q2_K", &err)};
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[2].dtype->id, DTYPE_Q4_0);
    assert_int_equal(c[2].wanted->id, DTYPE_Q2_K);
    assert_int_equal(c[3].dtype->id, DTYPE_F16);
    assert_int_equal(census.tensors, 4);
    assert_int_equal(census.kept, 1);
    assert_int_equal(census.fallbacks, 2);
    assert_int_equal(census.fallback_params, 8 * 260);
    assert_int_equal(census.params, 100 * 256 + 256 + 8 * 260);
    assert_int_equal(census.bytes, 100 * 210 + 512 + 8 * (5 * 18 + 200));
    assert_int_equal(census.fallback_bytes, (720 - 420) + (1600 - 263)); /* 262.5 wanted */
    assert_int_equal(census.first_fallback, 2);

    o.flavour = RECIPE_STOCK_2025;
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[2].dtype->id, DTYPE_IQ4_NL);

    o.no_fallback = true;
    assert_false(assign(&s, &o, c, &census, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_string_equal(
        err.text, "2 of 4 tensors (7.4 % of the weights) would fall back to another type; the "
                  "first is 'blk.0.attn_q.weight': 160 columns are not whole Q2_K blocks of 256");
    close_shape(&s);
}

static void what_is_asked_for_comes_before_the_rules(void **state)
{
    (void)state;
    struct shape s;
    struct recipe_choice c[4];
    struct recipe_census census;
    struct err err;
    add_awkward(&s);
    struct recipe_options o = {.recipe = recipe_find("Q8_0", &err), .output_type = "bf16"};
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[0].dtype->id, DTYPE_BF16);
    assert_int_equal(c[0].reason, RECIPE_ASKED);

    o.embedding_type = "q4_1"; /* says more of this tensor than output_type */
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[0].dtype->id, DTYPE_Q4_1);

    o.leave_output = true; /* the tied embedding is the output */
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[0].dtype->id, DTYPE_F16);
    assert_int_equal(c[0].reason, RECIPE_KEPT);

    const char *const overrides[] = {"BLK.0.(attn_k|attn_q)=q5_1", "attn_q=Q4_0", "ffn=f32"};
    o.overrides = overrides;
    o.override_count = 3;
    assert_true(assign(&s, &o, c, &census, &err));
    assert_int_equal(c[2].dtype->id, DTYPE_Q5_1);
    assert_int_equal(c[2].reason, RECIPE_OVERRIDE);
    assert_int_equal(c[3].dtype->id, DTYPE_F32);

    s.tensor[2].keep = true; /* the plan knows better; then no override has a say */
    assert_false(assign(&s, &o, c, &census, &err));
    assert_string_equal(err.text,
                        "override 'BLK.0.(attn_k|attn_q)=q5_1' matches no tensor that can "
                        "be quantized");
    close_shape(&s);
}

static void f32_leaves_no_float_narrow(void **state)
{
    (void)state;
    struct shape s;
    struct recipe_choice c[4];
    struct recipe_census census;
    struct err err;
    add_awkward(&s);
    const struct recipe_options o = {.recipe = recipe_find("F32", &err)};
    assert_true(assign(&s, &o, c, &census, &err));
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(c[i].dtype->id, DTYPE_F32);
    assert_true(census.bits == 32);
    close_shape(&s);
}

static void bad_wishes_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *override, *text;
    } bad[] = {
        {"attn_q", "override 'attn_q' is not REGEX=TYPE"},
        {"=Q4_0", "override '=Q4_0' is not REGEX=TYPE"},
        {"attn_(q=Q4_0", "override 'attn_(q=Q4_0': missing closing parenthesis at letter 8"},
        {"attn_q=Q4K", "attn_q=Q4K: no type 'Q4K' to write, did you mean Q4_K?; there are F32"},
        {"attn_q=IQ2_S", "attn_q=IQ2_S: no type 'IQ2_S' to write"}, /* read, not written */
        {"attn_norm=Q4_0", "override 'attn_norm=Q4_0' matches no tensor that can be quantized"},
    };
    struct shape s;
    struct recipe_choice c[4];
    struct recipe_census census;
    struct err err;
    enum recipe_flavour flavour;
    add_awkward(&s);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const struct recipe_options o = {
            .recipe = recipe_at(0), .overrides = &bad[i].override, .override_count = 1};
        assert_false(assign(&s, &o, c, &census, &err));
        assert_int_equal(err.code, ERR_USAGE);
        assert_memory_equal(err.text, bad[i].text, strlen(bad[i].text));
    }
    const struct recipe_options o = {.recipe = recipe_at(0), .output_type = "Q9"};
    assert_false(assign(&s, &o, c, &census, &err));
    assert_non_null(strstr(err.text, "the output: no type 'Q9'"));
    assert_false(recipe_flavour_find("2025", &flavour, &err));
    assert_true(recipe_flavour_find("Stock-2025", &flavour, &err));
    assert_int_equal(flavour, RECIPE_STOCK_2025);
    close_shape(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stock_2025_gives_what_llama_quantize_gave),
        cmocka_unit_test(stock_gives_what_llama_quantize_gives),
        cmocka_unit_test(stated_bits_are_those_of_llama_3_8b),
        cmocka_unit_test(recipes_are_found_by_name_and_alias_in_any_case),
        cmocka_unit_test(fallbacks_are_counted_or_refused),
        cmocka_unit_test(what_is_asked_for_comes_before_the_rules),
        cmocka_unit_test(f32_leaves_no_float_narrow),
        cmocka_unit_test(bad_wishes_are_named),
    };
    return cmocka_run_group_tests_name("recipe", tests, NULL, NULL);
}
