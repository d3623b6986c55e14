/* Folded models are the same function as before, as files say it and as verify reads them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/rng.h"
#include "eval/verify.h"
#include "model/fold.h"
#include "tests/model/planned.h"
#include "tests/model/running.h"

#include <math.h>

static const char *const models[] = {"llama",   "llama3", "deepseek_coder",
                                     "mistral", "qwen2",  "qwen3"};
enum { MODELS = sizeof models / sizeof models[0], TOKENS = 40 };

/* Factors of 1/8 to 8 for every site: a mistake in any of them shows. */
static void fold_all(struct plan *plan, struct fold *fold)
{
    struct err err = {0};
    struct rng rng = {7};
    if (!fold_open(fold, plan, &err))
        fail_msg("%s", err.text);
    for (size_t i = 0; i < fold->sites; i++) {
        for (size_t c = 0; c < fold->site[i].channels; c++)
            fold->site[i].step[c] = (int8_t)(rng_u64(&rng) % 49 - 24);
        fold_apply(&fold->site[i]);
    }
}

static float *logits_of(struct running *r, size_t *values)
{
    struct err err = {0};
    struct kv_cache kv;
    const struct hparams *h = &r->weights.hparams;
    uint32_t token[TOKENS];
    struct rng rng = {1};
    for (size_t i = 0; i < TOKENS; i++)
        token[i] = (uint32_t)(rng_u64(&rng) % h->vocab);
    *values = TOKENS * (size_t)h->vocab;
    float *states = mem_alloc(TOKENS * (size_t)h->embd, sizeof *states);
    float *logits = mem_alloc(*values, sizeof *logits);
    assert_true(kv_cache_open(&kv, h, &r->kernels, DTYPE_F32, 1, TOKENS, &err));
    const struct forward_sequence one = {token, TOKENS, 0, TOKENS};
    assert_true(forward_run(&r->forward, &kv, &one, 1, states, &err));
    forward_logits(&r->forward, states, TOKENS, logits);
    kv_cache_close(&kv);
    free(states);
    return logits;
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

static void every_architecture_stays_the_same_function(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        struct running plain, folded;
        size_t n;
        running_open(&plain, models[m], 1, &(struct running_change){.type = DTYPE_F32});
        running_open(&folded, models[m], 2,
                     &(struct running_change){.type = DTYPE_F32, .fold = fold_all});
        float *want = logits_of(&plain, &n), *got = logits_of(&folded, &n);
        const double error = relative_error(got, want, n);
        const struct tensor *a = checkpoint_find(&plain.checkpoint, "blk.1.ffn_up.weight");
        const struct tensor *b = checkpoint_find(&folded.checkpoint, "blk.1.ffn_up.weight");
        print_message("# %s: relative error %.1e\n", models[m], error);
        assert_true(error < 1e-5);
        assert_int_not_equal(memcmp(a->data, b->data, a->bytes), 0);
        free(want);
        free(got);
        running_close(&plain);
        running_close(&folded);
    }
}

static void sites_are_those_of_the_architecture(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        size_t sites, writers; /* two layers: four sites each, an own output matrix, v's biases */
    } want[] = {{"llama", 9, 9}, {"llama3", 8, 8}, {"qwen2", 8, 10}, {"qwen3", 9, 9}};
    for (size_t i = 0; i < sizeof want / sizeof want[0]; i++) {
        struct planned o;
        struct fold f;
        struct err err;
        char folder[128];
        size_t writers = 0;
        snprintf(folder, sizeof folder, "tests/golden/models/%s", want[i].model);
        assert_true(planned_open(&o, folder, &(struct plan_options){0}, &err));
        assert_true(fold_open(&f, &o.plan, &err));
        for (size_t s = 0; s < f.sites; s++)
            writers += f.site[s].writers;
        assert_int_equal(f.sites, want[i].sites);
        assert_int_equal(writers, want[i].writers);
        const struct fold_site *up = fold_find(&f, planned_find(&o.plan, "blk.1.ffn_up.weight"));
        assert_string_equal(up->name, "ffn_in");
        assert_int_equal(up->layer, 1);
        assert_ptr_equal(up->reader[0], planned_find(&o.plan, "blk.1.ffn_gate.weight"));
        assert_null(fold_find(&f, planned_find(&o.plan, "token_embd.weight")));
        fold_close(&f);
        planned_close(&o);
    }
}

static void a_value_channel_has_one_factor_for_all_its_queries(void **state)
{
    (void)state;
    struct planned o;
    struct fold f;
    struct err err;
    assert_true(planned_open(&o, "tests/golden/models/llama", &(struct plan_options){0}, &err));
    fold_all(&o.plan, &f);
    const struct plan_tensor *out = planned_find(&o.plan, "blk.0.attn_output.weight");
    const struct plan_tensor *v = planned_find(&o.plan, "blk.0.attn_v.weight");
    const struct hparams *h = &o.plan.hparams;
    const size_t width = (size_t)h->value_dim, per = (size_t)(h->heads / h->kv_heads);
    assert_true(per > 1);
    for (size_t head = 0; head < h->heads; head++)
        for (size_t i = 0; i < width; i++) {
            const double both =
                (double)out->by_col[head * width + i] * v->by_row[head / per * width + i];
            assert_true(fabs(both - 1.0) < 2e-7);
        }
    fold_close(&f);
    assert_null(out->by_col);
    assert_null(v->by_row);
    planned_close(&o);
}

static void factors_are_eighth_powers_of_two(void **state)
{
    (void)state;
    for (int step = -FOLD_STEP_MAX; step <= FOLD_STEP_MAX; step++) {
        const double exact = exp2(step / 8.0);
        assert_true(fabs(fold_factor(step) / exact - 1.0) < 0x1p-24);
        assert_int_equal(fold_step(exact * 1.04), step);
        assert_int_equal(fold_step(exact / 1.04), step);
    }
    assert_int_equal(fold_step(INFINITY), FOLD_STEP_MAX);
    assert_int_equal(fold_step(0.0), -FOLD_STEP_MAX);
}

/* The file beside its source. */
static void verify(struct running *r, size_t *bad, size_t *exact)
{
    struct planned o;
    struct err err = {0};
    struct verify_result *result;
    size_t results;
    assert_true(planned_open(&o, "tests/golden/models/qwen2", &(struct plan_options){0}, &err));
    if (!verify_gguf(&o.plan, &r->checkpoint, &r->kernels, r->pool, NULL, &result, &results, &err))
        fail_msg("%s", err.text);
    *bad = *exact = 0;
    for (size_t i = 0; i < results; i++) {
        *bad += !verify_status_good(result[i].status);
        *exact += result[i].status == VERIFY_EXACT;
        assert_true(result[i].source >= o.plan.tensor);
        assert_null(result[i].source->by_col);
    }
    free(result);
    planned_close(&o);
}

static void the_file_says_how_it_is_folded(void **state)
{
    (void)state;
    struct running r;
    size_t bad, exact;
    running_open(&r, "qwen2", 1, &(struct running_change){.type = DTYPE_Q8_0, .fold = fold_all});
    verify(&r, &bad, &exact);
    assert_int_equal(bad, 0);
    assert_int_equal(exact, 11); /* norms and biases */
    meta_remove(&r.checkpoint.meta, "quern.fold.ffn_in");
    verify(&r, &bad, &exact);
    assert_int_equal(bad, 2 + 4); /* of two layers the norm, the gate and up */
    running_close(&r);
}

/* A folded file is a source like any other: what is made of it says nothing of folds. */
static void a_folded_source_is_a_source(void **state)
{
    (void)state;
    struct running r;
    struct plan plan;
    struct err err;
    running_open(&r, "llama", 1, &(struct running_change){.type = DTYPE_F32, .fold = fold_all});
    assert_non_null(meta_find(&r.checkpoint.meta, "quern.fold.ffn_mid"));
    assert_true(plan_open(&plan, &r.checkpoint, &(struct plan_options){0}, &err));
    for (size_t i = 0; i < plan.meta.pairs; i++)
        assert_null(strstr(plan.meta.pair[i].key, "quern.fold"));
    plan_close(&plan);
    running_close(&r);
}

static void keys_of_another_model_are_refused(void **state)
{
    (void)state;
    static const int32_t wide[4] = {1, 2, 3, 4};
    static const int8_t few[4] = {1, 2, 3, 4};
    const struct meta_value value[] = {
        {.type = META_ARRAY, .elem = META_I8, .count = 4, .as.array = few},
        {.type = META_ARRAY, .elem = META_I32, .count = 4, .as.array = wide},
        {.type = META_U32, .as.u = 128},
    };
    for (size_t i = 0; i < sizeof value / sizeof value[0]; i++) {
        struct planned o;
        struct fold f = {0};
        struct meta meta = {0};
        struct err err = {0};
        meta_set(&meta, "quern.fold.ffn_in", &value[i]);
        assert_true(planned_open(&o, "tests/golden/models/llama", &(struct plan_options){0}, &err));
        assert_false(fold_read(&f, &o.plan, &meta, &err));
        assert_int_equal(err.code, ERR_FORMAT);
        assert_non_null(strstr(err.text, "quern.fold.ffn_in"));
        assert_int_equal(f.sites, 0);
        meta_close(&meta);
        planned_close(&o);
    }
}

static void sizes_that_do_not_match_are_refused(void **state)
{
    (void)state;
    static const struct {
        const char *tensor, *other;
    } wrong[] = {{"blk.1.ffn_norm.weight", "ffn_norm"},
                 {"blk.1.attn_k.weight", "attn_q"},
                 {"blk.0.attn_v.weight", "attn_output"}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct planned o;
        struct fold f;
        struct err err = {0};
        assert_true(planned_open(&o, "tests/golden/models/llama", &(struct plan_options){0}, &err));
        struct plan_tensor *t = planned_find(&o.plan, wrong[i].tensor);
        if (i == 1)
            t->out.shape[1]++;
        else
            t->out.shape[0]++;
        assert_false(fold_open(&f, &o.plan, &err));
        assert_int_equal(err.code, ERR_FORMAT);
        assert_non_null(strstr(err.text, wrong[i].tensor));
        assert_non_null(strstr(err.text, wrong[i].other));
        planned_close(&o);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_stays_the_same_function),
        cmocka_unit_test(sites_are_those_of_the_architecture),
        cmocka_unit_test(a_value_channel_has_one_factor_for_all_its_queries),
        cmocka_unit_test(factors_are_eighth_powers_of_two),
        cmocka_unit_test(the_file_says_how_it_is_folded),
        cmocka_unit_test(a_folded_source_is_a_source),
        cmocka_unit_test(keys_of_another_model_are_refused),
        cmocka_unit_test(sizes_that_do_not_match_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
