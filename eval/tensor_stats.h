/* tensor_stats.h - what the values of one tensor look like. */
#ifndef EVAL_TENSOR_STATS_H
#define EVAL_TENSOR_STATS_H

#include "core/err.h"
#include "core/tensor.h"
#include "quantize/kernels.h"

#include <stdint.h>

enum { TENSOR_STATS_BINS = 32 };

struct tensor_stats {
    uint64_t count, zeros, nans, infinities; /* mean and what follows: of the finite values */
    double mean, deviation, min, max;        /* standard deviation */
    double from, to;                 /* of the histogram: mean -+ 4 deviations, cut to min..max */
    uint64_t bin[TENSOR_STATS_BINS]; /* equal widths; values outside go to the end bins */
};

/* Reads the tensor twice.  Fails with ERR_MEMORY or ERR_STOPPED. */
bool tensor_stats(const struct tensor *t, const struct kernels *k, struct tensor_stats *stats,
                  struct err *err);

#endif
