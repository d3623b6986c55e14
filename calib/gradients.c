#include "calib/gradients.h"

#include "calib/backward.h"
#include "calib/moments.h"
#include "core/mem.h"
#include "core/stop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINEARS = 7, NAME = 160 };

struct gradients {
    const struct gradients_options *o;
    struct backward backward;
    struct moments *moments; /* LINEARS a layer */
    size_t count;
    struct err *err; /* of the tap */
    bool failed;
};

static const struct linear *linear_at(const struct weights *w, size_t i)
{
    const struct weights_layer *l = &w->layer[i / LINEARS];
    const struct linear *const all[LINEARS] = {&l->q,    &l->k,  &l->v,   &l->o,
                                               &l->gate, &l->up, &l->down};
    return all[i % LINEARS];
}

static size_t linears_of(const struct weights *w) { return LINEARS * (size_t)w->hparams.layers; }

uint64_t gradients_memory(const struct gradients_options *o)
{
    const int threads = pool_threads(o->pool);
    uint64_t bytes = backward_bytes(o->weights, threads, o->corpus->context);
    for (size_t i = 0; i < linears_of(o->weights); i++)
        bytes +=
            moments_bytes((size_t)tensor_rows(linear_at(o->weights, i)->weight), true, threads);
    return bytes;
}

static void look(void *arg, const struct linear *linear, const float *x, const float *gradient,
                 size_t tokens)
{
    struct gradients *g = arg;
    (void)x;
    for (size_t i = 0; i < g->count && !g->failed; i++)
        if (linear_at(g->o->weights, i) == linear &&
            !moments_add(&g->moments[i], gradient, tokens, g->err))
            g->failed = !err_wrap(g->err, "the gradient of '%s'", linear->weight->name);
}

static bool open_sums(struct gradients *g, struct err *err)
{
    const size_t linears = linears_of(g->o->weights);
    if (!(g->moments = mem_alloc(linears, sizeof *g->moments)))
        return err_set(err, ERR_MEMORY, "gradients of %zu matrices", linears);
    for (; g->count < linears; g->count++) {
        const size_t rows = (size_t)tensor_rows(linear_at(g->o->weights, g->count)->weight);
        if (!moments_open(&g->moments[g->count], rows, true, g->o->pool, err))
            return false;
    }
    return true;
}

static bool run_windows(struct gradients *g, struct err *err)
{
    const struct corpus *c = g->o->corpus;
    const size_t windows = g->o->windows, apart = c->windows / windows;
    struct rng rng = {0};
    g->backward.tap = (struct backward_tap){look, g};
    for (size_t w = 0; w < windows; w++) {
        double loss;
        if (!stop_check(err) || !backward_run(&g->backward, corpus_window(c, w * apart), c->context,
                                              NULL, &rng, &loss, err))
            return false;
        if (g->failed)
            return err_wrap(err, "window %zu", w * apart);
        progress_step(g->o->progress, "gradients", g->o->step);
    }
    return true;
}

static bool write_one(struct moments *m, const char *tensor, struct calib_writer *w,
                      struct err *err)
{
    char name[NAME];
    float *mean = mem_alloc(m->cols, sizeof *mean);
    if (!mean)
        return err_set(err, ERR_MEMORY, "%s: %zu means", tensor, m->cols);
    snprintf(name, sizeof name, CALIB_GRADIENTS "/%s", tensor);
    moments_mean_square(m, mean);
    const struct calib_hessian hessian = moments_hessian(m);
    const struct calib_group g = {.name = name,
                                  .tensor = &tensor,
                                  .tensors = 1,
                                  .cols = m->cols,
                                  .matrices = 1,
                                  .tokens = &m->tokens,
                                  .mean_square = mean};
    const bool ok = calib_writer_add(w, &g, &hessian, err);
    free(mean);
    return ok;
}

bool gradients_run(const struct gradients_options *o, struct calib_writer *w, struct err *err)
{
    struct gradients g = {.o = o, .err = err};
    if (o->corpus->context > FORWARD_PIECE)
        return err_set(err, ERR_USAGE, "gradients need windows of at most %d tokens, not of %zu",
                       FORWARD_PIECE, o->corpus->context);
    bool ok =
        backward_open(&g.backward, o->weights, o->kernels, o->pool, o->corpus->context, err) &&
        open_sums(&g, err) && run_windows(&g, err);
    for (size_t i = 0; ok && i < g.count; i++)
        ok = write_one(&g.moments[i], linear_at(o->weights, i)->weight->name, w, err);
    for (size_t i = 0; i < g.count; i++)
        moments_close(&g.moments[i]);
    free(g.moments);
    backward_close(&g.backward);
    return ok;
}
