#include "calib/pass.h"

#include "core/clock.h"
#include "core/mem.h"
#include "core/stop.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

size_t pass_halves(const struct weights *w) { return 2 * (size_t)w->hparams.layers + 1; }

static size_t embd_of(const struct pass_options *o) { return (size_t)o->weights->hparams.embd; }

static struct pass_input describe(const char *name, size_t layer, const struct linear *a,
                                  const struct linear *b, const struct linear *c)
{
    const struct linear *const linear[PASS_LINEARS] = {a, b, c};
    struct pass_input in = {.linears = 0};
    if (strchr(name, '%'))
        snprintf(in.name, sizeof in.name, "blk.%zu.%s", layer, name + 1);
    else
        snprintf(in.name, sizeof in.name, "%s", name);
    for (size_t i = 0; i < PASS_LINEARS; i++)
        if (linear[i] && linear[i]->weight)
            in.linear[in.linears++] = linear[i]->weight;
    return in;
}

static_assert(FORWARD_ATTN_IN % 2 == 0 && FORWARD_ATTN_OUT % 2 == 1 && FORWARD_FFN_IN % 2 == 0 &&
                  FORWARD_FFN_MID % 2 == 1,
              "the first input of a half is even, the second odd");

size_t pass_inputs(const struct weights *w, size_t half, struct pass_input input[PASS_INPUTS])
{
    const size_t layer = half / 2;
    if (layer == w->hparams.layers) {
        input[0] = describe("output_in", 0, &w->output, NULL, NULL);
        return 1;
    }
    const struct weights_layer *l = &w->layer[layer];
    if (half % 2 == 0) {
        input[0] = describe("%attn_in", layer, &l->q, &l->k, &l->v);
        input[1] = describe("%attn_out", layer, &l->o, NULL, NULL);
    } else {
        input[0] = describe("%ffn_in", layer, &l->gate, &l->up, NULL);
        input[1] = describe("%ffn_mid", layer, &l->down, NULL, NULL);
    }
    return 2;
}

/* Of the keys and values of a token. */
static uint64_t kept_floats(const struct hparams *h)
{
    return h->kv_heads * (h->head_dim + h->value_dim);
}

uint64_t pass_memory(const struct pass_options *o)
{
    enum { PAGES = 5 * (2 << 20) }; /* five pieces are rounded up to large pages (core/mem.h) */
    const struct hparams *h = &o->weights->hparams;
    const uint64_t heads = h->heads * (h->head_dim + h->value_dim),
                   token = 3 * h->embd + heads + kept_floats(h) + 2 * h->ffn;
    return PAGES + sizeof(float) *
                       (FORWARD_PIECE * token + o->corpus->context * (h->embd + kept_floats(h)));
}

uint64_t pass_program(const struct pass_options *o)
{
    enum { LIBRARIES = 24 << 20, THREAD = 4 << 20 }; /* BLAS and HDF5, mostly */
    return LIBRARIES + (uint64_t)pool_threads(o->pool) * THREAD;
}

uint64_t pass_disk(const struct pass_options *o)
{
    return 2 * (uint64_t)o->corpus->windows * o->corpus->context * embd_of(o) * sizeof(float);
}

/* Is this input of the half in work to be summed up? */
static bool is_summed(const struct pass *p, size_t input)
{
    return p->at == p->step->half && p->step->sum[input];
}

static bool sum_up(struct pass *p, struct pass_input *in, const float *x, size_t tokens)
{
    const double start = clock_seconds();
    if (!p->failed && !moments_add(&in->moments, x, tokens, p->err))
        p->failed = !err_wrap(p->err, "%s", in->name);
    p->sums_seconds += clock_seconds() - start;
    return !p->failed;
}

/* Goes on as long as something is to come of it. */
static bool probe(void *arg, enum forward_input input, const float *x, size_t tokens)
{
    struct pass *p = arg;
    const size_t i = input % 2;
    if (is_summed(p, i) && !sum_up(p, &p->input[i], x, tokens))
        return false;
    return p->at < p->step->end || (i == 0 && is_summed(p, 1));
}

/* A piece of a window through half p->at, or into it. */
static void run_half(struct pass *p, float *x, size_t tokens)
{
    const size_t layer = p->at / 2;
    if (layer == p->o->weights->hparams.layers) {
        forward_states(&p->forward, x, tokens, p->states);
        probe(p, FORWARD_ATTN_IN, p->states, tokens);
    } else if (p->at % 2 == 0) {
        forward_attention(&p->forward, &p->cache, layer, x, tokens);
    } else {
        forward_ffn(&p->forward, layer, x, tokens);
    }
}

static bool run_piece(struct pass *p, const uint32_t *token, float *x, size_t tokens)
{
    const struct pass_step *s = p->step;
    if (s->begin == 0 && !forward_embed(&p->forward, token, tokens, x, p->err))
        return false;
    for (p->at = s->begin; p->at < s->end || p->at == s->half; p->at++)
        run_half(p, x, tokens);
    return !p->failed;
}

static bool run_window(struct pass *p, size_t window, struct err *err)
{
    const struct pass_step *s = p->step;
    const size_t context = p->o->corpus->context, embd = embd_of(p->o);
    const size_t bytes = context * embd * sizeof *p->x;
    const uint32_t *token = corpus_window(p->o->corpus, window);
    if (s->begin > 0 &&
        !stream_file_read(&p->stream[s->begin % 2], window * bytes, p->x, bytes, err))
        return false;
    p->cache.length[0] = 0;
    for (size_t at = 0; at < context; at += FORWARD_PIECE) {
        const size_t left = context - at, tokens = left < FORWARD_PIECE ? left : FORWARD_PIECE;
        if (!run_piece(p, token + at, p->x + at * embd, tokens))
            return err_wrap(err, "window %zu", window);
    }
    return s->end == s->begin ||
           stream_file_write(&p->stream[s->end % 2], window * bytes, p->x, bytes, err);
}

bool pass_open(struct pass *p, const struct pass_options *o, const char *folder, struct err *err)
{
    struct hparams one = o->weights->hparams;
    const size_t embd = embd_of(o);
    one.layers = 1;
    *p = (struct pass){.o = o};
    p->x = mem_alloc(o->corpus->context, embd * sizeof *p->x);
    p->states = mem_alloc(FORWARD_PIECE, embd * sizeof *p->states);
    bool ok = (p->x && p->states) ||
              err_set(err, ERR_MEMORY, "no memory for windows of %zu tokens", o->corpus->context);
    ok = ok && stream_file_open(&p->stream[0], folder, "stream-0", pass_disk(o) / 2, err) &&
         stream_file_open(&p->stream[1], folder, "stream-1", pass_disk(o) / 2, err) &&
         forward_open(&p->forward, o->weights, o->kernels, o->pool, err) &&
         kv_cache_open(&p->cache, &one, o->kernels, DTYPE_F32, 1, o->corpus->context, err);
    p->forward.probe = (struct forward_probe){probe, p};
    if (!ok)
        pass_close(p, true);
    return ok;
}

void pass_close(struct pass *p, bool keep)
{
    stream_file_close(&p->stream[0], keep);
    stream_file_close(&p->stream[1], keep);
    forward_close(&p->forward);
    kv_cache_close(&p->cache);
    free(p->x);
    free(p->states);
    *p = (struct pass){0};
}

static bool open_sums(struct pass *p, struct err *err)
{
    p->inputs = pass_inputs(p->o->weights, p->step->half, p->input);
    for (size_t i = 0; i < p->inputs; i++) {
        struct pass_input *in = &p->input[i];
        if (p->step->sum[i] &&
            !moments_open(&in->moments, pass_cols(in), p->o->hessians, p->o->pool, err))
            return false;
        in->summed = p->step->sum[i];
        const struct plan_tensor *t =
            p->o->unfolded ? plan_find(p->o->unfolded, in->linear[0]->name) : NULL;
        in->moments.scale = t ? t->by_col : NULL;
    }
    return true;
}

static void end_sums(struct pass *p)
{
    for (size_t i = 0; i < p->inputs; i++) {
        moments_close(&p->input[i].moments);
        for (size_t l = 0; l < p->input[i].linears; l++)
            checkpoint_release(p->o->weights->checkpoint, p->input[i].linear[l]);
    }
    p->inputs = 0;
}

static bool run(struct pass *p, const struct pass_step *step, struct err *err)
{
    const double start = clock_seconds(), sums = p->sums_seconds;
    p->step = step;
    p->err = err;
    p->failed = false;
    bool ok = open_sums(p, err);
    for (size_t w = 0; ok && w < p->o->corpus->windows; w++) {
        ok = stop_check(err) && run_window(p, w, err);
        if (ok)
            progress_step(p->o->progress, p->input[step->sum[0] ? 0 : 1].name,
                          p->o->corpus->context);
    }
    const double end = clock_seconds();
    p->forward_seconds += end - start - (p->sums_seconds - sums);
    ok = ok && (step->end == step->begin || stream_file_sync(&p->stream[step->end % 2], err));
    p->write_seconds += clock_seconds() - end;
    return ok;
}

static bool write_input(const struct pass *p, struct pass_input *in, struct calib_writer *w,
                        struct err *err)
{
    const char *tensor[PASS_LINEARS];
    float *mean = mem_alloc(in->moments.cols, sizeof *mean);
    const struct calib_hessian hessian = moments_hessian(&in->moments);
    if (!mean)
        return err_set(err, ERR_MEMORY, "%s: %zu means", in->name, in->moments.cols);
    moments_mean_square(&in->moments, mean);
    for (size_t i = 0; i < in->linears; i++)
        tensor[i] = in->linear[i]->name;
    const struct calib_group g = {.name = in->name,
                                  .tensor = tensor,
                                  .tensors = in->linears,
                                  .cols = in->moments.cols,
                                  .matrices = 1,
                                  .tokens = &in->moments.tokens,
                                  .mean_square = mean};
    const bool ok = calib_writer_add(w, &g, p->o->hessians ? &hessian : NULL, err);
    free(mean);
    return ok;
}

static bool write_groups(struct pass *p, struct calib_writer *w, struct err *err)
{
    const double start = clock_seconds();
    bool ok = true;
    for (size_t i = 0; ok && i < p->inputs; i++)
        ok = !p->input[i].summed || write_input(p, &p->input[i], w, err);
    p->write_seconds += clock_seconds() - start;
    return ok;
}

bool pass_part(struct pass *p, const struct pass_step *step, const struct parts *parts,
               size_t stage, struct err *err)
{
    struct calib_writer w = {0};
    const bool ok = run(p, step, err) && parts_write(parts, stage, &w, err) &&
                    write_groups(p, &w, err) && calib_writer_commit(&w, err);
    calib_writer_close(&w);
    end_sums(p);
    return ok;
}
