/* gptq_start_impl.h - d, dmin and whole scales of a super-block before its columns are rounded.
 *
 * Include gptq_tile_impl.h first.  Here the error of each weight counts on its own, 1 / U[j][j]^2
 * times its square: what rounding it costs when all later columns make up for it.  Every block is
 * first fitted alone (a number of grids, each followed by weighted least squares); then come the d
 * and dmin whose multiples are nearest to what the blocks ask for; then, a few times, each block
 * takes the best of the neighbouring multiples, and d and dmin are fitted to all codes again.
 */
#ifndef CALIB_GPTQ_START_IMPL_H
#define CALIB_GPTQ_START_IMPL_H

#include "calib/gptq_tile_impl.h"

#include "quantize/value_table.h"

#include <math.h>

/* The numbers a code can be. */
struct codes {
    f8 low, high;
    bool table;
    float limit[15], value[16];
};

static inline void codes_init(struct codes *c, const struct gptq_shape *s)
{
    c->low = f8_set1(s->q_low);
    c->high = f8_set1(s->q_high);
    c->table = s->table;
    for (int i = 0; i < 16; i++)
        c->value[i] = iq4_values[i];
    for (int i = 0; i < 15; i++)
        c->limit[i] = 0.5f * (c->value[i] + c->value[i + 1]);
}

static inline f8 nearest(const struct codes *c, f8 scaled)
{
    if (c->table)
        return f8_pick16(c->value, f8_rank16(scaled, c->limit));
    return f8_round(f8_clamp(scaled, c->low, c->high));
}

/* v = s q + o, and what it takes off the error. */
struct line {
    f8 s, o, gain;
};

struct sums {
    f8 w, x;      /* sum w, sum w x */
    f8 q, qq, qx; /* sum w q, w q^2, w q x */
};

static inline struct sums sums_at(const struct codes *c, const f8 *x, const float *w, int n,
                                  f8 inverse, f8 o)
{
    const f8 zero = f8_set1(0.0f);
    struct sums s = {zero, zero, zero, zero, zero};
    for (int j = 0; j < n; j++) {
        const f8 weight = f8_set1(w[j]), q = nearest(c, f8_mul(f8_sub(x[j], o), inverse));
        const f8 wq = f8_mul(weight, q);
        s.w = f8_add(s.w, weight);
        s.x = f8_add(s.x, f8_mul(weight, x[j]));
        s.q = f8_add(s.q, wq);
        s.qq = f8_add(s.qq, f8_mul(wq, q));
        s.qx = f8_add(s.qx, f8_mul(wq, x[j]));
    }
    return s;
}

/* The best s and o for codes with those sums. */
static inline struct line solve_line(const struct sums *t, enum gptq_min min)
{
    const f8 zero = f8_set1(0.0f);
    struct line r = {f8_mul(t->qx, inverse_of(t->qq)), zero, zero};
    r.gain = f8_mul(r.s, t->qx);
    if (min == GPTQ_MIN_NONE)
        return r;
    const f8 det = f8_sub(f8_mul(t->w, t->qq), f8_mul(t->q, t->q));
    const f8 least = f8_mul(f8_set1(1e-6f), f8_mul(t->w, t->qq));
    const f8 s = f8_div(f8_sub(f8_mul(t->w, t->qx), f8_mul(t->q, t->x)), det);
    const f8 o = f8_div(f8_sub(t->x, f8_mul(s, t->q)), t->w);
    m8 both = f8_lt(least, det);
    if (min == GPTQ_MIN_WHOLE)
        both = m8_and(both, f8_lt(o, zero));
    r.s = f8_select(both, s, r.s);
    r.o = f8_select(both, o, zero);
    r.gain = f8_select(both, f8_add(f8_mul(s, t->qx), f8_mul(o, t->x)), r.gain);
    return r;
}

static inline void line_take(struct line *best, struct line a)
{
    const m8 better = f8_lt(best->gain, a.gain);
    best->s = f8_select(better, a.s, best->s);
    best->o = f8_select(better, a.o, best->o);
    best->gain = f8_select(better, a.gain, best->gain);
}

enum { GRIDS_MIN = 19, GRIDS_SYMMETRIC = 21 };

/* The best line for one block. */
static inline struct line fit_block(const struct gptq_shape *shape, const struct codes *c,
                                    const f8 *x, const float *w)
{
    const int n = shape->block;
    const f8 zero = f8_set1(0.0f);
    f8 low = x[0], high = x[0];
    for (int j = 1; j < n; j++) {
        low = f8_min(low, x[j]);
        high = f8_max(high, x[j]);
    }
    struct line best = {zero, zero, f8_set1(-1.0f)};
    if (shape->min != GPTQ_MIN_NONE) {
        if (shape->min == GPTQ_MIN_WHOLE)
            low = f8_min(low, zero);
        const f8 unit = inverse_of(f8_sub(high, low));
        for (int k = 0; k < GRIDS_MIN; k++) {
            const float steps = shape->q_high - 0.9f + 0.1f * (float)k;
            const struct sums s = sums_at(c, x, w, n, f8_mul(unit, f8_set1(steps)), low);
            line_take(&best, solve_line(&s, shape->min));
        }
    } else {
        const f8 unit = inverse_of(f8_select(f8_lt(f8_neg(low), high), high, low));
        for (int k = 0; k < 2 * GRIDS_SYMMETRIC; k++) {
            const float at = shape->start - shape->step * (float)(k / 2);
            const f8 inverse = f8_mul(unit, f8_set1(k % 2 ? at : -at));
            const struct sums s = sums_at(c, x, w, n, inverse, zero);
            line_take(&best, solve_line(&s, GPTQ_MIN_NONE));
        }
    }
    for (int k = 0; k < 2; k++) {
        const struct sums s = sums_at(c, x, w, n, inverse_of(best.s), best.o);
        line_take(&best, solve_line(&s, shape->min));
    }
    return best;
}

/* A super-block of one strip, while its d and dmin are found. */
struct super {
    const struct gptq_shape *shape;
    const struct codes *codes;
    const f8 *x;
    const float *w; /* a column */
    f8 d, dmin;
    f8 *sc, *m; /* a block */
};

/* The step whose multiples, from low to high, are nearest to `count` targets under their weights:
 * the largest target is put near either end. */
static inline f8 fit_step(const f8 *target, const f8 *weight, int count, float low, float high)
{
    const f8 zero = f8_set1(0.0f), bottom = f8_set1(low), top = f8_set1(high);
    f8 most = zero, step = zero, gain = f8_set1(-1.0f);
    for (int b = 0; b < count; b++)
        most = f8_select(f8_lt(f8_abs(most), f8_abs(target[b])), target[b], most);
    const f8 unit = inverse_of(most);
    for (int k = -20; k <= 10; k++)
        for (int side = 0; side < (low < 0.0f ? 2 : 1); side++) {
            const float at = (side ? low : high) * (1.0f + 0.02f * (float)k);
            const f8 inverse = f8_mul(unit, f8_set1(at));
            f8 qx = zero, qq = zero;
            for (int b = 0; b < count; b++) {
                const f8 q = f8_round(f8_clamp(f8_mul(target[b], inverse), bottom, top));
                const f8 wq = f8_mul(weight[b], q);
                qx = f8_add(qx, f8_mul(wq, target[b]));
                qq = f8_add(qq, f8_mul(wq, q));
            }
            const f8 fitted = f8_mul(qx, inverse_of(qq)), own = f8_mul(fitted, qx);
            const m8 better = f8_lt(gain, own);
            step = f8_select(better, fitted, step);
            gain = f8_select(better, own, gain);
        }
    return to_half(step);
}

static inline f8 whole_scale(const struct gptq_shape *s, f8 a)
{
    return f8_round(f8_clamp(a, f8_set1(s->sc_low), f8_set1(s->sc_high)));
}

static inline f8 whole_min(const struct gptq_shape *s, f8 a)
{
    return f8_round(f8_clamp(a, f8_set1(0.0f), f8_set1(s->m_high)));
}

/* First d, dmin, sc and m of whole scales. */
static inline void super_first(struct super *t)
{
    const struct gptq_shape *shape = t->shape;
    const int n = shape->block, blocks = shape->blocks;
    f8 target[GPTQ_BLOCKS_MAX], weight[GPTQ_BLOCKS_MAX];
    struct sums sums[GPTQ_BLOCKS_MAX];
    target[0] = weight[0] = f8_set1(0.0f);
    for (int b = 0; b < blocks; b++) {
        const struct line fit = fit_block(shape, t->codes, t->x + b * n, t->w + b * n);
        sums[b] = sums_at(t->codes, t->x + b * n, t->w + b * n, n, inverse_of(fit.s), fit.o);
        target[b] = fit.s;
        weight[b] = sums[b].qq;
        if (shape->min != GPTQ_MIN_NONE)
            weight[b] = f8_sub(weight[b], f8_div(f8_mul(sums[b].q, sums[b].q), sums[b].w));
    }
    t->d = fit_step(target, weight, blocks, shape->sc_low, shape->sc_high);
    for (int b = 0; b < blocks; b++)
        t->sc[b] = whole_scale(shape, f8_mul(target[b], inverse_of(t->d)));
    t->dmin = f8_set1(0.0f);
    if (shape->min == GPTQ_MIN_NONE)
        return;
    for (int b = 0; b < blocks; b++) {
        const f8 s = f8_mul(t->d, t->sc[b]);
        const f8 o = f8_div(f8_sub(sums[b].x, f8_mul(s, sums[b].q)), sums[b].w);
        target[b] = f8_max(f8_neg(o), f8_set1(0.0f));
        weight[b] = sums[b].w;
    }
    t->dmin = fit_step(target, weight, blocks, 0.0f, shape->m_high);
    for (int b = 0; b < blocks; b++)
        t->m[b] = whole_min(shape, f8_mul(target[b], inverse_of(t->dmin)));
}

static inline f8 weighted_error(const struct codes *c, const f8 *x, const float *w, int n, f8 s,
                                f8 o)
{
    const f8 inverse = inverse_of(s);
    f8 sum = f8_set1(0.0f);
    for (int j = 0; j < n; j++) {
        const f8 q = nearest(c, f8_mul(f8_sub(x[j], o), inverse));
        const f8 e = f8_sub(x[j], f8_add(f8_mul(s, q), o));
        sum = f8_add(sum, f8_mul(f8_set1(w[j]), f8_mul(e, e)));
    }
    return sum;
}

/* Block b takes the best of its sc and m and their neighbours. */
static inline void super_climb(struct super *t, int b)
{
    const struct gptq_shape *shape = t->shape;
    const int n = shape->block, reach = shape->min == GPTQ_MIN_WHOLE ? 1 : 0;
    const f8 sc = t->sc[b], m = t->m[b];
    f8 best = f8_set1(INFINITY);
    for (int i = -1; i <= 1; i++)
        for (int j = -reach; j <= reach; j++) {
            const f8 a = whole_scale(shape, f8_add(sc, f8_set1((float)i)));
            const f8 z = whole_min(shape, f8_add(m, f8_set1((float)j)));
            const f8 error = weighted_error(t->codes, t->x + b * n, t->w + b * n, n,
                                            f8_mul(t->d, a), f8_neg(f8_mul(t->dmin, z)));
            const m8 better = f8_lt(error, best);
            best = f8_select(better, error, best);
            t->sc[b] = f8_select(better, a, t->sc[b]);
            t->m[b] = f8_select(better, z, t->m[b]);
        }
}

/* d and dmin by least squares over all codes as they are. */
static inline void super_refit(struct super *t)
{
    const struct gptq_shape *shape = t->shape;
    const int n = shape->block;
    const f8 zero = f8_set1(0.0f);
    f8 aa = zero, ab = zero, bb = zero, ae = zero, be = zero;
    for (int b = 0; b < shape->blocks; b++) {
        const f8 s = f8_mul(t->d, t->sc[b]), o = f8_neg(f8_mul(t->dmin, t->m[b]));
        const f8 inverse = inverse_of(s), sc = t->sc[b], m = f8_neg(t->m[b]);
        for (int j = b * n; j < (b + 1) * n; j++) {
            const f8 q = nearest(t->codes, f8_mul(f8_sub(t->x[j], o), inverse));
            const f8 e = f8_sub(t->x[j], f8_add(f8_mul(s, q), o)), w = f8_set1(t->w[j]);
            const f8 a = f8_mul(sc, q), wa = f8_mul(w, a), wm = f8_mul(w, m);
            aa = f8_add(aa, f8_mul(wa, a));
            ab = f8_add(ab, f8_mul(wa, m));
            bb = f8_add(bb, f8_mul(wm, m));
            ae = f8_add(ae, f8_mul(wa, e));
            be = f8_add(be, f8_mul(wm, e));
        }
    }
    const f8 det = f8_sub(f8_mul(aa, bb), f8_mul(ab, ab));
    const m8 both = f8_lt(f8_mul(f8_set1(1e-6f), f8_mul(aa, bb)), det);
    const f8 per = f8_div(f8_set1(1.0f), det);
    const f8 alone = f8_mul(ae, inverse_of(aa));
    const f8 x = f8_mul(f8_sub(f8_mul(bb, ae), f8_mul(ab, be)), per);
    const f8 y = f8_mul(f8_sub(f8_mul(aa, be), f8_mul(ab, ae)), per);
    t->d = to_half(f8_add(t->d, f8_select(both, x, alone)));
    t->dmin = to_half(f8_add(t->dmin, f8_select(both, y, zero)));
}

enum { START_ROUNDS = 3 };

static inline void super_start(struct super *t)
{
    const f8 zero = f8_set1(0.0f);
    for (int b = 0; b < t->shape->blocks; b++)
        t->sc[b] = t->m[b] = zero;
    if (!gptq_shape_whole(t->shape)) {
        const struct line fit = fit_block(t->shape, t->codes, t->x, t->w);
        t->d = to_half(fit.s);
        t->dmin = to_half(fit.o);
        return;
    }
    super_first(t);
    for (int k = 0; k < START_ROUNDS; k++) {
        for (int b = 0; b < t->shape->blocks; b++)
            super_climb(t, b);
        super_refit(t);
    }
}

#endif
