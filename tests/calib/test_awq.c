/* Scaling a whole model: it stays the same function, loses less, and knows what it needs. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/awq.h"
#include "calib/calibrate.h"
#include "calib/fold_proof.h"
#include "core/cpu.h"
#include "core/mem.h"
#include "tests/formats/scratch.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "LICENSE";

/* A golden model, its plan and what calibration says of it. */
struct calibrated_model {
    struct scratch scratch;
    struct kernels kernels;
    struct pool *pool;
    struct checkpoint checkpoint;
    struct plan plan;
    struct calib_store store;
};

static void model_open(struct calibrated_model *m, const char *model, int threads,
                       bool importance_only)
{
    struct err err = {0};
    struct calibrate c;
    struct collect_result result;
    char folder[128];
    const char *const path = text;
    memset(m, 0, sizeof *m);
    kernels_init(&m->kernels, cpu_features());
    scratch_open(&m->scratch);
    assert_true(pool_open(&m->pool, threads, &err));
    snprintf(folder, sizeof folder, "tests/golden/models/%s", model);
    const struct calibrate_options o = {
        .source = folder,
        .corpus = {.path = &path, .paths = 1, .context = 64, .most = 8},
        .importance_only = importance_only,
        .out = scratch_path(&m->scratch, "calib.h5"),
        .kernels = &m->kernels,
        .pool = m->pool,
    };
    if (!calibrate_open(&c, &o, &err) || !calibrate_run(&c, &result, &err))
        fail_msg("%s", err.text);
    calibrate_close(&c);
    if (!checkpoint_open(&m->checkpoint, folder, &err) ||
        !plan_open(&m->plan, &m->checkpoint, &(struct plan_options){0}, &err) ||
        !calib_store_open(&m->store, o.out, &err))
        fail_msg("%s", err.text);
}

static void model_close(struct calibrated_model *m)
{
    calib_store_close(&m->store);
    plan_close(&m->plan);
    checkpoint_close(&m->checkpoint);
    pool_close(m->pool);
    scratch_close(&m->scratch);
}

static bool scale(struct calibrated_model *m, enum dtype_id type, struct awq *a, struct err *err)
{
    const struct dtype **dtype = mem_alloc(m->plan.tensors, sizeof *dtype);
    const struct awq_options o = {.kernels = &m->kernels, .pool = m->pool};
    for (size_t i = 0; i < m->plan.tensors; i++)
        dtype[i] = m->plan.tensor[i].keep ? m->plan.tensor[i].out.dtype : dtype_get(type);
    const bool ok = awq_open(a, &m->plan, &m->store, dtype, &o, err);
    free(dtype);
    return ok;
}

static void every_architecture_gains_and_stays_itself(void **state)
{
    (void)state;
    static const char *const models[] = {"llama", "qwen2", "qwen3"};
    for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
        struct calibrated_model m;
        struct awq a;
        struct err err = {0};
        model_open(&m, models[i], 2, false);
        if (!scale(&m, DTYPE_Q4_0, &a, &err))
            fail_msg("%s", err.text);
        print_message("# %s: loss %.4f of plain rounding's, proof %.1e\n", models[i],
                      a.after / a.before, a.proof);
        assert_true(a.after < 0.99 * a.before);
        assert_true(a.proof > 0.0 && a.proof < FOLD_PROOF_BOUND);
        for (size_t s = 0; s < a.fold.sites; s++) {
            assert_true(a.site[s].searched);
            assert_true(a.site[s].choice.after <= a.site[s].choice.before);
            assert_ptr_equal(a.fold.site[s].reader[0]->by_col, a.fold.site[s].up);
        }
        awq_close(&a);
        model_close(&m);
    }
}

static void threads_change_no_step(void **state)
{
    (void)state;
    struct calibrated_model one, many;
    struct awq a, b;
    struct err err = {0};
    model_open(&one, "llama", 1, false);
    model_open(&many, "llama", 5, false);
    assert_true(scale(&one, DTYPE_Q4_0, &a, &err));
    assert_true(scale(&many, DTYPE_Q4_0, &b, &err));
    for (size_t s = 0; s < a.fold.sites; s++)
        assert_memory_equal(a.fold.site[s].step, b.fold.site[s].step, a.fold.site[s].channels);
    assert_true(a.after == b.after && a.proof == b.proof);
    awq_close(&a);
    awq_close(&b);
    model_close(&one);
    model_close(&many);
}

static void types_that_round_nothing_are_left_alone(void **state)
{
    (void)state;
    struct calibrated_model m;
    struct awq a;
    struct err err = {0};
    model_open(&m, "llama", 1, false);
    assert_true(scale(&m, DTYPE_F16, &a, &err));
    for (size_t s = 0; s < a.fold.sites; s++) {
        assert_false(a.site[s].searched);
        for (size_t c = 0; c < a.fold.site[s].channels; c++)
            assert_int_equal(a.fold.site[s].step[c], 0);
    }
    assert_true(a.proof == 0.0);
    awq_close(&a);
    model_close(&m);
}

static void importance_is_that_of_the_folded_columns(void **state)
{
    (void)state;
    struct calibrated_model m;
    struct awq a;
    struct err err = {0};
    model_open(&m, "llama", 1, false);
    assert_true(scale(&m, DTYPE_Q4_0, &a, &err));
    for (size_t i = 0; i < m.plan.tensors; i++) {
        const struct plan_tensor *t = &m.plan.tensor[i];
        const struct calib_group *g = calib_store_find(&m.store, t->out.name);
        struct produce_item item = {.tensor = t, .importance = g ? g->mean_square : NULL};
        awq_use(&a, &item);
        assert_true(!g == !item.importance);
        for (size_t c = 0; g && c < g->cols; c++) {
            const double s = t->by_col[c], want = g->mean_square[c] / (s * s);
            assert_true(fabs(item.importance[c] - want) <= 1e-6 * want);
        }
    }
    awq_close(&a);
    model_close(&m);
}

/* A reader that is scaled while its writer is not. */
static void another_function_is_refused(void **state)
{
    (void)state;
    struct calibrated_model m;
    struct fold f;
    struct err err = {0};
    double error = 0.0;
    uint64_t memory = 0;
    model_open(&m, "llama", 1, false);
    assert_true(fold_open(&f, &m.plan, &err));
    assert_true(fold_proof(&m.plan, &m.kernels, m.pool, &error, &memory, &err));
    assert_true(error == 0.0);
    for (size_t s = 0; s < f.sites; s++) {
        struct fold_site *site = &f.site[s];
        site->step[site->channels / 2] = 3;
        fold_apply(site);
        assert_true(fold_proof(&m.plan, &m.kernels, m.pool, &error, &memory, &err));
        site->writer[0]->by_col = site->writer[0]->by_row = NULL;
        assert_false(fold_proof(&m.plan, &m.kernels, m.pool, &error, &memory, &err));
        assert_int_equal(err.code, ERR_NUMERIC);
        assert_true(error > FOLD_PROOF_BOUND);
        site->step[site->channels / 2] = 0;
        fold_apply(site);
    }
    fold_close(&f);
    model_close(&m);
}

static void what_is_missing_is_named(void **state)
{
    (void)state;
    struct calibrated_model m;
    struct awq a;
    struct err err = {0};
    model_open(&m, "llama", 1, true);
    assert_false(scale(&m, DTYPE_Q4_0, &a, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_non_null(strstr(err.text, "importance alone"));
    m.store.tensors = 0;
    assert_false(scale(&m, DTYPE_Q4_0, &a, &err));
    assert_non_null(strstr(err.text, "blk.0.attn_q.weight"));
    for (size_t i = 0; i < m.plan.tensors; i++) /* and nothing stays folded */
        assert_true(!m.plan.tensor[i].by_col && !m.plan.tensor[i].by_row);
    model_close(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_architecture_gains_and_stays_itself),
        cmocka_unit_test(threads_change_no_step),
        cmocka_unit_test(types_that_round_nothing_are_left_alone),
        cmocka_unit_test(importance_is_that_of_the_folded_columns),
        cmocka_unit_test(another_function_is_refused),
        cmocka_unit_test(what_is_missing_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
