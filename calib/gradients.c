/* The scratch file has a place for all windows' streams as they enter each half and leave the last:
 * x[b] in place b.  Going back, the gradient there goes behind it, to place b + 1, whose stream is
 * done with: half h reads places h and h + 2 and writes h + 1. */
#include "calib/gradients.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdio.h>
#include <stdlib.h>

enum { NAME = 160, BACK = 3 /* what a half costs on the way back, in forward passes */ };

size_t gradients_halves(const struct weights *w) { return 2 * (size_t)w->hparams.layers; }

/* Those of a half, in the order of the file. */
static size_t linears_of(const struct weights *w, size_t half,
                         const struct linear *linear[GRADIENTS_LINEARS])
{
    const struct weights_layer *l = &w->layer[half / 2];
    const struct linear *const attention[] = {&l->q, &l->k, &l->v, &l->o};
    const struct linear *const ffn[] = {&l->gate, &l->up, &l->down};
    const size_t n = half % 2 == 0 ? 4 : 3;
    for (size_t i = 0; i < n; i++)
        linear[i] = half % 2 == 0 ? attention[i] : ffn[i];
    return n;
}

static size_t rows_of(const struct linear *l) { return (size_t)tensor_rows(l->weight); }

static size_t window_floats(const struct gradients_options *o)
{
    return o->corpus->context * (size_t)o->weights->hparams.embd;
}

uint64_t gradients_memory(const struct gradients_options *o)
{
    const int threads = pool_threads(o->pool);
    const struct linear *linear[GRADIENTS_LINEARS];
    uint64_t most = 0;
    for (size_t half = 0; half < gradients_halves(o->weights); half++) {
        const size_t n = linears_of(o->weights, half, linear);
        uint64_t bytes = 0;
        for (size_t i = 0; i < n; i++)
            bytes += moments_bytes(rows_of(linear[i]), true, threads);
        most = bytes > most ? bytes : most;
    }
    return most + backward_bytes(o->weights, threads, o->corpus->context) +
           window_floats(o) * sizeof(float);
}

uint64_t gradients_disk(const struct gradients_options *o)
{
    return (uint64_t)(gradients_halves(o->weights) + 2) * o->windows * window_floats(o) *
           sizeof(float);
}

uint64_t gradients_bytes(const struct weights *w)
{
    const struct linear *linear[GRADIENTS_LINEARS];
    uint64_t bytes = 0;
    for (size_t half = 0; half < gradients_halves(w); half++) {
        const size_t n = linears_of(w, half, linear);
        for (size_t i = 0; i < n; i++) {
            size_t values = 0;
            calib_triangle(rows_of(linear[i]), &values);
            bytes += values * sizeof(float);
        }
    }
    return bytes;
}

uint64_t gradients_work(const struct gradients_options *o)
{
    return (gradients_halves(o->weights) + 1) * (1 + BACK) * o->windows * o->corpus->context;
}

static void look(void *arg, const struct linear *linear, const float *x, const float *gradient,
                 size_t tokens)
{
    struct gradients *g = arg;
    (void)x;
    for (size_t i = 0; i < g->linears && !g->failed; i++)
        if (g->linear[i] == linear && !moments_add(&g->moments[i], gradient, tokens, g->err))
            g->failed = !err_wrap(g->err, "the gradient of '%s'", linear->weight->name);
}

bool gradients_open(struct gradients *g, const struct gradients_options *o, const char *folder,
                    struct err *err)
{
    *g = (struct gradients){.o = o};
    if (o->corpus->context > FORWARD_PIECE)
        return err_set(err, ERR_USAGE, "gradients need windows of at most %d tokens, not of %zu",
                       FORWARD_PIECE, o->corpus->context);
    if (!(g->x = mem_alloc(window_floats(o), sizeof *g->x)))
        err_set(err, ERR_MEMORY, "a window of %zu tokens", o->corpus->context);
    else if (stream_file_open(&g->stream, folder, "streams", gradients_disk(o), err) &&
             backward_open(&g->backward, o->weights, o->kernels, o->pool, o->corpus->context, err))
        return true;
    gradients_close(g, true);
    return false;
}

static void close_sums(struct gradients *g)
{
    for (size_t i = 0; i < g->linears; i++) {
        moments_close(&g->moments[i]);
        checkpoint_release(g->o->weights->checkpoint, g->linear[i]->weight);
    }
    g->linears = 0;
}

void gradients_close(struct gradients *g, bool keep)
{
    backward_close(&g->backward);
    stream_file_close(&g->stream, keep);
    free(g->x);
    *g = (struct gradients){0};
}

static bool load(const struct gradients *g, size_t place, size_t window, float *x, struct err *err)
{
    const uint64_t bytes = window_floats(g->o) * sizeof *x;
    return stream_file_read(&g->stream, (place * g->o->windows + window) * bytes, x, bytes, err);
}

static bool save(const struct gradients *g, size_t place, size_t window, const float *x,
                 struct err *err)
{
    const uint64_t bytes = window_floats(g->o) * sizeof *x;
    return stream_file_write(&g->stream, (place * g->o->windows + window) * bytes, x, bytes, err);
}

static bool embed(struct gradients *g, size_t window, struct err *err)
{
    const struct corpus *c = g->o->corpus;
    const size_t at = window * (c->windows / g->o->windows);
    return (backward_embed(&g->backward, corpus_window(c, at), c->context, g->x, err) ||
            err_wrap(err, "window %zu", at)) &&
           save(g, 0, window, g->x, err);
}

/* A window through a half, or where that is none through the output and back. */
static bool start_window(struct gradients *g, size_t half, size_t window, struct rng *rng,
                         struct err *err)
{
    const size_t tokens = g->o->corpus->context;
    const bool last = half == gradients_halves(g->o->weights);
    if (!(half == 0 ? embed(g, window, err) : load(g, half, window, g->x, err)))
        return false;
    if (last)
        backward_output(&g->backward, g->x, tokens, NULL, rng);
    else
        backward_ahead(&g->backward, half, g->x, tokens);
    progress_step(g->o->progress, "gradients, forwards", (last ? 1 + BACK : 1) * tokens);
    return save(g, half + 1, window, last ? g->backward.dx : g->x, err);
}

bool gradients_start(struct gradients *g, struct err *err)
{
    struct rng rng = {0};
    for (size_t half = 0; half <= gradients_halves(g->o->weights); half++)
        for (size_t w = 0; w < g->o->windows; w++)
            if (!stop_check(err) || !start_window(g, half, w, &rng, err))
                return false;
    return stream_file_sync(&g->stream, err);
}

bool gradients_resume(struct gradients *g, size_t left)
{
    if (!stream_file_whole(&g->stream))
        return false;
    progress_step(g->o->progress, "gradients",
                  gradients_work(g->o) - left * BACK * g->o->windows * g->o->corpus->context);
    return true;
}

static bool open_sums(struct gradients *g, size_t half, struct err *err)
{
    const struct linear *linear[GRADIENTS_LINEARS];
    const size_t n = linears_of(g->o->weights, half, linear);
    for (; g->linears < n; g->linears++) {
        const size_t i = g->linears;
        g->linear[i] = linear[i];
        if (!moments_open(&g->moments[i], rows_of(linear[i]), true, g->o->pool, err))
            return false;
        const struct plan_tensor *t =
            g->o->unfolded ? plan_find(g->o->unfolded, linear[i]->weight->name) : NULL;
        g->moments[i].scale = t ? t->by_row : NULL;
    }
    return true;
}

static bool run_windows(struct gradients *g, size_t half, struct err *err)
{
    const size_t tokens = g->o->corpus->context;
    char name[NAME];
    snprintf(name, sizeof name, "gradients, blk.%zu", half / 2);
    g->backward.tap = (struct backward_tap){look, g};
    g->err = err;
    g->failed = false;
    for (size_t w = 0; w < g->o->windows; w++) {
        if (!stop_check(err) || !load(g, half, w, g->x, err) ||
            !load(g, half + 2, w, g->backward.dx, err))
            return false;
        backward_half(&g->backward, half, g->x, tokens);
        if (g->failed)
            return err_wrap(err, "window %zu", w * (g->o->corpus->windows / g->o->windows));
        if (!save(g, half + 1, w, g->backward.dx, err))
            return false;
        progress_step(g->o->progress, name, BACK * tokens);
    }
    return stream_file_sync(&g->stream, err);
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

bool gradients_half(struct gradients *g, size_t half, struct calib_writer *w, struct err *err)
{
    bool ok = open_sums(g, half, err) && run_windows(g, half, err);
    for (size_t i = 0; ok && i < g->linears; i++)
        ok = write_one(&g->moments[i], g->linear[i]->weight->name, w, err);
    close_sums(g);
    return ok;
}
