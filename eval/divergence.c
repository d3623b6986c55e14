#include "eval/divergence.h"

#include "core/mem.h"

#include <math.h>
#include <stdlib.h>

const double divergence_part[DIVERGENCE_QUANTILES] = {0.5, 0.9, 0.99, 0.999};

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

bool divergence_of(const struct score *score, size_t scores, struct divergence *d, struct err *err)
{
    struct tally base = {0}, ratio = {0}, mean = {0}, same = {0}, change = {0}, square = {0};
    double *sorted = mem_alloc(scores, sizeof *sorted);
    if (!sorted)
        return err_set(err, ERR_MEMORY, "%zu divergences", scores);
    for (size_t i = 0; i < scores; i++) {
        const struct score *s = &score[i];
        const double change_i = exp(-s->loss) - exp(-s->base_loss);
        sorted[i] = s->divergence;
        tally_add(&base, s->base_loss);
        tally_add(&ratio, s->loss - s->base_loss);
        tally_add(&mean, s->divergence);
        tally_add(&same, s->same_top ? 1.0 : 0.0);
        tally_add(&change, change_i);
        tally_add(&square, change_i * change_i);
    }
    qsort(sorted, scores, sizeof *sorted, compare);
    *d = (struct divergence){
        .base_perplexity = estimate_exp(tally_mean(&base)),
        .ratio = estimate_exp(tally_mean(&ratio)),
        .mean = tally_mean(&mean),
        .max = sorted[scores - 1],
        .same_top = tally_mean(&same),
        .change = tally_mean(&change),
        .rms_change = estimate_root(tally_mean(&square)),
    };
    for (size_t q = 0; q < DIVERGENCE_QUANTILES; q++)
        d->quantile[q] = estimate_quantile(sorted, scores, divergence_part[q]);
    free(sorted);
    return true;
}
