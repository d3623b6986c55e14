/* symmetric_search_impl.h - the best scale for eight blocks side by side.
 *
 * Include a lanes header first.  Weight j of the block in lane l is lane l of
 * x[j], decoded as scale * q with q in -half .. half - 1.  What is made small is
 * sum w (x - scale q)^2; without importance all w are 1.  Given the codes the best scale
 * is (sum w x q) / (sum w q^2), and it takes (sum w x q)^2 / (sum w q^2) off the error,
 * the gain: whatever is tried, the largest gain wins.  Scales are of either sign, for the
 * range of q is not symmetric.
 */
#ifndef QUANTIZE_SYMMETRIC_SEARCH_IMPL_H
#define QUANTIZE_SYMMETRIC_SEARCH_IMPL_H

#include "core/block.h"
#include "core/half.h"

#include <stddef.h>
#include <string.h>

/* Past every value of every type, so that clamping to it costs nothing; and so small
 * that no square of a sum overflows. */
#define WEIGHT_MAX 0x1p33f
#define HALF_MAX   65504.0f
/* Below it a number has no inverse: its block decodes to zeros. */
#define NUMBER_MIN 0x1p-100f
/* The least importance, relative to the block's largest. */
#define IMPORTANCE_MIN 0x1p-40f

struct sums {
    f8 xq, qq; /* sum w x q, sum w q^2 */
};

struct fit {
    f8 gain, scale, curvature; /* curvature: sum w q^2, what a wrong scale costs */
};

static inline f8 f8_clamp(f8 a, f8 low, f8 high) { return f8_min(f8_max(a, low), high); }

static inline f8 inverse_of(f8 a)
{
    const m8 tiny = f8_lt(f8_abs(a), f8_set1(NUMBER_MIN));
    return f8_select(tiny, f8_set1(0.0f), f8_div(f8_set1(1.0f), a));
}

/* As the file will hold it, and finite. */
static inline f8 half_scale(f8 a)
{
    return f8_through_half(f8_clamp(a, f8_set1(-HALF_MAX), f8_set1(HALF_MAX)));
}

static inline f8 code_of(f8 scaled, float half)
{
    return f8_clamp(f8_round(scaled), f8_set1(-half), f8_set1(half - 1.0f));
}

static inline void fit_try(struct fit *best, struct sums s)
{
    const f8 scale = f8_div(s.xq, s.qq); /* NaN where all codes are 0: never better */
    const f8 gain = f8_mul(s.xq, scale);
    const m8 better = f8_lt(best->gain, gain);
    best->gain = f8_select(better, gain, best->gain);
    best->scale = f8_select(better, scale, best->scale);
    best->curvature = f8_select(better, s.qq, best->curvature);
}

/* The number farthest from zero of each lane. */
static inline f8 extremum_of(const f8 *x, int n)
{
    f8 low = x[0], high = x[0];
    for (int j = 1; j < n; j++) {
        low = f8_min(low, x[j]);
        high = f8_max(high, x[j]);
    }
    return f8_select(f8_lt(f8_neg(low), high), high, low);
}

enum { STARTS_MAX = 12 };

/* Where on the grid the extremum is put in turn, zeros after them; negative: extremum and scale
 * differ in sign, so that it may lie at -half. */
struct starts {
    int count;
    float at[STARTS_MAX];
};

/* Eight blocks of n = 8 or more weights, one after another, to lanes. */
static inline void load_lanes(f8 *x, const float *src, size_t n)
{
    for (size_t j = 0; j < n; j += LANES)
        f8_load_columns(x + j, src + j, n);
}

static inline void limit_weights(f8 *x, int n)
{
    for (int j = 0; j < n; j++)
        x[j] = f8_clamp(x[j], f8_set1(-WEIGHT_MAX), f8_set1(WEIGHT_MAX));
}

/* Relative to the largest, all alike where that is zero. */
static inline void scale_importance(f8 *w, int n, f8 largest)
{
    const f8 unit = inverse_of(largest);
    for (int j = 0; j < n; j++)
        w[j] = f8_max(f8_mul(w[j], unit), f8_set1(IMPORTANCE_MIN));
}

#endif
