#include "formats/hf_config.h"

#include <stddef.h>
#include <string.h>

/* The names of rope_type. */
static const struct {
    const char *name;
    enum hf_rope_type type;
} types[] = {
    {"default", HF_ROPE_NONE}, {"linear", HF_ROPE_LINEAR}, {"dynamic", HF_ROPE_DYNAMIC},
    {"yarn", HF_ROPE_YARN},    {"llama3", HF_ROPE_LLAMA3}, {"longrope", HF_ROPE_LONGROPE},
    {"su", HF_ROPE_LONGROPE}, /* Phi-3's first files */
};

/* The numbers, and which types cannot do without. */
static const struct {
    const char *name;
    size_t offset;
    unsigned needed_by; /* bit t: by type t */
} numbers[] = {
    {"rope_theta", offsetof(struct hf_rope, theta), 0},
    {"partial_rotary_factor", offsetof(struct hf_rope, partial_rotary_factor), 0},
    {"factor", offsetof(struct hf_rope, factor),
     1u << HF_ROPE_LINEAR | 1u << HF_ROPE_DYNAMIC | 1u << HF_ROPE_YARN | 1u << HF_ROPE_LLAMA3},
    {"low_freq_factor", offsetof(struct hf_rope, low_freq_factor), 1u << HF_ROPE_LLAMA3},
    {"high_freq_factor", offsetof(struct hf_rope, high_freq_factor), 1u << HF_ROPE_LLAMA3},
    {"attention_factor", offsetof(struct hf_rope, attention_factor), 0},
    {"beta_fast", offsetof(struct hf_rope, beta_fast), 0},
    {"beta_slow", offsetof(struct hf_rope, beta_slow), 0},
    {"mscale", offsetof(struct hf_rope, mscale), 0},
};

enum { NUMBERS = sizeof numbers / sizeof *numbers };

static double *number_at(struct hf_rope *rope, size_t i)
{
    return (double *)(void *)((char *)rope + numbers[i].offset);
}

static bool read_type(const json_t *scaling, struct hf_rope *rope, struct err *err)
{
    const char *name = NULL;
    if (!hf_config_text(scaling, "rope_type|type", &name, err))
        return false;
    if (!name)
        return !hf_config_find(scaling, "factor") ||
               err_set(err, ERR_FORMAT,
                       "config.json: a rope scaling with a factor, but no "
                       "'rope_type'");
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (strcmp(name, types[i].name) == 0) {
            rope->type = types[i].type;
            return true;
        }
    }
    return err_set(err, ERR_UNSUPPORTED,
                   "config.json: unknown rope_type '%s' (known: default, linear, dynamic, yarn, "
                   "llama3, longrope)",
                   name);
}

/* The object of that name; of one a layer type, the full-attention layers'.  NULL: not there. */
static bool find_scaling(const json_t *config, const char *name, const json_t **scaling,
                         struct err *err)
{
    const json_t *found = hf_config_find(config, name);
    const json_t *full = json_object_get(found, "full_attention");
    *scaling = full ? full : found;
    if (*scaling && !json_is_object(*scaling))
        return err_set(err, ERR_FORMAT, "config.json: '%s' is not an object", name);
    if (json_object_size(*scaling) == 0 ||
        hf_config_find(*scaling, "rope_type|type|rope_theta|factor"))
        return true;
    return err_set(err, ERR_UNSUPPORTED,
                   "config.json: '%s' has neither a 'rope_type' or "
                   "'rope_theta' nor a member 'full_attention' that has them",
                   name);
}

static bool read_scaling(const json_t *scaling, struct hf_rope *rope, struct err *err)
{
    if (!read_type(scaling, rope, err) ||
        !hf_config_u64(scaling, "original_max_position_embeddings", &rope->original_context, err))
        return false;
    for (size_t i = 0; i < NUMBERS; i++) {
        if (numbers[i].needed_by >> rope->type & 1 && !hf_config_find(scaling, numbers[i].name))
            return err_set(err, ERR_FORMAT, "config.json: the rope scaling has no '%s'",
                           numbers[i].name);
        if (!hf_config_f64(scaling, numbers[i].name, number_at(rope, i), err))
            return false;
    }
    return rope->type != HF_ROPE_LLAMA3 || rope->original_context > 0 ||
           err_set(err, ERR_FORMAT,
                   "config.json: the rope scaling has no "
                   "'original_max_position_embeddings'");
}

bool hf_config_rope(const json_t *config, struct hf_rope *rope, struct err *err)
{
    *rope = (struct hf_rope){.theta = 10000.0, .factor = 1.0, .partial_rotary_factor = 1.0};
    if (!hf_config_f64(config, "rope_theta|rotary_emb_base", &rope->theta, err) ||
        !hf_config_f64(config, "partial_rotary_factor|rotary_pct|rope_pct",
                       &rope->partial_rotary_factor, err) ||
        !hf_config_u64(config, "original_max_position_embeddings", &rope->original_context, err))
        return false;
    /* People add rope_scaling by hand to files that have rope_parameters: it has the last word. */
    static const char *const where[] = {"rope_parameters", "rope_scaling"};
    for (size_t i = 0; i < 2; i++) {
        const json_t *scaling;
        if (!find_scaling(config, where[i], &scaling, err) ||
            (scaling && !read_scaling(scaling, rope, err)))
            return false;
    }
    for (size_t i = 0; i < NUMBERS; i++)
        if (!(*number_at(rope, i) >= 0))
            return err_set(err, ERR_FORMAT, "config.json: '%s' is %g, less than 0", numbers[i].name,
                           *number_at(rope, i));
    return true;
}
