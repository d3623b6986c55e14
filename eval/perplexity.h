/* perplexity.h - exp of the mean loss of a text's tokens.
 *
 * The error is the one that llama-perplexity prints: that of the mean loss, tokens taken as
 * independent, times the perplexity.
 */
#ifndef EVAL_PERPLEXITY_H
#define EVAL_PERPLEXITY_H

#include "eval/estimate.h"
#include "eval/score.h"

/* The mean loss in nats a token; exp() of it is the perplexity. */
struct estimate perplexity_loss(const struct score *score, size_t scores);
struct estimate perplexity_of(const struct score *score, size_t scores);

#endif
