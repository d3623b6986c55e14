#include "model/ops.h"

#include <math.h>

void ops_rms_norm(const struct vector_kernels *v, float *y, const float *x, const float *gain,
                  size_t n, double epsilon)
{
    const double mean = v->sum_squares(x, n) / (double)n;
    v->scale(y, x, (float)(1.0 / sqrt(mean + epsilon)), n);
    v->multiply(y, gain, n);
}

float ops_max(const float *x, size_t n)
{
    float max = x[0];
    for (size_t i = 1; i < n; i++)
        max = x[i] > max ? x[i] : max;
    return max;
}

size_t ops_top(const float *x, size_t n)
{
    size_t top = 0;
    for (size_t i = 1; i < n; i++)
        top = x[i] > x[top] ? i : top;
    return top;
}

/* The largest gives exp(0): it is left out of the sum, so that nothing of a small rest is lost. */
double ops_log_sum_exp(const float *x, size_t n)
{
    const size_t top = ops_top(x, n);
    double rest = 0.0;
    for (size_t i = 0; i < n; i++)
        rest += i == top ? 0.0 : (double)expf(x[i] - x[top]);
    return (double)x[top] + log1p(rest);
}
