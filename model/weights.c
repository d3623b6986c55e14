#include "model/weights.h"

#include "model/names.h"

#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Where the tensors go: matrices to a `const struct tensor *`, vectors to a `const float *`. */
static const struct place {
    const char *name; /* in a GGUF */
    size_t at;        /* in struct weights, or with %d in struct weights_layer */
} place[] = {
    {"token_embd.weight", offsetof(struct weights, embedding)},
    {"output_norm.weight", offsetof(struct weights, output_norm)},
    {"output.weight", offsetof(struct weights, output.weight)},
    {"blk.%d.attn_norm.weight", offsetof(struct weights_layer, attn_norm)},
    {"blk.%d.attn_q.weight", offsetof(struct weights_layer, q.weight)},
    {"blk.%d.attn_k.weight", offsetof(struct weights_layer, k.weight)},
    {"blk.%d.attn_v.weight", offsetof(struct weights_layer, v.weight)},
    {"blk.%d.attn_output.weight", offsetof(struct weights_layer, o.weight)},
    {"blk.%d.attn_q.bias", offsetof(struct weights_layer, q.bias)},
    {"blk.%d.attn_k.bias", offsetof(struct weights_layer, k.bias)},
    {"blk.%d.attn_v.bias", offsetof(struct weights_layer, v.bias)},
    {"blk.%d.attn_output.bias", offsetof(struct weights_layer, o.bias)},
    {"blk.%d.attn_q_norm.weight", offsetof(struct weights_layer, q_norm)},
    {"blk.%d.attn_k_norm.weight", offsetof(struct weights_layer, k_norm)},
    {"blk.%d.ffn_norm.weight", offsetof(struct weights_layer, ffn_norm)},
    {"blk.%d.ffn_gate.weight", offsetof(struct weights_layer, gate.weight)},
    {"blk.%d.ffn_up.weight", offsetof(struct weights_layer, up.weight)},
    {"blk.%d.ffn_down.weight", offsetof(struct weights_layer, down.weight)},
    {"blk.%d.ffn_gate.bias", offsetof(struct weights_layer, gate.bias)},
    {"blk.%d.ffn_up.bias", offsetof(struct weights_layer, up.bias)},
    {"blk.%d.ffn_down.bias", offsetof(struct weights_layer, down.bias)},
};

static const struct place *place_of(const char *name)
{
    const struct place *p = place;
    while (strcmp(p->name, name) != 0)
        p++;
    assert(p < place + sizeof place / sizeof place[0]);
    return p;
}

/* Fails unless the tensor has that shape and a type of numbers that are weights. */
static bool check(const struct tensor *t, const uint64_t *shape, int dims, struct err *err)
{
    char text[TENSOR_SHAPE_TEXT], wanted[TENSOR_SHAPE_TEXT];
    struct tensor want = {.dims = dims};
    memcpy(want.shape, shape, (size_t)dims * sizeof *shape);
    if (t->dims != dims || memcmp(t->shape, shape, (size_t)dims * sizeof *shape) != 0)
        return err_set(err, ERR_FORMAT, "tensor '%s' is %s, the model's keys ask for %s", t->name,
                       tensor_shape_text(t, text), tensor_shape_text(&want, wanted));
    for (int i = 0; i < dims; i++)
        if (shape[i] > INT32_MAX) /* BLAS counts in int */
            return err_set(err, ERR_UNSUPPORTED,
                           "tensor '%s' is %s: more than %d in a row or column", t->name,
                           tensor_shape_text(t, text), INT32_MAX);
    if (t->dtype->class == DTYPE_INTEGER)
        return err_set(err, ERR_FORMAT, "tensor '%s' is of type %s, which holds no weights",
                       t->name, t->dtype->name);
    return true;
}

/* The vector's values, all finite. */
static const float *read_vector(struct weights *w, const struct tensor *t, const struct kernels *k,
                                struct err *err)
{
    const size_t n = (size_t)tensor_elems(t);
    float *v = arena_alloc(&w->arena, n, sizeof *v);
    if (!v) {
        err_set(err, ERR_MEMORY, "tensor '%s': %zu floats", t->name, n);
        return NULL;
    }
    k->decode[t->dtype->id](v, t->data, n);
    const size_t bad = k->find_nonfinite(v, n);
    if (bad == n)
        return v;
    err_set(err, ERR_NUMERIC, "tensor '%s': value %zu is %f", t->name, bad, (double)v[bad]);
    return NULL;
}

/* The tensor becomes that one of the row; layer -1: it belongs to none. */
static bool put(struct weights *w, const struct arch_tensor *a, int64_t layer,
                const struct tensor *t, const struct kernels *k, struct err *err)
{
    char *base = layer < 0 ? (char *)w : (char *)&w->layer[layer];
    void *to = base + place_of(a->name)->at;
    if (t->dims > 1) {
        *(const struct tensor **)to = t;
        return true;
    }
    const float *vector = read_vector(w, t, k, err);
    *(const float **)to = vector;
    return vector != NULL;
}

/* Finds one tensor of the row. */
static bool find_one(struct weights *w, const struct arch_tensor *a, int64_t layer,
                     const struct kernels *k, struct err *err)
{
    char name[NAME_MAX_TEXT];
    const struct tensor *t = checkpoint_find(w->checkpoint, name_fill(name, a->name, layer));
    uint64_t shape[ARCH_DIMS_MAX];
    int dims = 0;
    if (!t)
        return a->optional || err_set(err, ERR_FORMAT, "tensor '%s' is missing", name);
    for (; dims < ARCH_DIMS_MAX && a->shape[dims] != ARCH_NONE; dims++)
        shape[dims] = arch_dim_size(a->shape[dims], &w->hparams);
    return check(t, shape, dims, err) && put(w, a, layer, t, k, err);
}

static bool find_all(struct weights *w, const struct kernels *k, struct err *err)
{
    const struct arch_tensor *a;
    for (size_t i = 0; (a = arch_tensor_at(w->arch, i)) != NULL; i++) {
        const bool layered = strstr(a->name, "%d") != NULL;
        const int64_t end = layered ? (int64_t)w->hparams.layers : 0;
        for (int64_t layer = layered ? 0 : -1; layer < end; layer++)
            if (!find_one(w, a, layer, k, err))
                return false;
    }
    if (!w->output.weight)
        w->output.weight = w->embedding;
    return true;
}

static const char rope_factors[] = "rope_freqs.weight";

static bool is_known(const struct weights *w, const char *name)
{
    const struct arch_tensor *a;
    int64_t layer;
    if (strcmp(name, rope_factors) == 0)
        return true;
    for (size_t i = 0; (a = arch_tensor_at(w->arch, i)) != NULL; i++)
        if (name_match(a->name, name, &layer) && layer < (int64_t)w->hparams.layers)
            return true;
    return false;
}

static bool refuse_unknown(const struct weights *w, struct err *err)
{
    for (size_t i = 0; i < w->checkpoint->tensors; i++)
        if (!is_known(w, w->checkpoint->tensor[i].name))
            return err_set(err, ERR_FORMAT,
                           "tensor '%s' has no place in a %" PRIu64
                           "-layer model of architecture %s",
                           w->checkpoint->tensor[i].name, w->hparams.layers, w->arch->name);
    return true;
}

static bool open_rope(struct weights *w, const struct kernels *k, struct err *err)
{
    const struct tensor *t = checkpoint_find(w->checkpoint, rope_factors);
    const uint64_t pairs = w->hparams.rope_dims / 2;
    const float *factors = NULL;
    if (t && (!check(t, &pairs, 1, err) || !(factors = read_vector(w, t, k, err))))
        return false;
    for (uint64_t i = 0; factors && i < pairs; i++)
        if (!(factors[i] > 0.0f))
            return err_set(err, ERR_FORMAT, "tensor '%s': factor %" PRIu64 " is %g, not above 0",
                           t->name, i, (double)factors[i]);
    return rope_init(&w->rope, &w->hparams, w->arch->rope, factors, &w->arena, err);
}

static bool open_all(struct weights *w, const struct kernels *k, struct err *err)
{
    const char *name = meta_get_text(&w->checkpoint->meta, "general.architecture");
    if (!name)
        return err_set(err, ERR_USAGE, "not a GGUF model; `quern convert` makes one");
    w->arch = arch_find(name);
    if (!w->arch)
        return err_set(err, ERR_UNSUPPORTED, "architecture '%.80s' is not one that quern runs",
                       name);
    if (!hparams_read_meta(&w->hparams, name, true, &w->checkpoint->meta, err))
        return false;
    if (w->hparams.vocab == 0)
        return err_set(err, ERR_FORMAT,
                       "neither '%s.vocab_size' nor 'tokenizer.ggml.tokens' is there", name);
    if (w->hparams.layers > w->checkpoint->tensors)
        return err_set(err, ERR_FORMAT, "%" PRIu64 " layers in a file of %zu tensors",
                       w->hparams.layers, w->checkpoint->tensors);
    w->layer = arena_alloc(&w->arena, (size_t)w->hparams.layers, sizeof *w->layer);
    if (!w->layer)
        return err_set(err, ERR_MEMORY, "%" PRIu64 " layers", w->hparams.layers);
    return refuse_unknown(w, err) && find_all(w, k, err) && open_rope(w, k, err);
}

bool weights_open(struct weights *w, const struct checkpoint *c, const struct kernels *k,
                  struct err *err)
{
    *w = (struct weights){.checkpoint = c};
    if (open_all(w, k, err))
        return true;
    weights_close(w);
    return err_wrap(err, "%s", c->path);
}

struct linear *weights_linear(struct weights_layer *l, size_t i)
{
    struct linear *const linear[WEIGHTS_LINEARS] = {&l->q,    &l->k,  &l->v,   &l->o,
                                                    &l->gate, &l->up, &l->down};
    return linear[i];
}

bool weights_replace(struct weights *w, const struct tensor *t, const struct kernels *k,
                     struct err *err)
{
    const struct arch_tensor *a;
    int64_t layer;
    for (size_t i = 0; (a = arch_tensor_at(w->arch, i)) != NULL; i++)
        if (name_match(a->name, t->name, &layer))
            return put(w, a, layer, t, k, err);
    return true;
}

void weights_close(struct weights *w)
{
    arena_close(&w->arena);
    free(w->laid);
    *w = (struct weights){0};
}
