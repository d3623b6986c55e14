/* ops.h - the small functions between a transformer's matrices, one row at a time.
 *
 * Pure; outputs may be their inputs.  Sums run in double and in order, so that they do not
 * depend on threads or on the machine's vectors.
 */
#ifndef MODEL_OPS_H
#define MODEL_OPS_H

#include <stddef.h>

/* y[i] = gain[i] * x[i] / sqrt(mean(x^2) + epsilon) */
void ops_rms_norm(float *y, const float *x, const float *gain, size_t n, double epsilon);

/* gate[i] = silu(gate[i]) * up[i], silu(v) = v / (1 + exp(-v)) */
void ops_silu_gate(float *gate, const float *up, size_t n);

/* x[i] += y[i] */
void ops_add(float *x, const float *y, size_t n);

/* The largest of n > 0 numbers; the index of the first such. */
float ops_max(const float *x, size_t n);
size_t ops_top(const float *x, size_t n);

/* log(sum(exp(x[i]))): what turns logits into logarithms of probabilities. */
double ops_log_sum_exp(const float *x, size_t n);

#endif
