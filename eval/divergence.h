/* divergence.h - how far a model's predictions are from those of its source.
 *
 * Of the Kullback-Leibler divergence KL(source || model) of each token's distribution, and of
 * the probability that each gave to the token that came.  Definitions are those of
 * llama-perplexity --kl-divergence.
 */
#ifndef EVAL_DIVERGENCE_H
#define EVAL_DIVERGENCE_H

#include "eval/estimate.h"
#include "eval/score.h"

enum { DIVERGENCE_QUANTILES = 4 };

/* The parts of the quantiles: 0.5, 0.9, 0.99, 0.999. */
extern const double divergence_part[DIVERGENCE_QUANTILES];

struct divergence {
    struct estimate base_perplexity;
    struct estimate ratio; /* perplexity over the source's: exp of the mean difference in loss */
    struct estimate mean;  /* KL divergence, in nats */
    struct estimate quantile[DIVERGENCE_QUANTILES];
    double max;
    struct estimate same_top;           /* part of the tokens */
    struct estimate change, rms_change; /* of the probability of the token that came */
};

/* Of scores > 0 that have a base.  Fails with ERR_MEMORY. */
bool divergence_of(const struct score *score, size_t scores, struct divergence *d, struct err *err);

#endif
