#include "model/recipe_rules.h"

#include <stdio.h>
#include <string.h>

static bool has(const char *name, const char *part) { return strstr(name, part) != NULL; }

static bool ends_with(const char *name, const char *end)
{
    const size_t n = strlen(name), e = strlen(end);
    return n >= e && strcmp(name + n - e, end) == 0;
}

bool recipe_quantizable(const struct tensor *t)
{
    static const char *const never[] = {
        "_norm.weight", "ffn_gate_inp.weight", "ffn_gate_tid2eid.weight", "attn_rel_b.weight",
        /* small: convolutions, low-rank and per-layer helpers */
        "ssm_conv1d", "shortconv.conv.weight", "altup", "laurel", "per_layer_model_proj",
        "indexer.k_proj.weight", "indexer.q_proj.weight",
        /* RWKV's mixing weights */
        "time_mix_first.weight", "time_mix_w0.weight", "time_mix_w1.weight", "time_mix_w2.weight",
        "time_mix_v0.weight", "time_mix_v1.weight", "time_mix_v2.weight", "time_mix_a0.weight",
        "time_mix_a1.weight", "time_mix_a2.weight", "time_mix_g1.weight", "time_mix_g2.weight",
        "time_mix_decay_w1.weight", "time_mix_decay_w2.weight", "time_mix_lerp_fused.weight",
        /* eyes and ears */
        ".position_embd", ".patch_embd", ".patch_merger", ".rel_pos", "sam.pos_embd", "sam.neck.",
        "sam.net_", "a.rvq.codebook", "mm.a.code_embd"};

    if (tensor_rows(t) < 2 || !ends_with(t->name, "weight") || t->dtype->class == DTYPE_INTEGER)
        return false;
    if (strcmp(t->name, "position_embd.weight") == 0 || strcmp(t->name, "token_types.weight") == 0)
        return false;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++)
        if (has(t->name, never[i]))
            return false;
    return true;
}

enum recipe_role recipe_role(const struct recipe_walk *w, const char *name)
{
    const bool old = w->flavour == RECIPE_STOCK_2025;
    if (strcmp(name, "output.weight") == 0)
        return RECIPE_OUTPUT;
    if (strcmp(name, "token_embd.weight") == 0 ||
        (!old && strcmp(name, "per_layer_token_embd.weight") == 0))
        return w->tied ? RECIPE_OUTPUT : RECIPE_EMBEDDING;
    if (has(name, "attn_qkv.weight"))
        return old ? RECIPE_ATTN_QKV : RECIPE_ATTN_V;
    if (has(name, "attn_kv_b.weight"))
        return old ? RECIPE_OTHER : RECIPE_ATTN_V;
    if (has(name, "attn_v.weight"))
        return RECIPE_ATTN_V;
    if (has(name, "attn_k.weight"))
        return RECIPE_ATTN_K;
    if (has(name, "attn_output.weight"))
        return RECIPE_ATTN_OUTPUT;
    return has(name, "ffn_down") ? RECIPE_FFN_DOWN : RECIPE_OTHER;
}

static bool applies(const struct recipe_walk *w, enum recipe_when when, uint64_t i, uint64_t n)
{
    const struct recipe_model *m = w->model;
    switch (when) {
    case RECIPE_NEVER:
        return false;
    case RECIPE_ALWAYS:
        return true;
    case RECIPE_SHARED_4:
        return m->kv_heads && m->heads / m->kv_heads >= 4;
    case RECIPE_FIRST_2:
        return i < 2;
    case RECIPE_FIRST_4:
        return i < 4;
    case RECIPE_FIRST_16TH:
        return i < n / 16;
    case RECIPE_FIRST_8TH:
        return i < n / 8;
    case RECIPE_PLAIN_8TH:
        return !w->importance && i < n / 8;
    case RECIPE_INFORMED_8TH:
        return w->importance && i < n / 8;
    case RECIPE_ENDS_AND_THIRD:
        return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2;
    }
    return false;
}

static enum dtype_id choose(const struct recipe_walk *w, const struct recipe_rule *rule,
                            size_t rules, uint64_t i, uint64_t n)
{
    for (size_t r = 0; r < rules; r++)
        if (applies(w, rule[r].when, i, n))
            return rule[r].dtype;
    return w->dtype;
}

static bool is_70b(const struct recipe_model *m)
{
    static const char *const archs[] = {"deci", "qwen2", "qwen2vl", "olmo"};
    if (m->layers != 80)
        return false;
    for (size_t i = 0; i < sizeof archs / sizeof archs[0]; i++)
        if (strcmp(m->arch, archs[i]) == 0)
            return true;
    return strcmp(m->arch, "llama") == 0 && m->heads != m->kv_heads;
}

static enum dtype_id next_attn_v(struct recipe_walk *w)
{
    enum dtype_id dtype = choose(w, w->rules->attn_v, 2, w->attn_v, w->attn_vs);
    w->attn_v++;
    if (w->model->experts == 8)
        return DTYPE_Q8_0;
    if (is_70b(w->model) && (dtype == DTYPE_Q3_K || dtype == DTYPE_Q4_K))
        dtype = DTYPE_Q5_K; /* 8 heads share it: small, and much depends on it */
    return dtype;
}

static enum dtype_id next_ffn_down(struct recipe_walk *w, const char *name)
{
    const bool falcon = strcmp(w->model->arch, "falcon") == 0;
    uint64_t i = w->ffn_down++;
    unsigned layer;
    if (w->model->experts > 1 && sscanf(name, "blk.%9u.", &layer) == 1)
        i = layer;
    return choose(w, falcon ? w->rules->falcon_ffn_down : w->rules->ffn_down, 2, i,
                  w->model->layers);
}

/* Experts, and in a model without experts all matrices but the output. */
static enum dtype_id next_mxfp4(const struct recipe_walk *w, enum recipe_role role,
                                const struct tensor *t)
{
    if (role == RECIPE_OUTPUT)
        return DTYPE_Q8_0;
    const bool expert = t->dims > 2 && t->shape[t->dims - 3] > 1;
    return expert || w->model->experts < 2 ? DTYPE_MXFP4 : DTYPE_Q8_0;
}

enum dtype_id recipe_walk_next(struct recipe_walk *w, const struct tensor *t)
{
    const struct recipe_rules *rules = w->rules;
    const bool falcon = strcmp(w->model->arch, "falcon") == 0;
    const enum recipe_role role = recipe_role(w, t->name);
    if (w->dtype == DTYPE_MXFP4)
        return next_mxfp4(w, role, t);
    switch (role) {
    case RECIPE_OUTPUT:
        return falcon || w->dtype == DTYPE_Q8_0 ? DTYPE_Q8_0 : DTYPE_Q6_K;
    case RECIPE_EMBEDDING:
        return choose(w, &rules->embedding, 1, 0, 1);
    case RECIPE_ATTN_V:
        return next_attn_v(w);
    case RECIPE_ATTN_K:
        return w->model->experts == 8 ? DTYPE_Q8_0 : w->dtype;
    case RECIPE_ATTN_QKV:
        return choose(w, &rules->attn_qkv, 1, 0, 1);
    case RECIPE_ATTN_OUTPUT:
        return choose(w,
                      falcon                   ? &rules->falcon_attn_output
                      : w->model->experts == 8 ? &rules->attn_output_8experts
                                               : &rules->attn_output,
                      1, 0, 1);
    case RECIPE_FFN_DOWN:
        return next_ffn_down(w, t->name);
    case RECIPE_OTHER:
        break;
    }
    return w->dtype;
}
