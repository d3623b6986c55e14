/* error.h - what encoding a tensor cost, summed row by row.
 *
 * Differences, products and sums are doubles, kept in eight lanes (weight i goes
 * to lane i mod 8) so that every instruction set adds in the same order; chunks of
 * rows are merged in order, so the figures do not depend on the number of threads.
 */
#ifndef QUANTIZE_ERROR_H
#define QUANTIZE_ERROR_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

struct error_sums {
    double squared[8];    /* (x - y)^2 */
    double weighted[8];   /* importance * (x - y)^2; stays 0 without importance */
    double importance[8]; /* importance, added for every weight */
    double signal[8];     /* x^2 */
    double stored[8];     /* y^2 */
    double max_abs;       /* max |x - y| */
    uint64_t count;       /* weights */
};

struct error_figures {
    double mse, rmse, snr_db; /* snr = 10 log10(sum x^2 / sum (x - y)^2); INFINITY if exact */
    double max_abs;
    double cosine;       /* sum x y / sqrt(sum x^2 sum y^2); 1 where both are 0, 0 where one is */
    double weighted_mse; /* sum w e^2 / sum w, or NAN where no importance is known */
};

/* Adds weight i of a row, all but the count: what any other way to add a row amounts to. */
static inline void error_add(struct error_sums *sums, size_t i, const float *x, const float *y,
                             const float *importance)
{
    const double e = (double)x[i] - (double)y[i];
    sums->squared[i % 8] += e * e;
    sums->signal[i % 8] += (double)x[i] * (double)x[i];
    sums->stored[i % 8] += (double)y[i] * (double)y[i];
    if (importance) {
        sums->weighted[i % 8] += (double)importance[i] * (e * e);
        sums->importance[i % 8] += (double)importance[i];
    }
    sums->max_abs = fabs(e) > sums->max_abs ? fabs(e) : sums->max_abs;
}

/* *sums += *part. */
void error_merge(struct error_sums *sums, const struct error_sums *part);

struct error_figures error_figures(const struct error_sums *sums);

#endif
