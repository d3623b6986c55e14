#include "eval/estimate.h"

#include <math.h>

void tally_add(struct tally *t, double v)
{
    t->count++;
    t->sum += v;
    t->squares += v * v;
}

struct estimate tally_mean(const struct tally *t)
{
    const double n = (double)t->count;
    if (t->count == 0)
        return (struct estimate){0.0, 0.0};
    const double mean = t->sum / n, variance = t->squares / n - mean * mean;
    return (struct estimate){mean, t->count > 1 ? sqrt(fmax(0.0, variance) / (n - 1.0)) : 0.0};
}

struct estimate estimate_root(struct estimate e)
{
    const double root = sqrt(e.value);
    return (struct estimate){root, root > 0.0 ? 0.5 * e.error / root : 0.0};
}

struct estimate estimate_exp(struct estimate e)
{
    return (struct estimate){exp(e.value), exp(e.value) * e.error};
}

static double quantile(const double *sorted, size_t n, double part)
{
    const double at = fmin(1.0, fmax(0.0, part)) * (double)(n - 1);
    const size_t below = (size_t)at, above = below + 1 < n ? below + 1 : below;
    return sorted[below] + (at - (double)below) * (sorted[above] - sorted[below]);
}

struct estimate estimate_quantile(const double *sorted, size_t n, double part)
{
    const double step = sqrt(part * (1.0 - part) / (double)n);
    return (struct estimate){
        .value = quantile(sorted, n, part),
        .error = 0.5 * (quantile(sorted, n, part + step) - quantile(sorted, n, part - step)),
    };
}
