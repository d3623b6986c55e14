/* running.h - a golden model as a GGUF file, opened for the forward pass: for its tests. */
#ifndef TESTS_MODEL_RUNNING_H
#define TESTS_MODEL_RUNNING_H

#include "core/cpu.h"
#include "core/mem.h"
#include "model/fold.h"
#include "model/forward.h"
#include "model/produce.h"
#include "tests/formats/scratch.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct running {
    struct scratch scratch;
    struct kernels kernels;
    struct dot_kernels dot;
    struct pool *pool;
    struct checkpoint checkpoint;
    struct weights weights;
    struct forward forward;
};

/* What is changed on the way to the file; zeroed: nothing. */
struct running_change {
    enum dtype_id type;   /* of the matrices; F32 where nothing is said */
    const char *left_out; /* a tensor */
    const char *renamed, *to;
    const char *key; /* set to `value` */
    uint32_t value;
    bool fast; /* products of blocks with eight-bit activations */
    void (*fold)(struct plan *plan, struct fold *fold); /* sets and applies its steps */
};

static inline void running_write(struct running *r, const char *model,
                                 const struct running_change *change)
{
    struct err err = {0};
    struct checkpoint source = {0};
    struct plan plan = {0};
    struct fold fold = {0};
    char folder[128];
    snprintf(folder, sizeof folder, "tests/golden/models/%s", model);
    assert_true(checkpoint_open(&source, folder, &err));
    assert_true(plan_open(&plan, &source, &(struct plan_options){0}, &err));
    if (change->fold)
        change->fold(&plan, &fold);
    fold_write(&fold, false, &plan.meta);
    struct produce_item *item = mem_alloc(plan.tensors, sizeof *item);
    struct produce_result *result = mem_alloc(plan.tensors, sizeof *result);
    size_t items = 0;
    for (size_t i = 0; i < plan.tensors; i++) {
        struct plan_tensor *t = &plan.tensor[i];
        if (change->left_out && strcmp(t->out.name, change->left_out) == 0)
            continue;
        if (change->renamed && strcmp(t->out.name, change->renamed) == 0)
            t->out.name = change->to;
        item[items++] = (struct produce_item){t, t->keep ? t->out.dtype : dtype_get(change->type),
                                              NULL, 0, NULL};
    }
    if (change->key)
        meta_set_u32(&plan.meta, change->key, change->value);
    const struct produce_options o = {
        .source = &source, .kernels = &r->kernels, .pool = r->pool, .force = true};
    if (!produce_gguf(scratch_path(&r->scratch, "model.gguf"), &plan.meta, item, items, &o, result,
                      &err))
        fail_msg("%s", err.text);
    free(item);
    free(result);
    fold_close(&fold);
    plan_close(&plan);
    checkpoint_close(&source);
}

/* Writes and maps the file; weights are not open yet. */
static inline void running_prepare(struct running *r, const char *model, int threads,
                                   const struct running_change *change)
{
    struct err err = {0};
    memset(r, 0, sizeof *r);
    kernels_init(&r->kernels, cpu_features());
    scratch_open(&r->scratch);
    assert_true(pool_open(&r->pool, threads, &err));
    running_write(r, model, change);
    if (!checkpoint_open(&r->checkpoint, r->scratch.path, &err))
        fail_msg("%s", err.text);
}

static inline void running_open(struct running *r, const char *model, int threads,
                                const struct running_change *change)
{
    struct err err = {0};
    running_prepare(r, model, threads, change);
    dot_init(&r->dot, &r->kernels, cpu_features());
    r->kernels.dot = change->fast ? &r->dot : NULL;
    if (!weights_open(&r->weights, &r->checkpoint, &r->kernels, &err) ||
        !forward_open(&r->forward, &r->weights, &r->kernels, r->pool, &err))
        fail_msg("%s", err.text);
}

static inline void running_close(struct running *r)
{
    forward_close(&r->forward);
    weights_close(&r->weights);
    checkpoint_close(&r->checkpoint);
    pool_close(r->pool);
    scratch_close(&r->scratch);
}

#endif
