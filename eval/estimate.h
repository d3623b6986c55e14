/* estimate.h - a mean and how far it may be off. */
#ifndef EVAL_ESTIMATE_H
#define EVAL_ESTIMATE_H

#include <stddef.h>

/* A figure and its standard error. */
struct estimate {
    double value, error;
};

/* What is known of the numbers added so far; zeroed: none. */
struct tally {
    size_t count;
    double sum, squares;
};

void tally_add(struct tally *t, double v);

/* Their mean, and the standard error of it for independent numbers (0 of fewer than two). */
struct estimate tally_mean(const struct tally *t);

/* The root of a mean of squares that is not negative, and exp of a mean. */
struct estimate estimate_root(struct estimate e);
struct estimate estimate_exp(struct estimate e);

/* The value below which that part (0 to 1) of n > 0 sorted numbers lies, between two of them by
 * proportion; its error is half the distance of the values one standard error of its rank to
 * either side. */
struct estimate estimate_quantile(const double *sorted, size_t n, double part);

#endif
