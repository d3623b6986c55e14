/* Quantized in sequence: the same bytes however often it is stopped, and for any pool. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/calibrate.h"
#include "calib/sequential.h"
#include "core/cpu.h"
#include "core/mem.h"
#include "core/stop.h"
#include "tests/formats/same_file.h"
#include "tests/formats/scratch.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

static const char text[] = "LICENSE", key[HASH_TEXT] = "of this test";

/* Asks to stop at the `left`-th step. */
struct stopping {
    struct progress base;
    long left;
};

static void count_down(struct progress *p, const char *what)
{
    struct stopping *s = p->context;
    assert_non_null(what);
    assert_true(p->done <= p->total);
    if (--s->left == 0)
        raise(SIGINT);
}

/* A golden model on its way to a file; it stops after so many steps (0: never).  True: it is done. */
static bool quantize(const char *model, const char *out, int threads, long steps, size_t *found)
{
    struct err err = {0};
    struct kernels k;
    struct pool *pool = NULL;
    struct calibrate c;
    struct calibrated calibrated;
    struct sequential s;
    struct stopping stopping = {.left = steps};
    char folder[128];
    const char *const path = text;
    stopping.base = (struct progress){.show = count_down, .context = &stopping};
    kernels_init(&k, cpu_features());
    snprintf(folder, sizeof folder, "tests/golden/models/%s", model);
    assert_true(pool_open(&pool, threads, &err));
    const struct calibrate_options o = {
        .source = folder,
        .corpus = {.path = &path, .paths = 1, .context = 64, .most = 4},
        .out = out,
        .force = true,
        .kernels = &k,
        .pool = pool,
    };
    const struct calibrated_options how = {.gptq = {.fast = true, .cpu = cpu_features()}};
    if (!calibrate_open(&c, &o, &err) || !calibrated_open(&calibrated, NULL, &how, &k, pool, &err))
        fail_msg("%s", err.text);
    c.collect.progress = &stopping.base;
    const struct plan *plan = &c.source.plan;
    struct produce_item *item = mem_alloc(plan->tensors, sizeof *item);
    struct produce_result *result = mem_alloc(plan->tensors, sizeof *result);
    for (size_t i = 0; i < plan->tensors; i++)
        item[i] = (struct produce_item){.tensor = &plan->tensor[i],
                                        .dtype = plan->tensor[i].keep ? plan->tensor[i].out.dtype
                                                                      : dtype_get(DTYPE_Q4_0)};
    const struct produce_options options = {
        .source = &c.source.given, .kernels = &k, .pool = pool, .force = true, .resume = key};
    const struct sequential_options how_in_sequence = {&c.collect, &c.source.weights, &calibrated};
    if (!sequential_open(&s, &how_in_sequence, item, plan->tensors, &err))
        fail_msg("%s", err.text);
    const bool ok = sequential_gguf(&s, out, &plan->meta, &options, result, &err);
    *found = s.found;
    if (!ok && err.code != ERR_STOPPED)
        fail_msg("%s", err.text);
    stop_forget_interrupt();
    sequential_close(&s);
    calibrated_close(&calibrated);
    free(item);
    free(result);
    calibrate_close(&c);
    pool_close(pool);
    return ok;
}

static void stopped_anywhere_it_goes_on(void **state)
{
    (void)state;
    const char *const models[] = {"llama", "qwen2", "qwen3"};
    stop_on_signals();
    for (size_t m = 0; m < sizeof models / sizeof models[0]; m++) {
        struct scratch scratch;
        char one[400], other[400];
        size_t found = 0, least = 0;
        scratch_open(&scratch);
        snprintf(one, sizeof one, "%s", scratch_path(&scratch, "one.gguf"));
        snprintf(other, sizeof other, "%s", scratch_path(&scratch, "other.gguf"));
        assert_true(quantize(models[m], one, 1, 0, &found));
        assert_int_equal(found, 0);
        for (long steps = 1; !quantize(models[m], other, 3, steps, &found); steps++) {
            assert_true(found >= least); /* what is done stays */
            least = found;
        }
        assert_true(least > 0);
        assert_same_file(one, other);
        scratch_close(&scratch);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(stopped_anywhere_it_goes_on),
    };
    return cmocka_run_group_tests_name("sequential", tests, NULL, NULL);
}
