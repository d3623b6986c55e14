#include "eval/perplexity.h"

struct estimate perplexity_loss(const struct score *score, size_t scores)
{
    struct tally t = {0};
    for (size_t i = 0; i < scores; i++)
        tally_add(&t, score[i].loss);
    return tally_mean(&t);
}

struct estimate perplexity_of(const struct score *score, size_t scores)
{
    return estimate_exp(perplexity_loss(score, scores));
}
