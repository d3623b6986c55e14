/* vector_impl.h - vector.h in vectors of VL floats, VL = 4, 8 or 16; included by the files that
 * define, besides VL and what vector_outer_impl.h asks for,
 *
 *   vf                            a vector of floats
 *   vf_load_i8(p)                 of VL bytes
 *   vf_set(a) vf_load(p) vf_store(p, a) vf_add(a, b) vf_sub(a, b) vf_mul(a, b) vf_div(a, b)
 *   vf_max(a, b)                  a > b ? a : b
 *   vf_fma(a, b, c)               a * b + c, rounded once
 *   vf_scale(p, sum)              of the bits p + (sum << 23)
 *   vf_clamp(y, x)                0 where x < exp_least, infinity where x > exp_most, else y
 *   vd                            half as many doubles
 *   vd_set(a) vd_add(a, b) vd_mul(a, b)
 *   vd_low(a) vd_high(a)          of the halves of a vf
 *   vf_max_across(a) vd_add_across(a)  of the halves, their halves and so on
 *
 * Sixteen numbers at a time; the last ones are filled up with numbers that change nothing. */
#include "core/inline.h"
#include "core/vector_exp.h"
#include "core/vector_outer_impl.h"

#include <math.h>
#include <string.h>

enum { LANES = VECTOR_LANES, PARTS = LANES / VL };

struct floats {
    vf part[PARTS];
};
struct sums {
    vd low[PARTS], high[PARTS];
};

INLINE struct floats load(const float *x)
{
    struct floats f;
    UNROLL
    for (int i = 0; i < PARTS; i++)
        f.part[i] = vf_load(x + i * VL);
    return f;
}

INLINE void store(float *y, struct floats f)
{
    UNROLL
    for (int i = 0; i < PARTS; i++)
        vf_store(y + i * VL, f.part[i]);
}

/* The last n % 16 of a row of n, and `fill`. */
INLINE struct floats load_last(const float *x, size_t n, float fill)
{
    float last[LANES];
    for (size_t i = 0; i < LANES; i++)
        last[i] = fill;
    memcpy(last, x + n / LANES * LANES, n % LANES * sizeof *x);
    return load(last);
}

INLINE void store_last(float *y, size_t n, struct floats f)
{
    float last[LANES];
    store(last, f);
    memcpy(y + n / LANES * LANES, last, n % LANES * sizeof *y);
}

INLINE void larger(struct floats *lane, struct floats x)
{
    UNROLL
    for (int i = 0; i < PARTS; i++)
        lane->part[i] = vf_max(x.part[i], lane->part[i]);
}

static float max(const float *x, size_t n)
{
    struct floats most = load_last(x, 0, -INFINITY);
    for (size_t i = 0; i + LANES <= n; i += LANES)
        larger(&most, load(x + i));
    if (n % LANES != 0)
        larger(&most, load_last(x, n, -INFINITY));
    UNROLL
    for (int apart = PARTS / 2; apart > 0; apart /= 2) {
        UNROLL
        for (int i = 0; i < apart; i++)
            most.part[i] = vf_max(most.part[i + apart], most.part[i]);
    }
    return vf_max_across(most.part[0]);
}

INLINE struct sums no_sums(void)
{
    struct sums s;
    UNROLL
    for (int i = 0; i < PARTS; i++)
        s.low[i] = s.high[i] = vd_set(0.0);
    return s;
}

INLINE double end_sums(struct sums s)
{
    UNROLL
    for (int apart = PARTS / 2; apart > 0; apart /= 2) {
        UNROLL
        for (int i = 0; i < apart; i++) {
            s.low[i] = vd_add(s.low[i], s.low[i + apart]);
            s.high[i] = vd_add(s.high[i], s.high[i + apart]);
        }
    }
    return vd_add_across(vd_add(s.low[0], s.high[0]));
}

INLINE void add_squares(struct sums *s, struct floats x)
{
    UNROLL
    for (int i = 0; i < PARTS; i++) {
        const vd low = vd_low(x.part[i]), high = vd_high(x.part[i]);
        s->low[i] = vd_add(s->low[i], vd_mul(low, low));
        s->high[i] = vd_add(s->high[i], vd_mul(high, high));
    }
}

static double sum_squares(const float *x, size_t n)
{
    struct sums s = no_sums();
    for (size_t i = 0; i + LANES <= n; i += LANES)
        add_squares(&s, load(x + i));
    if (n % LANES != 0)
        add_squares(&s, load_last(x, n, 0.0f));
    return end_sums(s);
}

INLINE vf exp_of(vf x)
{
    const vf sum = vf_fma(x, vf_set(exp_inverse), vf_set(exp_round));
    const vf k = vf_sub(sum, vf_set(exp_round));
    const vf r = vf_fma(k, vf_set(-exp_ln2_low), vf_fma(k, vf_set(-exp_ln2), x));
    vf p = vf_set(exp_term[EXP_TERMS - 1]);
    UNROLL
    for (int i = EXP_TERMS - 2; i >= 0; i--)
        p = vf_fma(p, r, vf_set(exp_term[i]));
    return vf_clamp(vf_scale(p, sum), x);
}

INLINE struct floats add_exp(struct sums *s, struct floats x, float shift)
{
    struct floats y;
    UNROLL
    for (int i = 0; i < PARTS; i++) {
        y.part[i] = exp_of(vf_sub(x.part[i], vf_set(shift)));
        s->low[i] = vd_add(s->low[i], vd_low(y.part[i]));
        s->high[i] = vd_add(s->high[i], vd_high(y.part[i]));
    }
    return y;
}

static double exp_row(float *y, const float *x, float shift, size_t n)
{
    struct sums s = no_sums();
    for (size_t i = 0; i + LANES <= n; i += LANES)
        store(y + i, add_exp(&s, load(x + i), shift));
    if (n % LANES != 0)
        store_last(y, n, add_exp(&s, load_last(x, n, -INFINITY), shift));
    return end_sums(s);
}

INLINE vf silu(vf gate, vf up)
{
    const vf e = exp_of(vf_sub(vf_set(-0.0f), gate));
    return vf_mul(vf_div(gate, vf_add(vf_set(1.0f), e)), up);
}

/* y = op(y, x), number by number. */
INLINE struct floats apply(struct floats y, struct floats x, vf (*op)(vf, vf))
{
    UNROLL
    for (int i = 0; i < PARTS; i++)
        y.part[i] = op(y.part[i], x.part[i]);
    return y;
}

#define EACH(name, op)                                                                             \
    static void name(float *y, const float *x, size_t n)                                           \
    {                                                                                              \
        for (size_t i = 0; i + LANES <= n; i += LANES)                                             \
            store(y + i, apply(load(y + i), load(x + i), op));                                     \
        if (n % LANES != 0)                                                                        \
            store_last(y, n, apply(load_last(y, n, 0.0f), load_last(x, n, 0.0f), op));             \
    }
EACH(silu_gate, silu)
EACH(add, vf_add)
EACH(multiply, vf_mul)

INLINE struct floats scaled(struct floats x, float factor)
{
    UNROLL
    for (int i = 0; i < PARTS; i++)
        x.part[i] = vf_mul(x.part[i], vf_set(factor));
    return x;
}

static void scale(float *y, const float *x, float factor, size_t n)
{
    for (size_t i = 0; i + LANES <= n; i += LANES)
        store(y + i, scaled(load(x + i), factor));
    if (n % LANES != 0)
        store_last(y, n, scaled(load_last(x, n, 0.0f), factor));
}

static void widen(float *y, const int8_t *x, const float *scale, size_t rows)
{
    for (size_t r = 0; r < rows; r++, x += VECTOR_PANEL, y += VECTOR_PANEL) {
        UNROLL
        for (int i = 0; i < VECTOR_PANEL; i += VL)
            vf_store(y + i, vf_mul(vf_load_i8(x + i), vf_load(scale + i)));
    }
}

static void init(struct vector_kernels *v)
{
    *v = (struct vector_kernels){max,   sum_squares, exp_row, silu_gate, add,
                                 scale, multiply,    widen,   outer_f32, outer_f16};
}
