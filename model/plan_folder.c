#include "formats/hf_tokenizer.h"
#include "model/names.h"
#include "model/plan_build.h"
#include "model/plan_general.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char PREFIX[] = "model."; /* a base model's tensors have none */

enum { PREFIX_LENGTH = sizeof PREFIX - 1, UNKNOWN_SHOWN = 3 };

struct mapping {
    struct plan *plan;
    bool bare;                   /* tensors are named without PREFIX */
    uint64_t fp8_rows, fp8_cols; /* blocks of the FP8 scales */
    char unknown[ERR_TEXT_MAX / 2];
    size_t unknowns, dropped, input_scales, fp8, f64;
};

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

/* The tensor that the table calls `source`, in this checkpoint. */
static const struct tensor *find_source(const struct mapping *m, const char *source)
{
    const bool cut = m->bare && strncmp(source, PREFIX, PREFIX_LENGTH) == 0;
    return checkpoint_find(m->plan->checkpoint, cut ? source + PREFIX_LENGTH : source);
}

/* What the table calls a tensor of this checkpoint. */
static const char *table_name(const struct mapping *m, char text[NAME_MAX_TEXT], const char *name)
{
    const bool add = m->bare && strncmp(name, "lm_head.", 8) != 0;
    snprintf(text, NAME_MAX_TEXT, "%s%s", add ? PREFIX : "", name);
    return text;
}

static bool check_shape(const struct tensor *t, const struct arch_tensor *row,
                        const struct hparams *h, struct err *err)
{
    struct tensor want = *t;
    char found[TENSOR_SHAPE_TEXT], wanted[TENSOR_SHAPE_TEXT], sizes[NAME_MAX_TEXT] = "";
    size_t used = 0;
    want.dims = 0;
    for (; want.dims < ARCH_DIMS_MAX && row->shape[want.dims]; want.dims++) {
        const enum arch_dim dim = row->shape[want.dims];
        want.shape[want.dims] = arch_dim_size(dim, h);
        used += (size_t)snprintf(sizes + used, sizeof sizes - used, "%s%s", want.dims ? " x " : "",
                                 arch_dim_name(dim));
    }
    if (want.dims == t->dims &&
        memcmp(want.shape, t->shape, (size_t)t->dims * sizeof *t->shape) == 0)
        return true;
    return err_set(err, ERR_FORMAT, "tensor '%s' is %s; config.json makes it %s (%s)", t->name,
                   tensor_shape_text(t, found), tensor_shape_text(&want, wanted), sizes);
}

/* The type that keeps all of the source's precision. */
static bool set_type(struct mapping *m, struct plan_tensor *t, struct err *err)
{
    enum dtype_id id = t->source->dtype->id;
    if (t->source->dtype->class != DTYPE_FLOAT)
        return err_set(err, ERR_FORMAT, "tensor '%s' holds %s, not floating-point weights",
                       t->source->name, t->source->dtype->name);
    if (id == DTYPE_F64) {
        id = DTYPE_F32;
        m->f64++;
    } else if (id == DTYPE_F8_E4M3 || id == DTYPE_F8_E5M2) {
        id = DTYPE_BF16;
        m->fp8++;
    }
    t->keep = plan_keeps(t->out.name, t->out.dims);
    t->out.dtype = dtype_get(t->keep ? DTYPE_F32 : id);
    return tensor_size(&t->out, &t->out.bytes, err) || err_wrap(err, "tensor '%s'", t->out.name);
}

/* FP8 weights have one factor each, one a row, or one a block. */
static bool find_scale(const struct mapping *m, struct plan_tensor *t, struct err *err)
{
    const struct checkpoint *c = m->plan->checkpoint;
    char name[NAME_MAX_TEXT], shape[TENSOR_SHAPE_TEXT];
    const uint64_t rows = tensor_rows(t->source), cols = tensor_cols(t->source);
    snprintf(name, sizeof name, "%s_scale_inv", t->source->name);
    const struct tensor *s = checkpoint_find(c, name);
    if (!s) {
        snprintf(name, sizeof name, "%s_scale", t->source->name);
        s = checkpoint_find(c, name);
    }
    if (!s)
        return true;
    const uint64_t count = tensor_elems(s);
    t->scale_rows = rows;
    t->scale_cols = cols;
    if (count == rows && s->shape[0] == rows) {
        t->scale_rows = 1;
    } else if (count != 1 && m->fp8_rows) {
        t->scale_rows = m->fp8_rows;
        t->scale_cols = m->fp8_cols;
    }
    const uint64_t down = (rows - 1) / t->scale_rows + 1, across = (cols - 1) / t->scale_cols + 1;
    if (s->dtype->class != DTYPE_FLOAT || count != down * across ||
        (down > 1 && across > 1 && (s->dims != 2 || s->shape[0] != down)))
        return err_set(err, ERR_UNSUPPORTED,
                       "tensor '%s' (%s %s) is not a scale for each weight matrix, row or block of "
                       "'weight_block_size'",
                       s->name, tensor_shape_text(s, shape), s->dtype->name);
    t->scale = s;
    return true;
}

static bool add_tensor(struct mapping *m, const struct tensor *s, const struct arch_tensor *row,
                       int64_t layer, struct err *err)
{
    struct plan *p = m->plan;
    const struct hparams *h = &p->hparams;
    char name[NAME_MAX_TEXT];
    if (layer >= (int64_t)h->layers)
        return err_set(err, ERR_FORMAT, "tensor '%s': config.json has %" PRIu64 " layers", s->name,
                       h->layers);
    if (!check_shape(s, row, h, err))
        return false;
    name_fill(name, row->name, layer);
    struct plan_tensor *t = &p->tensor[p->tensors];
    *t = (struct plan_tensor){.out = *s, .source = s};
    t->out.data = NULL;
    t->out.name = arena_text(&p->arena, name, strlen(name));
    if (!t->out.name)
        return err_set(err, ERR_MEMORY, "the name %s", name);
    if (row->edit != ARCH_COPY) {
        t->edit = PLAN_PERMUTE;
        t->heads = row->edit == ARCH_PERMUTE_Q ? h->heads : h->kv_heads;
    }
    p->tensors++;
    return set_type(m, t, err) && (s->dtype->id != DTYPE_F8_E4M3 || find_scale(m, t, err));
}

/* Scales that belong to a weight in this checkpoint; those of its inputs are not needed. */
static bool is_scale(struct mapping *m, const char *name)
{
    static const char *const end[] = {"_scale_inv", "_scale"};
    static const char *const input[] = {".input_scale", ".activation_scale", ".k_scale",
                                        ".v_scale"};
    char weight[NAME_MAX_TEXT];
    for (size_t i = 0; i < sizeof input / sizeof input[0]; i++)
        if (ends_with(name, input[i])) {
            m->input_scales++;
            return true;
        }
    for (size_t i = 0; i < sizeof end / sizeof end[0]; i++)
        if (ends_with(name, end[i])) {
            snprintf(weight, sizeof weight, "%.*s", (int)(strlen(name) - strlen(end[i])), name);
            const struct tensor *t = checkpoint_find(m->plan->checkpoint, weight);
            return t && t->dtype->id == DTYPE_F8_E4M3;
        }
    return false;
}

static void add_unknown(struct mapping *m, const char *name)
{
    const size_t used = strlen(m->unknown);
    if (m->unknowns++ < UNKNOWN_SHOWN)
        snprintf(m->unknown + used, sizeof m->unknown - used, "%s'%.70s'", used ? ", " : "", name);
}

static bool map_all(struct mapping *m, struct err *err)
{
    const struct checkpoint *c = m->plan->checkpoint;
    const struct arch *arch = m->plan->arch;
    for (size_t i = 0; i < c->tensors; i++) {
        char name[NAME_MAX_TEXT];
        int64_t layer;
        const struct tensor *t = &c->tensor[i];
        const struct arch_tensor *row =
            arch_find_tensor(arch, table_name(m, name, t->name), &layer);
        if (row) {
            if (!add_tensor(m, t, row, layer, err))
                return false;
        } else if (arch_drops(name)) {
            m->dropped++;
        } else if (!is_scale(m, t->name)) {
            add_unknown(m, t->name);
        }
    }
    if (strstr(m->unknown, "lora_"))
        return err_set(err, ERR_UNSUPPORTED,
                       "tensor %s: an adapter: merge it into its base model first", m->unknown);
    if (m->unknowns > UNKNOWN_SHOWN)
        return err_set(err, ERR_UNSUPPORTED, "tensors %s and %zu others have no place in a GGUF %s",
                       m->unknown, m->unknowns - UNKNOWN_SHOWN, arch->name);
    return m->unknowns == 0 || err_set(err, ERR_UNSUPPORTED, "tensor%s %s %s no place in a GGUF %s",
                                       m->unknowns > 1 ? "s" : "", m->unknown,
                                       m->unknowns > 1 ? "have" : "has", arch->name);
}

static bool check_complete(const struct mapping *m, struct err *err)
{
    const struct plan *p = m->plan;
    const struct arch_tensor *row;
    for (size_t i = 0; (row = arch_tensor_at(p->arch, i)) != NULL; i++) {
        const bool layered = strstr(row->source, "%d") != NULL;
        for (uint64_t l = 0; !row->optional && l < (layered ? p->hparams.layers : 1); l++) {
            char name[NAME_MAX_TEXT];
            if (!find_source(m, name_fill(name, row->source, (int64_t)l)))
                return err_set(err, ERR_FORMAT,
                               "tensor '%s' is missing (config.json: %s of %" PRIu64 " layers)",
                               name, p->arch->name, p->hparams.layers);
        }
    }
    return true;
}

/* The output matrix, where it only repeats the embedding, is not written. */
static void settle_output(struct mapping *m)
{
    struct plan *p = m->plan;
    const struct tensor *head = find_source(m, "lm_head.weight");
    const struct tensor *embd = find_source(m, "model.embed_tokens.weight");
    if (!head && !p->hparams.tied)
        plan_note(p, "there is no lm_head.weight: the embedding is the output matrix");
    if (head && p->hparams.tied) {
        const bool same = head->dtype == embd->dtype && head->bytes == embd->bytes &&
                          memcmp(head->data, embd->data, head->bytes) == 0;
        checkpoint_release(p->checkpoint, head);
        checkpoint_release(p->checkpoint, embd);
        for (size_t i = 0; same && i < p->tensors; i++)
            if (p->tensor[i].source == head)
                p->tensor[i] = p->tensor[--p->tensors];
        if (same)
            head = NULL;
        plan_note(p, same ? "lm_head.weight repeats the embedding and is not written"
                          : "lm_head.weight is kept: it differs from the embedding, though "
                            "config.json ties them");
    }
    p->hparams.tied = !head;
}

static bool add_rope_factors(struct plan *p, struct err *err)
{
    if (p->hparams.rope.type != HF_ROPE_LLAMA3)
        return true;
    const uint64_t count = p->hparams.rope_dims / 2;
    float *factor = arena_alloc(&p->arena, (size_t)count, sizeof *factor);
    if (!factor)
        return err_set(err, ERR_MEMORY, "%" PRIu64 " rope factors", count);
    hparams_rope_factors(&p->hparams, factor);
    p->tensor[p->tensors++] = (struct plan_tensor){
        .out = {.name = "rope_freqs.weight",
                .dtype = dtype_get(DTYPE_F32),
                .dims = 1,
                .shape = {count},
                .bytes = (size_t)count * sizeof *factor},
        .edit = PLAN_COMPUTED,
        .computed = factor,
        .keep = true,
    };
    return true;
}

static bool map_tensors(struct plan *p, struct err *err)
{
    const struct checkpoint *c = p->checkpoint;
    struct mapping m = {.plan = p};
    m.bare = !checkpoint_find(c, "model.embed_tokens.weight") &&
             checkpoint_find(c, "embed_tokens.weight");
    if (!plan_check_quantization(c->config, &m.fp8_rows, &m.fp8_cols, err) ||
        !plan_reserve(p, c->tensors + 1, err) || !map_all(&m, err) || !check_complete(&m, err))
        return false;
    settle_output(&m);
    if (m.dropped)
        plan_note(p, "%zu tables of rotary frequencies are not written: they are computed anew",
                  m.dropped);
    if (m.fp8)
        plan_note(p, "%zu FP8 tensors are widened to BF16, their scales multiplied in", m.fp8);
    if (m.input_scales)
        plan_note(p, "%zu scales of FP8 inputs are not written: nothing reads them",
                  m.input_scales);
    if (m.f64)
        plan_note(p, "%zu F64 tensors are rounded to F32", m.f64);
    return add_rope_factors(p, err);
}

static bool read_config(struct plan *p, struct err *err)
{
    const json_t *config = p->checkpoint->config;
    struct hparams *h = &p->hparams;
    if (!arch_find_config(&p->arch, config, err) || !hparams_read_config(h, config, err))
        return false;
    const char *activation = p->arch->activation;
    if (!hf_config_text(config, "hidden_act|hidden_activation", &activation, err))
        return false;
    if (strcmp(activation, p->arch->activation) != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "config.json: 'hidden_act' is '%.60s'; a GGUF %s always means '%s'",
                       activation, p->arch->name, p->arch->activation);
    if (h->window)
        plan_note(p,
                  "the sliding attention window of %" PRIu64
                  " is written as a key, which stock llama.cpp does not read for %s",
                  h->window, p->arch->name);
    if (h->rope.type == HF_ROPE_DYNAMIC)
        plan_note(p,
                  "'dynamic' rope scaling has no key in a GGUF: contexts beyond %" PRIu64
                  " tokens are not scaled",
                  h->context);
    return true;
}

static bool read_tokenizer(struct plan *p, const struct plan_options *options, struct err *err)
{
    const struct hf_tokenizer_options o = {.pre = options->pre, .vocab_size = p->hparams.vocab};
    struct hf_tokenizer_facts facts = {.tokens = 0};
    if (!hf_tokenizer_read(p->checkpoint->folder, p->checkpoint->config, &o, &p->meta, &facts, err))
        return false;
    if (facts.tokens > p->hparams.vocab)
        return err_set(err, ERR_FORMAT,
                       "the tokenizer has %" PRIu64 " tokens, the embedding %" PRIu64 " rows",
                       facts.tokens, p->hparams.vocab);
    if (facts.tokens < p->hparams.vocab)
        plan_note(p,
                  "the embedding has %" PRIu64 " rows for %" PRIu64 " tokens: the rest are padding",
                  p->hparams.vocab, facts.tokens);
    if (facts.note[0])
        plan_note(p, "%s", facts.note);
    return true;
}

bool plan_from_folder(struct plan *p, const struct plan_options *options, struct err *err)
{
    if (!read_config(p, err) || (!options->vocab_only && !map_tensors(p, err)) ||
        !plan_set_general(p, options->name, err))
        return false;
    hparams_write(&p->hparams, p->arch->name, &p->meta);
    return read_tokenizer(p, options, err);
}
