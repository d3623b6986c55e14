#include "eval/layers.h"

#include "core/mem.h"
#include "core/stop.h"
#include "model/forward.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TOKENS = 64 }; /* that go through the models at a time */

struct side {
    struct forward forward;
    struct kv_cache cache;
};

/* What the taps share. */
struct streams {
    size_t embd;
    float *base;         /* (layers + 1) x TOKENS x embd */
    struct tally *tally; /* layers + 1 */
};

static void keep(void *arg, size_t layer, const float *x, size_t tokens)
{
    const struct streams *s = arg;
    memcpy(s->base + layer * TOKENS * s->embd, x, tokens * s->embd * sizeof *x);
}

static double relative_error(const float *x, const float *base, size_t n)
{
    double squared = 0.0, signal = 0.0;
    for (size_t i = 0; i < n; i++) {
        const double e = (double)x[i] - (double)base[i];
        squared += e * e;
        signal += (double)base[i] * (double)base[i];
    }
    return squared == 0.0 ? 0.0 : sqrt(squared / signal);
}

static void compare(void *arg, size_t layer, const float *x, size_t tokens)
{
    const struct streams *s = arg;
    const float *base = s->base + layer * TOKENS * s->embd;
    for (size_t i = 0; i < tokens; i++)
        tally_add(&s->tally[layer], relative_error(x + i * s->embd, base + i * s->embd, s->embd));
}

static bool side_open(struct side *s, const struct weights *weights, const struct score_options *o,
                      size_t context, struct err *err)
{
    return forward_open(&s->forward, weights, o->kernels, o->pool, err) &&
           kv_cache_open(&s->cache, &weights->hparams, o->kernels, o->cache, 1, context, err);
}

static void side_close(struct side *s)
{
    forward_close(&s->forward);
    kv_cache_close(&s->cache);
}

/* Both models' streams of one window; the base goes first. */
static bool run_window(struct side side[2], const struct windows *w, const uint32_t *input,
                       struct err *err)
{
    side[0].cache.length[0] = side[1].cache.length[0] = 0;
    for (size_t at = 0; at < w->size; at += TOKENS) {
        const size_t left = w->size - at, tokens = left < TOKENS ? left : TOKENS;
        const struct forward_sequence s = {input + at, tokens, 0, 0};
        for (int i = 0; i < 2; i++)
            if (!forward_run(&side[i].forward, &side[i].cache, &s, 1, NULL, err))
                return false;
    }
    return true;
}

static bool same_shape(const struct score_options *o, struct err *err)
{
    if (!o->base)
        return err_set(err, ERR_USAGE, "layers are compared with those of another model");
    const struct hparams *a = &o->model->hparams, *b = &o->base->hparams;
    return (a->layers == b->layers && a->embd == b->embd) ||
           err_set(err, ERR_USAGE,
                   "%s and %s cannot be compared: %" PRIu64 " layers of %" PRIu64 " and %" PRIu64
                   " of %" PRIu64,
                   o->model->checkpoint->path, o->base->checkpoint->path, a->layers, a->embd,
                   b->layers, b->embd);
}

static bool finish(const struct streams *s, size_t layers, struct estimate *error, struct err *err)
{
    for (size_t i = 0; i <= layers; i++) {
        error[i] = tally_mean(&s->tally[i]);
        if (!isfinite(error[i].value))
            return err_set(err, ERR_NUMERIC, "the residual stream is not finite %s layer %zu",
                           i < layers ? "as it enters" : "behind", i < layers ? i : layers - 1);
    }
    return true;
}

bool layers_compare(const struct score_options *o, const struct windows *w, struct estimate *error,
                    struct err *err)
{
    struct side side[2] = {{{0}, {0}}, {{0}, {0}}};
    if (!same_shape(o, err))
        return false;
    const size_t layers = (size_t)o->model->hparams.layers, embd = (size_t)o->model->hparams.embd;
    uint32_t *input = mem_alloc(w->size, sizeof *input);
    struct streams s = {
        .embd = embd,
        .base = mem_alloc(layers + 1, TOKENS * embd * sizeof *s.base),
        .tally = mem_alloc(layers + 1, sizeof *s.tally),
    };
    bool ok = (input && s.base && s.tally) ||
              err_set(err, ERR_MEMORY, "residual streams of %zu layers", layers);
    ok = ok && side_open(&side[0], o->base, o, w->size, err) &&
         side_open(&side[1], o->model, o, w->size, err);
    side[0].forward.tap = (struct forward_tap){keep, &s};
    side[1].forward.tap = (struct forward_tap){compare, &s};
    if (o->progress) {
        o->progress->done = 0;
        o->progress->total = (uint64_t)w->count * w->size;
    }
    for (size_t i = 0; ok && i < w->count; i++) {
        windows_input(w, i, input);
        ok = stop_check(err) && run_window(side, w, input, err);
        if (ok)
            progress_step(o->progress, "layers", w->size);
    }
    ok = ok && finish(&s, layers, error, err);
    side_close(&side[0]);
    side_close(&side[1]);
    free(input);
    free(s.base);
    free(s.tally);
    return ok;
}
