#include "model/plan.h"

#include "model/names.h"
#include "model/plan_build.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool plan_reserve(struct plan *p, size_t count, struct err *err)
{
    p->tensor = arena_alloc(&p->arena, count, sizeof *p->tensor);
    return p->tensor || err_set(err, ERR_MEMORY, "a plan of %zu tensors", count);
}

void plan_note(struct plan *p, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    assert(p->notes < PLAN_NOTES_MAX); /* one for each kind */
    const char *copy = arena_text(&p->arena, text, strlen(text));
    p->note[p->notes++] = copy ? copy : "no memory for a note";
}

/* Small or delicate tensors, by a part of their name: what stock llama.cpp never quantizes. */
static const char *const kept[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid",
    "position_embd.weight",
    "token_types.weight",
    "attn_rel_b.weight",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "indexer.k_proj",
    "indexer.q_proj",
    ".position_embd",
    ".patch_embd",
    ".rel_pos",
    "codebook",
};

bool plan_keeps(const char *name, int dims)
{
    const size_t length = strlen(name);
    if (dims < 2 || length < 6 || strcmp(name + length - 6, "weight") != 0)
        return true;
    if (strncmp(name, "sam.", 4) == 0)
        return true;
    for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
        if (strstr(name, kept[i]))
            return true;
    return false;
}

static int by_name(const void *a, const void *b)
{
    const struct plan_tensor *x = a, *y = b;
    return name_compare(x->out.name, y->out.name);
}

static bool no_config(const struct checkpoint *c, struct err *err)
{
    char path[4096];
    const int n = snprintf(path, sizeof path, "%s/adapter_config.json", c->folder);
    if (n > 0 && (size_t)n < sizeof path && access(path, F_OK) == 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "%s: an adapter (adapter_config.json): merge it into its base model first",
                       c->path);
    return err_set(err, ERR_FORMAT, "%s: no config.json beside the weights", c->path);
}

static bool fill(struct plan *p, const struct plan_options *options, struct err *err)
{
    const struct checkpoint *c = p->checkpoint;
    if (c->meta.pairs > 0) {
        if (!plan_from_gguf(p, options, err))
            return err_wrap(err, "%s", c->path);
    } else if (!c->config) {
        return no_config(c, err);
    } else if (!plan_from_folder(p, options, err)) {
        return err_wrap(err, "%s", c->path);
    }
    if (p->tensors > 0)
        qsort(p->tensor, p->tensors, sizeof *p->tensor, by_name);
    return !p->meta.failed || err_set(err, ERR_MEMORY, "%s: the metadata", c->path);
}

bool plan_open(struct plan *p, const struct checkpoint *c, const struct plan_options *options,
               struct err *err)
{
    memset(p, 0, sizeof *p);
    p->checkpoint = c;
    if (fill(p, options, err))
        return true;
    plan_close(p);
    return false;
}

const struct plan_tensor *plan_find(const struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->tensors; i++)
        if (strcmp(p->tensor[i].out.name, name) == 0)
            return &p->tensor[i];
    return NULL;
}

void plan_close(struct plan *p)
{
    meta_close(&p->meta);
    arena_close(&p->arena);
    memset(p, 0, sizeof *p);
}
