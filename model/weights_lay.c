#include "model/weights.h"

#include "core/mem.h"
#include "core/stop.h"
#include "quantize/dot_laid.h"

/* All linears, one after the other; NULL behind the last. */
static struct linear *linear_at(struct weights *w, size_t i)
{
    const size_t end = WEIGHTS_LINEARS * (size_t)w->hparams.layers;
    if (i < end)
        return weights_linear(&w->layer[i / WEIGHTS_LINEARS], i % WEIGHTS_LINEARS);
    return i == end ? &w->output : NULL;
}

static size_t laid_bytes(const struct tensor *t, const struct dot_kernels *k)
{
    return t ? dot_laid_bytes(k, t->dtype->id, (size_t)tensor_rows(t), (size_t)tensor_cols(t)) : 0;
}

struct work {
    const struct tensor *from;
    uint8_t *to;
};

static void lay_group(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const struct tensor *t = w->from;
    const size_t rows = (size_t)tensor_rows(t), first = item * LAID_ROWS, left = rows - first;
    const size_t row_bytes = t->bytes / rows;
    (void)thread;
    laid_write(w->to + first * row_bytes, t->dtype->id, t->data + first * row_bytes, row_bytes,
               left < LAID_ROWS ? left : LAID_ROWS, (size_t)tensor_cols(t));
}

bool weights_lay_out(struct weights *w, const struct dot_kernels *k, struct pool *pool,
                     struct err *err)
{
    struct linear *l;
    size_t bytes = 0;
    for (size_t i = 0; (l = linear_at(w, i)) != NULL; i++)
        bytes += laid_bytes(l->weight, k);
    if (w->laid || bytes == 0 || bytes > mem_available() / 2 ||
        !(w->laid = mem_alloc_unset(bytes, 1)))
        return true;
    uint8_t *at = w->laid;
    for (size_t i = 0; (l = linear_at(w, i)) != NULL; i++) {
        bytes = laid_bytes(l->weight, k);
        if (bytes == 0)
            continue;
        if (!stop_check(err))
            return false;
        struct work work = {l->weight, at};
        const size_t rows = (size_t)tensor_rows(l->weight);
        pool_for(pool, (rows + LAID_ROWS - 1) / LAID_ROWS, lay_group, &work);
        checkpoint_release(w->checkpoint, l->weight);
        l->laid = at;
        at += bytes;
    }
    return true;
}
