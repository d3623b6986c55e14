#include "model/arch.h"

#include "core/nearest.h"
#include "formats/hf_config.h"
#include "model/names.h"

#include <stdio.h>
#include <string.h>

#define LAYER "model.layers.%d."
#define BLK   "blk.%d."

/* The pre-norm decoder with RMS norms and a gated feed-forward, without its attention inputs. */
static const struct arch_tensor gated_decoder[] = {
    {"model.embed_tokens.weight", "token_embd.weight", .shape = {ARCH_VOCAB, ARCH_EMBD}},
    {"model.norm.weight", "output_norm.weight", .shape = {ARCH_EMBD}},
    {"lm_head.weight", "output.weight", .shape = {ARCH_VOCAB, ARCH_EMBD}, .optional = true},
    {LAYER "input_layernorm.weight", BLK "attn_norm.weight", .shape = {ARCH_EMBD}},
    {LAYER "self_attn.o_proj.weight", BLK "attn_output.weight", .shape = {ARCH_EMBD, ARCH_O}},
    {LAYER "post_attention_layernorm.weight", BLK "ffn_norm.weight", .shape = {ARCH_EMBD}},
    {LAYER "mlp.gate_proj.weight", BLK "ffn_gate.weight", .shape = {ARCH_FFN, ARCH_EMBD}},
    {LAYER "mlp.up_proj.weight", BLK "ffn_up.weight", .shape = {ARCH_FFN, ARCH_EMBD}},
    {LAYER "mlp.down_proj.weight", BLK "ffn_down.weight", .shape = {ARCH_EMBD, ARCH_FFN}},
    {.source = NULL},
};

/* Rope turns neighbouring pairs of columns in a GGUF "llama", the halves of a head in Hugging
 * Face's: the rows that make those columns change places. */
static const struct arch_tensor permuted_qkv[] = {
    {LAYER "self_attn.q_proj.weight", BLK "attn_q.weight", .shape = {ARCH_Q, ARCH_EMBD},
     .edit = ARCH_PERMUTE_Q},
    {LAYER "self_attn.k_proj.weight", BLK "attn_k.weight", .shape = {ARCH_K, ARCH_EMBD},
     .edit = ARCH_PERMUTE_K},
    {LAYER "self_attn.v_proj.weight", BLK "attn_v.weight", .shape = {ARCH_V, ARCH_EMBD}},
    {.source = NULL},
};

static const struct arch_tensor permuted_biases[] = {
    {LAYER "self_attn.q_proj.bias", BLK "attn_q.bias", .shape = {ARCH_Q}, .edit = ARCH_PERMUTE_Q,
     .optional = true},
    {LAYER "self_attn.k_proj.bias", BLK "attn_k.bias", .shape = {ARCH_K}, .edit = ARCH_PERMUTE_K,
     .optional = true},
    {LAYER "self_attn.v_proj.bias", BLK "attn_v.bias", .shape = {ARCH_V}, .optional = true},
    {LAYER "self_attn.o_proj.bias", BLK "attn_output.bias", .shape = {ARCH_EMBD}, .optional = true},
    {LAYER "mlp.gate_proj.bias", BLK "ffn_gate.bias", .shape = {ARCH_FFN}, .optional = true},
    {LAYER "mlp.up_proj.bias", BLK "ffn_up.bias", .shape = {ARCH_FFN}, .optional = true},
    {LAYER "mlp.down_proj.bias", BLK "ffn_down.bias", .shape = {ARCH_EMBD}, .optional = true},
    {.source = NULL},
};

static const struct arch_tensor plain_qkv[] = {
    {LAYER "self_attn.q_proj.weight", BLK "attn_q.weight", .shape = {ARCH_Q, ARCH_EMBD}},
    {LAYER "self_attn.k_proj.weight", BLK "attn_k.weight", .shape = {ARCH_K, ARCH_EMBD}},
    {LAYER "self_attn.v_proj.weight", BLK "attn_v.weight", .shape = {ARCH_V, ARCH_EMBD}},
    {.source = NULL},
};

static const struct arch_tensor plain_qkv_biases[] = {
    {LAYER "self_attn.q_proj.bias", BLK "attn_q.bias", .shape = {ARCH_Q}},
    {LAYER "self_attn.k_proj.bias", BLK "attn_k.bias", .shape = {ARCH_K}},
    {LAYER "self_attn.v_proj.bias", BLK "attn_v.bias", .shape = {ARCH_V}},
    {.source = NULL},
};

static const struct arch_tensor head_norms[] = {
    {LAYER "self_attn.q_norm.weight", BLK "attn_q_norm.weight", .shape = {ARCH_HEAD}},
    {LAYER "self_attn.k_norm.weight", BLK "attn_k_norm.weight", .shape = {ARCH_HEAD}},
    {.source = NULL},
};

#define LIST(...) ((const char *const[]){__VA_ARGS__, NULL})

static const struct arch table[] = {
    {
        .name = "llama", /* Llama 1 to 3, Code Llama, Mistral, DeepSeek Coder, Yi, SmolLM ... */
        .class = LIST("LlamaForCausalLM", "MistralForCausalLM", "LlamaModel", "MistralModel",
                      "LLaMAForCausalLM"),
        .model_type = LIST("llama", "mistral"),
        .activation = "silu",
        .rope = ARCH_ROPE_PAIRS,
        .part = {gated_decoder, permuted_qkv, permuted_biases},
    },
    {
        .name = "qwen2", /* Qwen 1.5, 2, 2.5, QwQ */
        .class = LIST("Qwen2ForCausalLM", "Qwen2Model"),
        .model_type = LIST("qwen2"),
        .activation = "silu",
        .rope = ARCH_ROPE_HALVES,
        .part = {gated_decoder, plain_qkv, plain_qkv_biases},
    },
    {
        .name = "qwen3",
        .class = LIST("Qwen3ForCausalLM", "Qwen3Model"),
        .model_type = LIST("qwen3"),
        .activation = "silu",
        .rope = ARCH_ROPE_HALVES,
        .part = {gated_decoder, plain_qkv, head_norms},
    },
};

/* Tables of sines and frequencies that old checkpoints carry along. */
static const char *const dropped[] = {
    "model.rotary_emb.inv_freq",
    LAYER "self_attn.rotary_emb.inv_freq",
    LAYER "self_attn.rotary_emb.cos_cached",
    LAYER "self_attn.rotary_emb.sin_cached",
    LAYER "self_attn.masked_bias",
};

const struct arch *arch_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

const struct arch *arch_find(const char *name)
{
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (strcmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

static bool lists(const char *const *list, const char *name)
{
    for (; *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

/* Every known class, and which of them was perhaps meant. */
static bool refuse(const char *asked, bool by_class, struct err *err)
{
    char known[ERR_TEXT_MAX / 2] = "";
    struct nearest nearest = {.word = asked};
    size_t used = 0;
    for (const struct arch *a = table; a < table + sizeof table / sizeof table[0]; a++)
        for (const char *const *name = by_class ? a->class : a->model_type; *name; name++) {
            nearest_offer(&nearest, *name);
            if (used < sizeof known)
                used += (size_t)snprintf(known + used, sizeof known - used, "%s%s",
                                         used ? ", " : "", *name);
        }
    const char *best = nearest_best(&nearest);
    return err_set(err, ERR_UNSUPPORTED,
                   "config.json: %s '%.80s' is not one that quern knows (%s)%s%s",
                   by_class ? "architecture" : "model_type", asked, known,
                   best ? "; the nearest is " : "", best ? best : "");
}

bool arch_find_config(const struct arch **arch, const json_t *config, struct err *err)
{
    const json_t *classes = hf_config_find(config, "architectures");
    const char *name = json_string_value(json_array_get(classes, 0));
    const bool by_class = name != NULL;
    if (!by_class && !hf_config_text(config, "model_type", &name, err))
        return false;
    if (!name)
        return err_set(err, ERR_FORMAT,
                       "config.json: neither 'architectures' nor 'model_type' says what this is");
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        if (lists(by_class ? table[i].class : table[i].model_type, name)) {
            *arch = &table[i];
            return true;
        }
    return refuse(name, by_class, err);
}

const struct arch_tensor *arch_tensor_at(const struct arch *arch, size_t i)
{
    for (size_t p = 0; p < ARCH_PARTS_MAX && arch->part[p]; p++)
        for (const struct arch_tensor *t = arch->part[p]; t->source; t++)
            if (i-- == 0)
                return t;
    return NULL;
}

const struct arch_tensor *arch_find_tensor(const struct arch *arch, const char *source,
                                           int64_t *layer)
{
    const struct arch_tensor *t;
    for (size_t i = 0; (t = arch_tensor_at(arch, i)) != NULL; i++)
        if (name_match(t->source, source, layer))
            return t;
    return NULL;
}

bool arch_drops(const char *source)
{
    int64_t layer;
    for (size_t i = 0; i < sizeof dropped / sizeof dropped[0]; i++)
        if (name_match(dropped[i], source, &layer))
            return true;
    return false;
}

uint64_t arch_dim_size(enum arch_dim dim, const struct hparams *h)
{
    const uint64_t size[] = {
        [ARCH_EMBD] = h->embd,
        [ARCH_VOCAB] = h->vocab,
        [ARCH_FFN] = h->ffn,
        [ARCH_HEAD] = h->head_dim,
        [ARCH_Q] = h->heads * h->head_dim,
        [ARCH_K] = h->kv_heads * h->head_dim,
        [ARCH_V] = h->kv_heads * h->value_dim,
        [ARCH_O] = h->heads * h->value_dim,
    };
    return size[dim];
}

const char *arch_dim_name(enum arch_dim dim)
{
    static const char *const name[] = {
        [ARCH_EMBD] = "hidden_size",
        [ARCH_VOCAB] = "vocab_size",
        [ARCH_FFN] = "intermediate_size",
        [ARCH_HEAD] = "head_dim",
        [ARCH_Q] = "num_attention_heads * head_dim",
        [ARCH_K] = "num_key_value_heads * head_dim",
        [ARCH_V] = "num_key_value_heads * head_dim",
        [ARCH_O] = "num_attention_heads * head_dim",
    };
    return name[dim];
}
