#include "model/plan_weights.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

enum { TILE = 64 }; /* rows of an item */

static int by_name(const void *a, const void *b)
{
    return strcmp(((const struct checkpoint_name *)a)->name,
                  ((const struct checkpoint_name *)b)->name);
}

/* The plan's tensor i as the forward pass is to see it. */
static bool describe(struct plan_weights *w, size_t i, struct err *err)
{
    const struct plan_tensor *from = &w->plan->tensor[i];
    struct tensor *t = &w->checkpoint.tensor[i];
    *t = from->out;
    if (t->dims > 1 && from->edit == PLAN_COPY && plan_row(from, 0)) {
        *t = *from->source;
        t->name = from->out.name;
        return true;
    }
    t->dtype = dtype_get(DTYPE_F32);
    if (!tensor_size(t, &t->bytes, err))
        return err_wrap(err, "tensor '%s'", t->name);
    if (t->dims > 1)
        return true;
    float *vector = arena_alloc(&w->checkpoint.arena, t->bytes, 1);
    if (!vector)
        return err_set(err, ERR_MEMORY, "tensor '%s': %zu bytes", t->name, t->bytes);
    plan_read(from, w->kernels, 0, 1, vector);
    t->data = (const uint8_t *)vector;
    return true;
}

static bool open_all(struct plan_weights *w, struct err *err)
{
    struct checkpoint *c = &w->checkpoint;
    const size_t n = w->plan->tensors;
    c->path = w->plan->checkpoint->path;
    c->tensor = mem_alloc(n, sizeof *c->tensor);
    c->by_name = mem_alloc(n, sizeof *c->by_name);
    if (!c->tensor || !c->by_name)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", n);
    for (c->tensors = 0; c->tensors < n; c->tensors++) {
        if (!describe(w, c->tensors, err))
            return false;
        c->by_name[c->tensors] =
            (struct checkpoint_name){c->tensor[c->tensors].name, &c->tensor[c->tensors]};
    }
    qsort(c->by_name, n, sizeof *c->by_name, by_name);
    meta_copy(&c->meta, &w->plan->meta);
    if (c->meta.failed)
        return err_set(err, ERR_MEMORY, "%s: the metadata", c->path);
    return weights_open(&w->weights, c, w->kernels, err);
}

bool plan_weights_open(struct plan_weights *w, const struct plan *p, const struct kernels *k,
                       struct err *err)
{
    *w = (struct plan_weights){.plan = p, .kernels = k};
    if (open_all(w, err))
        return true;
    plan_weights_close(w);
    return false;
}

void plan_weights_close(struct plan_weights *w)
{
    weights_close(&w->weights);
    checkpoint_close(&w->checkpoint);
    *w = (struct plan_weights){0};
}

static const struct plan_tensor *planned(const struct plan_weights *w, const struct tensor *t)
{
    return &w->plan->tensor[t - w->checkpoint.tensor];
}

static bool stays(const struct plan_weights *w, const struct tensor *t)
{
    const struct plan_tensor *from = planned(w, t);
    return t->dims < 2 || (from->edit == PLAN_COPY && plan_row(from, 0));
}

size_t plan_weights_room(const struct plan_weights *w, const struct tensor *t)
{
    return stays(w, t) ? 0 : (size_t)tensor_elems(t);
}

struct load {
    const struct plan_tensor *from;
    const struct kernels *k;
    size_t rows, cols;
    float *to;
};

static void load_tile(size_t tile, int thread, void *arg)
{
    const struct load *l = arg;
    const size_t row = tile * TILE, rows = l->rows - row < TILE ? l->rows - row : TILE;
    (void)thread;
    plan_read(l->from, l->k, row, rows, l->to + row * l->cols);
}

void plan_weights_load(struct plan_weights *w, const struct tensor *t, struct pool *pool,
                       float *room)
{
    struct load l = {.from = planned(w, t),
                     .k = w->kernels,
                     .rows = (size_t)tensor_rows(t),
                     .cols = (size_t)tensor_cols(t),
                     .to = room};
    if (stays(w, t))
        return;
    pool_for(pool, (l.rows + TILE - 1) / TILE, load_tile, &l);
    w->checkpoint.tensor[t - w->checkpoint.tensor].data = (const uint8_t *)room;
}
