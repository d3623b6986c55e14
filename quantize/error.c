#include "quantize/error.h"

#include <math.h>

/* The eight lanes in a fixed tree, the same for every caller. */
static double total(const double lane[8])
{
    return ((lane[0] + lane[1]) + (lane[2] + lane[3])) +
           ((lane[4] + lane[5]) + (lane[6] + lane[7]));
}

void error_merge(struct error_sums *sums, const struct error_sums *part)
{
    for (int l = 0; l < 8; l++) {
        sums->squared[l] += part->squared[l];
        sums->weighted[l] += part->weighted[l];
        sums->importance[l] += part->importance[l];
        sums->signal[l] += part->signal[l];
        sums->stored[l] += part->stored[l];
    }
    sums->max_abs = fmax(sums->max_abs, part->max_abs);
    sums->count += part->count;
}

/* sum x y is half of sum x^2 + sum y^2 - sum (x - y)^2. */
static double cosine(double signal, double stored, double squared)
{
    const double lengths = sqrt(signal) * sqrt(stored);
    if (squared == 0.0)
        return 1.0;
    return lengths > 0.0 ? fmin(1.0, 0.5 * (signal + stored - squared) / lengths) : 0.0;
}

struct error_figures error_figures(const struct error_sums *sums)
{
    const double squared = total(sums->squared), signal = total(sums->signal);
    const double importance = total(sums->importance);
    const double mse = sums->count ? squared / (double)sums->count : 0.0;
    return (struct error_figures){
        .mse = mse,
        .rmse = sqrt(mse),
        .snr_db = squared > 0.0 ? 10.0 * log10(signal / squared) : INFINITY,
        .max_abs = sums->max_abs,
        .cosine = cosine(signal, total(sums->stored), squared),
        .weighted_mse = importance > 0.0 ? total(sums->weighted) / importance : NAN,
    };
}
