/* hf_config.h - config.json as transformers 4 and 5 write it, read the same way.
 *
 * Getters take a list of names separated by '|' and answer from the first that is there and
 * not null; for each name the config comes first, then a text model nested under
 * "text_config".  A member of the wrong type is an error, a missing one is not.
 */
#ifndef FORMATS_HF_CONFIG_H
#define FORMATS_HF_CONFIG_H

#include "core/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* *v stays as it was where no name is there; false only with ERR_FORMAT ("config.json: 'x' is
 * a string, a number was expected", "is -3 ..."). */
bool hf_config_u64(const json_t *config, const char *names, uint64_t *v, struct err *err);
bool hf_config_f64(const json_t *config, const char *names, double *v, struct err *err);
bool hf_config_bool(const json_t *config, const char *names, bool *v, struct err *err);
bool hf_config_text(const json_t *config, const char *names, const char **v, struct err *err);

/* The member itself, or NULL. */
const json_t *hf_config_find(const json_t *config, const char *names);

enum hf_rope_type {
    HF_ROPE_NONE,
    HF_ROPE_LINEAR,
    HF_ROPE_DYNAMIC,
    HF_ROPE_YARN,
    HF_ROPE_LLAMA3,
    HF_ROPE_LONGROPE
};

/* Rotary embedding, from rope_theta + rope_scaling (4) or rope_parameters (5; there it may be
 * nested per layer type: the full-attention one is taken).  rope_scaling beside rope_parameters
 * was added by hand, as model cards advise for long contexts: it has the last word. */
struct hf_rope {
    double theta; /* 10000 where nothing is said */
    enum hf_rope_type type;
    double factor;
    uint64_t original_context;                             /* 0: not said */
    double low_freq_factor, high_freq_factor;              /* llama3 */
    double attention_factor, beta_fast, beta_slow, mscale; /* yarn, longrope; 0: not said */
    double partial_rotary_factor;                          /* 1 where nothing is said */
};

/* What the type needs is there, and no number is negative; whether they make sense together is
 * for model/ to say.  Fails with ERR_FORMAT, or ERR_UNSUPPORTED for an unknown type (named). */
bool hf_config_rope(const json_t *config, struct hf_rope *rope, struct err *err);

#endif
