/* sampler.h - from logits to the next token.
 *
 * The steps and their order are llama.cpp's: the repeat penalty on tokens seen lately, then of the
 * candidates top-k keeps the k most likely, top-p the fewest that together have a probability of p,
 * min-p those with at least min-p times the probability of the first; then the temperature, and one
 * is drawn.  A temperature of 0 takes the most likely.  Equal logits are told apart by
 * id; the same seed and logits give the same tokens.
 */
#ifndef MODEL_SAMPLER_H
#define MODEL_SAMPLER_H

#include "core/err.h"
#include "core/rng.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sampler_options {
    double temperature;
    size_t top_k;          /* 0: all */
    double top_p, min_p;   /* 1, 0: all */
    double repeat_penalty; /* 1: none */
    size_t repeat_last;    /* of how many tokens */
    uint64_t seed;
};

/* llama.cpp's, but for the seed, which is fixed. */
#define SAMPLER_DEFAULTS                                                                           \
    {                                                                                              \
        .temperature = 0.8, .top_k = 40, .top_p = 0.95, .min_p = 0.05, .repeat_penalty = 1.0,      \
        .repeat_last = 64                                                                          \
    }

struct sampler_candidate {
    uint32_t id;
    float logit;
    double p; /* after sampler_choose: what it is drawn with */
};

struct sampler {
    struct sampler_options options;
    struct rng rng;
    size_t vocab;
    struct sampler_candidate *candidate; /* after sampler_choose: the most likely first */
    size_t candidates;
    uint32_t *seen; /* the last tokens, in a ring */
    size_t seen_count;
};

/* Fails with ERR_USAGE (an option out of its range, named as on the command line) or ERR_MEMORY. */
bool sampler_open(struct sampler *s, const struct sampler_options *options, size_t vocab,
                  struct err *err);
void sampler_close(struct sampler *s);

/* The text goes on with this token: prompts and answers alike. */
void sampler_accept(struct sampler *s, uint32_t id);

/* Forgets all tokens; the random numbers go on. */
void sampler_forget(struct sampler *s);

/* Leaves in `candidate` what may be drawn.  Fails with ERR_NUMERIC where no logit is a number. */
bool sampler_choose(struct sampler *s, const float *logits, struct err *err);

/* The same, and draws one. */
bool sampler_draw(struct sampler *s, const float *logits, uint32_t *id, struct err *err);

#endif
