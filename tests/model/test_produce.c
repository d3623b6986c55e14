/* A plan carried out: the same bytes for any number of threads, and a file that verify proves. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cpu.h"
#include "core/map.h"
#include "core/mem.h"
#include "eval/verify.h"
#include "model/produce.h"
#include "tests/formats/same_file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char source[] = "tests/golden/models/llama";
static char folder[] = "/tmp/quern-produce-XXXXXX";

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
    (void)state;
    return rmdir(folder);
}

/* From the last tensor to the first; halfway it is left, and opened again. */
static bool produce_backwards(const char *path, const struct meta *meta,
                              const struct produce_item *item, size_t items,
                              const struct produce_options *options, struct produce_result *result,
                              struct err *err)
{
    struct produce_options o = *options;
    struct produce p;
    size_t i = items;
    bool ok = true;
    o.resume = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
    for (int run = 0; ok && run < 2; run++) {
        ok = produce_open(&p, path, meta, item, items, &o, result, err);
        for (size_t n = 0; ok && n < items; n++)
            assert_true(p.done[n] == (n >= i));
        for (const size_t end = run == 0 ? items / 2 : 0; ok && i > end;)
            ok = produce_make(&p, --i, err);
        ok = ok && (run == 0 || produce_commit(&p, err));
        produce_close(&p, run == 0);
    }
    return ok;
}

/* An encoder that leaves all to the types' own, and says that it takes long. */
static bool begin(void *arg, const struct produce_item *item, size_t matrix, bool *plain,
                  struct produce_result *r, struct err *err)
{
    (void)arg, (void)item, (void)matrix, (void)r, (void)err;
    return *plain = true;
}

static void end(void *arg) { (void)arg; }

static struct produce_work work(const void *arg, const struct produce_item *item)
{
    (void)arg;
    return (struct produce_work){1000, tensor_cols(&item->tensor->out)};
}

static const struct produce_encoder encoder = {1, begin, NULL, end, work, NULL};

/* Every tensor of two dimensions becomes `type`, with `threads` threads. */
static void produce(const char *path, enum dtype_id type, int threads, unsigned cpu, bool backwards)
{
    struct err err = {0};
    struct checkpoint c = {0};
    struct plan plan = {0};
    struct meta meta = {0};
    struct kernels k;
    struct pool *pool = NULL;
    kernels_init(&k, cpu);
    assert_true(pool_open(&pool, threads, &err));
    assert_true(checkpoint_open(&c, source, &err));
    assert_true(plan_open(&plan, &c, &(struct plan_options){0}, &err));
    struct produce_item *item = mem_alloc(plan.tensors, sizeof *item);
    struct produce_result *result = mem_alloc(plan.tensors, sizeof *result);
    for (size_t i = 0; i < plan.tensors; i++)
        item[i] = (struct produce_item){
            &plan.tensor[i], plan.tensor[i].keep ? plan.tensor[i].out.dtype : dtype_get(type), NULL,
            1, plan.tensor[i].keep || i % 2 ? NULL : &encoder};
    meta_copy(&meta, &plan.meta);
    struct progress progress = {0};
    const struct produce_options o = {
        .source = &c, .kernels = &k, .pool = pool, .progress = &progress, .force = true};
    if (!(backwards ? produce_backwards : produce_gguf)(path, &meta, item, plan.tensors, &o, result,
                                                        &err))
        fail_msg("%s", err.text);
    assert_true(progress.total > 1000 && progress.done == progress.total);
    uint64_t bytes = 0;
    assert_true(produce_size(&meta, item, plan.tensors, &bytes, &err));
    struct map m;
    assert_true(map_open(&m, path, &err));
    assert_true(m.size == bytes);
    map_close(&m);
    free(item);
    free(result);
    meta_close(&meta);
    plan_close(&plan);
    checkpoint_close(&c);
    pool_close(pool);
}

static void same_bytes_for_any_threads(void **state)
{
    (void)state;
    char one[64], many[64];
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(many, sizeof many, "%s/many", folder);
    const enum dtype_id types[] = {DTYPE_Q4_0, DTYPE_Q8_0, DTYPE_F32, DTYPE_BF16, DTYPE_IQ4_NL};
    for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
        produce(one, types[i], 1, 0, false);
        produce(many, types[i], 5, cpu_features(), false);
        assert_same_file(one, many);
    }
    remove(one);
    remove(many);
}

static void same_bytes_in_any_order_and_after_a_pause(void **state)
{
    (void)state;
    char one[64], other[64];
    snprintf(one, sizeof one, "%s/one", folder);
    snprintf(other, sizeof other, "%s/other", folder);
    produce(one, DTYPE_Q4_0, 2, cpu_features(), false);
    produce(other, DTYPE_Q4_0, 2, cpu_features(), true);
    assert_same_file(one, other);
    remove(one);
    remove(other);
}

static void verify_file(const char *path, enum verify_status matrices)
{
    struct err err = {0};
    struct checkpoint c = {0}, file = {0};
    struct plan plan = {0};
    struct kernels k;
    struct pool *pool = NULL;
    struct verify_result *r = NULL;
    size_t n = 0;
    kernels_init(&k, cpu_features());
    assert_true(pool_open(&pool, 3, &err) && checkpoint_open(&c, source, &err));
    assert_true(plan_open(&plan, &c, &(struct plan_options){0}, &err));
    assert_true(checkpoint_open(&file, path, &err));
    assert_true(verify_gguf(&plan, &file, &k, pool, NULL, &r, &n, &err));
    assert_int_equal(n, plan.tensors);
    for (size_t i = 0; i < n; i++)
        assert_int_equal(r[i].status, r[i].source->keep ? VERIFY_EXACT : matrices);
    free(r);
    checkpoint_close(&file);
    plan_close(&plan);
    checkpoint_close(&c);
    pool_close(pool);
}

static void verify_proves_what_was_produced(void **state)
{
    (void)state;
    char path[64];
    snprintf(path, sizeof path, "%s/file", folder);
    const struct {
        enum dtype_id type;
        enum verify_status status;
    } cases[] = {{DTYPE_F16, VERIFY_EXACT},
                 {DTYPE_F32, VERIFY_EXACT},
                 {DTYPE_BF16, VERIFY_ROUNDED},
                 {DTYPE_Q4_0, VERIFY_QUANTIZED}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        produce(path, cases[i].type, 2, cpu_features(), false);
        verify_file(path, cases[i].status);
    }
    remove(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(same_bytes_for_any_threads),
        cmocka_unit_test(same_bytes_in_any_order_and_after_a_pause),
        cmocka_unit_test(verify_proves_what_was_produced),
    };
    return cmocka_run_group_tests_name("produce", tests, make_folder, remove_folder);
}
