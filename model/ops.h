/* ops.h - the small functions between a transformer's matrices, one row at a time.
 *
 * Pure; outputs may be their inputs.  Sums run in double and in order, so that they do not
 * depend on threads or on the machine's vectors.
 */
#ifndef MODEL_OPS_H
#define MODEL_OPS_H

#include "core/vector.h"

#include <stddef.h>

/* y[i] = x[i] / sqrt(mean(x^2) + epsilon) * gain[i] */
void ops_rms_norm(const struct vector_kernels *v, float *y, const float *x, const float *gain,
                  size_t n, double epsilon);

/* The largest of n > 0 numbers; the index of the first such. */
float ops_max(const float *x, size_t n);
size_t ops_top(const float *x, size_t n);

/* log(sum(exp(x[i]))): what turns logits into logarithms of probabilities. */
double ops_log_sum_exp(const float *x, size_t n);

#endif
