#include "model/hparams.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

static const double TWO_PI = 6.283185307179586;

enum { SIZE_LIMIT = INT32_MAX, KEY_MAX = 128 };

enum need {
    NEEDED,    /* there, and not 0 */
    DEFAULTED, /* where it is not there, it follows from the others; not 0 */
    OPTIONAL,  /* 0: none */
};

/* The whole numbers: what config.json calls them, what a GGUF calls them behind "<arch>.". */
static const struct number {
    const char *config, *key;
    size_t at; /* offset of the uint64_t in struct hparams */
    enum need need;
} number[] = {
    {"vocab_size", "vocab_size", offsetof(struct hparams, vocab), DEFAULTED},
    {"max_position_embeddings|n_positions|n_ctx", "context_length",
     offsetof(struct hparams, context), NEEDED},
    {"hidden_size|n_embd", "embedding_length", offsetof(struct hparams, embd), NEEDED},
    {"num_hidden_layers|n_layer", "block_count", offsetof(struct hparams, layers), NEEDED},
    {"intermediate_size|n_inner", "feed_forward_length", offsetof(struct hparams, ffn), NEEDED},
    {"num_attention_heads|n_head", "attention.head_count", offsetof(struct hparams, heads), NEEDED},
    {"num_key_value_heads", "attention.head_count_kv", offsetof(struct hparams, kv_heads),
     DEFAULTED},
    {"head_dim", "attention.key_length", offsetof(struct hparams, head_dim), DEFAULTED},
    {NULL, "attention.value_length", offsetof(struct hparams, value_dim), DEFAULTED},
    {NULL, "rope.dimension_count", offsetof(struct hparams, rope_dims), DEFAULTED},
    {"sliding_window", "attention.sliding_window", offsetof(struct hparams, window), OPTIONAL},
    {NULL, "expert_count", offsetof(struct hparams, experts), OPTIONAL},
    {NULL, "expert_used_count", offsetof(struct hparams, experts_used), OPTIONAL},
};

static const size_t numbers = sizeof number / sizeof number[0];

static uint64_t *place(struct hparams *h, const struct number *n)
{
    return (uint64_t *)(void *)((char *)h + n->at);
}

/* The names a sentence shows: the first of "a|b". */
static bool check_number(const struct number *n, const char *name, uint64_t v, bool there,
                         struct err *err)
{
    const int length = (int)strcspn(name, "|");
    if (!there)
        return n->need != NEEDED || err_set(err, ERR_FORMAT, "'%.*s' is missing", length, name);
    if (v == 0 && n->need != OPTIONAL)
        return err_set(err, ERR_FORMAT, "'%.*s' is 0", length, name);
    if (v > SIZE_LIMIT)
        return err_set(err, ERR_FORMAT, "'%.*s' is %" PRIu64 ", more than %d", length, name, v,
                       SIZE_LIMIT);
    return true;
}

/* Fills in what follows from the rest and checks what must hold between the numbers. */
static bool complete(struct hparams *h, struct err *err)
{
    if (h->kv_heads == 0)
        h->kv_heads = h->heads;
    if (h->heads % h->kv_heads != 0)
        return err_set(err, ERR_FORMAT,
                       "%" PRIu64 " attention heads do not share %" PRIu64
                       " key-value heads evenly",
                       h->heads, h->kv_heads);
    if (h->head_dim == 0) {
        if (h->embd % h->heads != 0)
            return err_set(err, ERR_FORMAT,
                           "a hidden size of %" PRIu64 " does not divide into %" PRIu64
                           " attention heads",
                           h->embd, h->heads);
        h->head_dim = h->embd / h->heads;
    }
    if (h->value_dim == 0)
        h->value_dim = h->head_dim;
    if (h->rope_dims == 0)
        h->rope_dims = (uint64_t)((double)h->head_dim * h->rope.partial_rotary_factor);
    if (h->rope_dims == 0 || h->rope_dims > h->head_dim || h->rope_dims % 2 != 0 ||
        h->head_dim % 2 != 0)
        return err_set(err, ERR_FORMAT,
                       "rotary embedding of %" PRIu64 " columns in heads of %" PRIu64
                       ": both must be even, the first not 0 and not the larger",
                       h->rope_dims, h->head_dim);
    if (!(h->norm_eps > 0.0 && h->norm_eps < 1.0))
        return err_set(err, ERR_FORMAT, "the norms' epsilon is %g: it must lie between 0 and 1",
                       h->norm_eps);
    return true;
}

static bool check_rope(const struct hf_rope *r, uint64_t context, struct err *err)
{
    if (!(r->theta > 0.0 && r->theta <= FLT_MAX))
        return err_set(err, ERR_FORMAT, "rope_theta is %g: it must be above 0", r->theta);
    if (!(r->partial_rotary_factor > 0.0 && r->partial_rotary_factor <= 1.0))
        return err_set(err, ERR_FORMAT,
                       "partial_rotary_factor is %g: it must be above 0, at most 1",
                       r->partial_rotary_factor);
    if (r->type == HF_ROPE_NONE)
        return true;
    if (!(r->factor > 0.0 && r->factor <= FLT_MAX))
        return err_set(err, ERR_FORMAT, "the rope scaling factor is %g: it must be above 0",
                       r->factor);
    if (r->original_context > SIZE_LIMIT)
        return err_set(err, ERR_FORMAT,
                       "rope scaling starts from a context of %" PRIu64 ", more than %d",
                       r->original_context, SIZE_LIMIT);
    if (r->type == HF_ROPE_LLAMA3 &&
        !(r->low_freq_factor > 0.0 && r->low_freq_factor < r->high_freq_factor &&
          isfinite(r->high_freq_factor)))
        return err_set(err, ERR_FORMAT,
                       "rope scaling: low_freq_factor %g must be above 0 and below "
                       "high_freq_factor %g",
                       r->low_freq_factor, r->high_freq_factor);
    if (r->type == HF_ROPE_LONGROPE)
        return err_set(err, ERR_UNSUPPORTED,
                       "rope scaling 'longrope' (context %" PRIu64
                       ") has no key in a GGUF of this architecture",
                       context);
    return true;
}

static bool read_config(struct hparams *h, const json_t *config, struct err *err)
{
    for (const struct number *n = number; n < number + numbers; n++) {
        uint64_t v = UINT64_MAX;
        if (!n->config)
            continue;
        if (!hf_config_u64(config, n->config, &v, err))
            return false;
        if (!check_number(n, n->config, v, v != UINT64_MAX, err))
            return err_wrap(err, "config.json");
        *place(h, n) = v == UINT64_MAX ? 0 : v;
    }
    bool windowed = true;
    h->norm_eps = 1e-6; /* transformers' default */
    if (!hf_config_bool(config, "use_sliding_window", &windowed, err) ||
        !hf_config_bool(config, "tie_word_embeddings", &h->tied, err) ||
        !hf_config_f64(config, "rms_norm_eps", &h->norm_eps, err) ||
        !hf_config_rope(config, &h->rope, err))
        return false;
    if (!windowed)
        h->window = 0;
    if (h->vocab == 0)
        return err_set(err, ERR_FORMAT, "config.json: 'vocab_size' is missing");
    if (!check_rope(&h->rope, h->context, err) || !complete(h, err))
        return err_wrap(err, "config.json");
    if (h->rope.original_context == 0)
        h->rope.original_context = h->context;
    return true;
}

bool hparams_read_config(struct hparams *h, const json_t *config, struct err *err)
{
    memset(h, 0, sizeof *h);
    return read_config(h, config, err);
}

/* The number of that key, or the first of its array. */
static bool meta_first(const struct meta *meta, const char *key, uint64_t *v)
{
    const struct meta_value *value = meta_find(meta, key);
    if (!value || value->type != META_ARRAY)
        return meta_get_u64(meta, key, v);
    if (value->count == 0)
        return false;
    if (value->elem == META_U32)
        *v = *(const uint32_t *)value->as.array;
    else if (value->elem == META_I32 && *(const int32_t *)value->as.array >= 0)
        *v = (uint64_t) * (const int32_t *)value->as.array;
    else
        return false;
    return true;
}

static const char *key_of(char key[KEY_MAX], const char *arch, const char *name)
{
    snprintf(key, KEY_MAX, "%s.%s", arch, name);
    return key;
}

/* A factor without a type is a linear one, for the engine.  Of yarn's magnitude the file has what
 * is beyond the engine's own 1 + 0.1 ln factor. */
static void read_meta_rope(struct hf_rope *r, const char *arch, const struct meta *meta)
{
    char key[KEY_MAX];
    double magnitude = 0.0;
    *r = (struct hf_rope){.theta = 10000.0, .partial_rotary_factor = 1.0, .factor = 1.0};
    meta_get_f64(meta, key_of(key, arch, "rope.freq_base"), &r->theta);
    meta_get_f64(meta, key_of(key, arch, "rope.scaling.factor"), &r->factor);
    meta_get_u64(meta, key_of(key, arch, "rope.scaling.original_context_length"),
                 &r->original_context);
    meta_get_f64(meta, key_of(key, arch, "rope.scaling.yarn_beta_fast"), &r->beta_fast);
    meta_get_f64(meta, key_of(key, arch, "rope.scaling.yarn_beta_slow"), &r->beta_slow);
    const char *type = meta_get_text(meta, key_of(key, arch, "rope.scaling.type"));
    if (type ? strcmp(type, "linear") == 0 : r->factor != 1.0 && r->factor != 0.0)
        r->type = HF_ROPE_LINEAR;
    if (type && strcmp(type, "yarn") == 0)
        r->type = HF_ROPE_YARN;
    if (r->type == HF_ROPE_YARN && r->factor >= 1.0 &&
        meta_get_f64(meta, key_of(key, arch, "rope.scaling.attn_factor"), &magnitude))
        r->attention_factor = magnitude * (1.0 + 0.1 * log(r->factor));
}

bool hparams_read_meta(struct hparams *h, const char *arch, bool known, const struct meta *meta,
                       struct err *err)
{
    char key[KEY_MAX];
    memset(h, 0, sizeof *h);
    for (const struct number *n = number; n < number + numbers; n++) {
        uint64_t v = 0;
        const bool there = meta_first(meta, key_of(key, arch, n->key), &v);
        const struct meta_value *found = meta_find(meta, key);
        if (known && found && !there)
            return err_set(err, ERR_FORMAT, "'%s' is %s, not a whole number", key,
                           meta_type_name(found->type));
        if (known && !check_number(n, key, v, there, err))
            return false;
        if (v <= SIZE_LIMIT)
            *place(h, n) = v;
    }
    const struct meta_value *tokens = meta_find(meta, "tokenizer.ggml.tokens");
    if (h->vocab == 0 && tokens && tokens->type == META_ARRAY && tokens->count <= SIZE_LIMIT)
        h->vocab = tokens->count;
    meta_get_f64(meta, key_of(key, arch, "attention.layer_norm_rms_epsilon"), &h->norm_eps);
    read_meta_rope(&h->rope, arch, meta);
    return !known || (check_rope(&h->rope, h->context, err) && complete(h, err));
}

void hparams_write(const struct hparams *h, const char *arch, struct meta *meta)
{
    char key[KEY_MAX];
    struct hparams copy = *h;
    for (const struct number *n = number; n < number + numbers; n++)
        if (*place(&copy, n) != 0)
            meta_set_u32(meta, key_of(key, arch, n->key), (uint32_t)*place(&copy, n));
    meta_set_f32(meta, key_of(key, arch, "attention.layer_norm_rms_epsilon"), (float)h->norm_eps);
    meta_set_f32(meta, key_of(key, arch, "rope.freq_base"), (float)h->rope.theta);

    const struct hf_rope *r = &h->rope;
    if (r->type != HF_ROPE_LINEAR && r->type != HF_ROPE_YARN)
        return;
    meta_set_text(meta, key_of(key, arch, "rope.scaling.type"),
                  r->type == HF_ROPE_LINEAR ? "linear" : "yarn");
    meta_set_f32(meta, key_of(key, arch, "rope.scaling.factor"), (float)r->factor);
    if (r->type == HF_ROPE_LINEAR)
        return;
    meta_set_u32(meta, key_of(key, arch, "rope.scaling.original_context_length"),
                 (uint32_t)r->original_context);
    if (r->attention_factor > 0.0) /* the engine multiplies its own 1 + 0.1 ln factor by it */
        meta_set_f32(meta, key_of(key, arch, "rope.scaling.attn_factor"),
                     (float)(r->attention_factor / (1.0 + 0.1 * log(r->factor))));
    if (r->beta_fast > 0.0)
        meta_set_f32(meta, key_of(key, arch, "rope.scaling.yarn_beta_fast"), (float)r->beta_fast);
    if (r->beta_slow > 0.0)
        meta_set_f32(meta, key_of(key, arch, "rope.scaling.yarn_beta_slow"), (float)r->beta_slow);
}

/* Waves much shorter than the original context stay, much longer ones are stretched by
 * `factor`, and in between one passes smoothly into the other (Llama 3.1's model card). */
void hparams_rope_factors(const struct hparams *h, float *factor)
{
    const struct hf_rope *r = &h->rope;
    const double context = (double)r->original_context;
    for (uint64_t i = 0; i < h->rope_dims / 2; i++) {
        const double wave = TWO_PI * pow(r->theta, 2.0 * (double)i / (double)h->rope_dims);
        const double turns = context / wave; /* within the original context */
        const double smooth =
            (turns - r->low_freq_factor) / (r->high_freq_factor - r->low_freq_factor);
        if (turns > r->high_freq_factor)
            factor[i] = 1.0f;
        else if (turns < r->low_freq_factor)
            factor[i] = (float)r->factor;
        else
            factor[i] = (float)(1.0 / ((1.0 - smooth) / r->factor + smooth));
    }
}
