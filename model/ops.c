#include "model/ops.h"

#include <math.h>

void ops_rms_norm(float *y, const float *x, const float *gain, size_t n, double epsilon)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++)
        sum += (double)x[i] * x[i];
    const float scale = (float)(1.0 / sqrt(sum / (double)n + epsilon));
    for (size_t i = 0; i < n; i++)
        y[i] = x[i] * scale * gain[i];
}

void ops_silu_gate(float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++)
        gate[i] = gate[i] / (1.0f + expf(-gate[i])) * up[i];
}

void ops_add(float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] += y[i];
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
