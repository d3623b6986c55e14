/* vector.h - what a transformer does with rows of floats beside products, chosen once for this
 * machine.
 *
 * Every version gives the bytes of the reference (vector.c): a step is one float operation, and a
 * sum or maximum has sixteen lanes, lane i % 16 for number i; in the end those 8, 4, 2 and 1 apart
 * are put together.  exp is a polynomial, within 2 units in the last place of e^x; under -87 it is
 * zero and above 88 infinite.  An outer product is a chain of fused multiply-adds for each number.
 * No alignment is asked for; y may be x.
 */
#ifndef CORE_VECTOR_H
#define CORE_VECTOR_H

#include <stddef.h>
#include <stdint.h>

enum { VECTOR_PANEL = 32 };

/* Of each row r of y and each column c < VECTOR_PANEL, in the order of `depth`:
 *
 *     y[r][c] = keep[r] * y[r][c] + a[r][0] * b[0][c] + a[r][1] * b[1][c] + ...
 *
 * a product and its sum rounded once.  Columns lie side by side in b and in y, so a row of b is
 * read once for many rows of a, and nothing is added across. */
struct vector_outer {
    float *y;
    const float *a;
    const void *b;             /* depth x VECTOR_PANEL */
    size_t y_stride, a_stride; /* numbers from a row to the next */
    const float *keep;         /* a factor a row; NULL: 0, whatever y holds */
    size_t rows, depth;
};

struct vector_kernels {
    /* The largest of n > 0 numbers; a NaN is passed over. */
    float (*max)(const float *x, size_t n);
    double (*sum_squares)(const float *x, size_t n);
    /* y[i] = exp(x[i] - shift); returns their sum. */
    double (*exp)(float *y, const float *x, float shift, size_t n);
    /* gate[i] = gate[i] / (1 + exp(-gate[i])) * up[i] */
    void (*silu_gate)(float *gate, const float *up, size_t n);
    void (*add)(float *y, const float *x, size_t n);                 /* y[i] += x[i] */
    void (*scale)(float *y, const float *x, float factor, size_t n); /* y[i] = x[i] * factor */
    void (*multiply)(float *y, const float *x, size_t n);            /* y[i] *= x[i] */
    /* y[r][c] = x[r][c] * scale[c], of VECTOR_PANEL columns */
    void (*widen)(float *y, const int8_t *x, const float *scale, size_t rows);
    void (*outer_f32)(const struct vector_outer *o); /* b in F32 */
    void (*outer_f16)(const struct vector_outer *o); /* b in F16 */
};

/* The best that the cpu features (core/cpu.h) allow; with cpu == 0, the reference. */
void vector_init(struct vector_kernels *v, unsigned cpu);

void vector_init_avx2(struct vector_kernels *v);
void vector_init_avx512(struct vector_kernels *v);
void vector_init_neon(struct vector_kernels *v);

#endif
