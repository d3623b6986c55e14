/* affine_search_impl.h - the best grid `scale * q + offset`, q = 0..top, for
 * eight blocks side by side.
 *
 * Include a lanes header first.  What is made small is sum w (x - y)^2.  Given
 * the codes q, the best scale and offset have a closed form (weighted least
 * squares); given scale and offset, the best codes are the nearest ones.  Between
 * these two the error has many small valleys, so a search draws a number of grids
 * from a table, fits each once, and refines the best.
 */
#ifndef QUANTIZE_AFFINE_SEARCH_IMPL_H
#define QUANTIZE_AFFINE_SEARCH_IMPL_H

#include "quantize/affine_start_table.h"

#include <math.h>
#include <stddef.h>

enum { STEPS_MAX = 32 };

#define X_LIMIT      0x1p30f  /* past what any block of these types can hold */
#define NO_LIMIT     0x1p31f  /* of an offset: above any weight */
#define SCALE_TINY   0x1p-25f /* half of the smallest fp16: such a scale is zero */
#define WEIGHT_TINY  1e-30f   /* importance below it is none at all */
#define WEIGHT_FLOOR 1e-9f    /* least share of the largest: lost in any float sum */

/* Eight blocks of `steps` weights: weight i of the block in lane l is lane l of
 * base + u[i].  u >= 0, so that sums over it lose nothing to a common offset. */
struct tile {
    f8 u[STEPS_MAX], w[STEPS_MAX];
    int steps;
    float top; /* the largest code */
    f8 base, range;
    f8 limit;               /* the largest offset of u allowed */
    f8 sum_w, sum_u, per_w; /* sums of w and w u; 1 / sum_w */
};

/* u ~ scale * q + offset. */
struct grid {
    f8 scale, offset;
};

/* Sums over a block of w q, w q^2 and w q u. */
struct moments {
    f8 q, qq, qu;
};

/* Weight i of block l, `stride` apart, to lane l of dst[i]. */
static inline void load_blocks(f8 *dst, const float *src, size_t stride)
{
    for (size_t i = 0; i < stride; i += LANES) {
        for (size_t l = 0; l < LANES; l++)
            dst[i + l] = f8_load(src + l * stride + i);
        f8_transpose(dst + i);
    }
}

/* Loads 8 blocks of t->steps weights that follow each other, offsets to be at most
 * `limit`.  Returns the largest importance a block; 0 if importance is NULL. */
static inline f8 tile_load(struct tile *t, const float *src, const float *importance, float limit)
{
    const f8 most = f8_set1(X_LIMIT), least = f8_set1(-X_LIMIT);
    f8 low = f8_set1(limit), high = least, heaviest = f8_set1(0.0f);
    load_blocks(t->u, src, (size_t)t->steps);
    for (int i = 0; i < t->steps; i++) {
        t->u[i] = f8_max(f8_min(t->u[i], most), least);
        low = f8_min(low, t->u[i]);
        high = f8_max(high, t->u[i]);
    }
    for (int i = 0; i < t->steps; i++)
        t->u[i] = f8_sub(t->u[i], low);
    t->base = low;
    t->range = f8_sub(high, low);
    t->limit = f8_sub(f8_set1(limit), low);
    if (importance) {
        load_blocks(t->w, importance, (size_t)t->steps);
        for (int i = 0; i < t->steps; i++)
            heaviest = f8_max(heaviest, t->w[i]);
    }
    return heaviest;
}

/* Scales the importance so that `heaviest` becomes one; where there is none, all
 * weights count alike. */
static inline void tile_weigh(struct tile *t, f8 heaviest)
{
    const m8 some = f8_lt(f8_set1(WEIGHT_TINY), heaviest);
    const bool alike = !m8_any(some);
    const f8 one = f8_set1(1.0f), floor = f8_set1(WEIGHT_FLOOR);
    const f8 inverse = f8_div(one, heaviest);
    t->sum_w = t->sum_u = f8_set1(0.0f);
    for (int i = 0; i < t->steps; i++) {
        t->w[i] = alike ? one : f8_select(some, f8_max(f8_mul(t->w[i], inverse), floor), one);
        t->sum_w = f8_add(t->sum_w, t->w[i]);
        t->sum_u = f8_add(t->sum_u, f8_mul(t->w[i], t->u[i]));
    }
    t->per_w = f8_div(one, t->sum_w);
}

static inline f8 inverse_of(f8 scale)
{
    const f8 inverse = f8_div(f8_set1(1.0f), scale);
    return f8_select(f8_lt(f8_set1(SCALE_TINY), scale), inverse, f8_set1(0.0f));
}

/* `scaled` to the nearest code. */
static inline f8 code_of(f8 scaled, f8 top)
{
    return f8_round_positive(f8_min(f8_max(scaled, f8_set1(0.0f)), top));
}

/* Of the codes round(u * inverse + shift). */
static inline struct moments tile_moments(const struct tile *t, f8 inverse, f8 shift)
{
    const f8 top = f8_set1(t->top), zero = f8_set1(0.0f);
    struct moments s = {zero, zero, zero};
    for (int i = 0; i < t->steps; i++) {
        const f8 q = code_of(f8_add(f8_mul(t->u[i], inverse), shift), top);
        const f8 wq = f8_mul(t->w[i], q);
        s.q = f8_add(s.q, wq);
        s.qq = f8_add(s.qq, f8_mul(wq, q));
        s.qu = f8_add(s.qu, f8_mul(wq, t->u[i]));
    }
    return s;
}

/* Of the codes nearest to that grid. */
static inline struct moments grid_moments(const struct tile *t, struct grid g)
{
    const f8 inverse = inverse_of(g.scale);
    return tile_moments(t, inverse, f8_neg(f8_mul(g.offset, inverse)));
}

/* The weighted error of a grid with its nearest codes; INFINITY if its scale is zero. */
static inline f8 grid_error(const struct tile *t, struct grid g)
{
    const f8 top = f8_set1(t->top), inverse = inverse_of(g.scale);
    const f8 shift = f8_neg(f8_mul(g.offset, inverse));
    f8 error = f8_set1(0.0f);
    for (int i = 0; i < t->steps; i++) {
        const f8 scaled = f8_add(f8_mul(t->u[i], inverse), shift);
        const f8 e = f8_sub(scaled, code_of(scaled, top));
        error = f8_add(error, f8_mul(f8_mul(t->w[i], e), e));
    }
    error = f8_mul(error, f8_mul(g.scale, g.scale));
    return f8_select(f8_lt(f8_set1(SCALE_TINY), g.scale), error, f8_set1(INFINITY));
}

/* The offset that suits the nearest codes of a grid, from what they leave over: exact
 * where the weights are a grid of that scale. */
static inline f8 grid_offset(const struct tile *t, struct grid g)
{
    const f8 top = f8_set1(t->top), inverse = inverse_of(g.scale);
    const f8 shift = f8_neg(f8_mul(g.offset, inverse));
    f8 sum = f8_set1(0.0f);
    for (int i = 0; i < t->steps; i++) {
        const f8 q = code_of(f8_add(f8_mul(t->u[i], inverse), shift), top);
        const f8 rest = f8_sub(t->u[i], f8_mul(g.scale, q));
        sum = f8_add(sum, f8_mul(t->w[i], rest));
    }
    return f8_mul(sum, t->per_w);
}

/* The nearest codes, blocks as rows again if `by_block`: codes[8 g + l] then has
 * codes 8 g .. 8 g + 7 of block l; else codes[i] has code i of each. */
static inline void grid_codes(f8 *codes, const struct tile *t, struct grid g, bool by_block)
{
    const f8 top = f8_set1(t->top), inverse = inverse_of(g.scale);
    for (int i = 0; i < t->steps; i++)
        codes[i] = code_of(f8_mul(f8_sub(t->u[i], g.offset), inverse), top);
    for (int i = 0; by_block && i < t->steps; i += LANES)
        f8_transpose(codes + i);
}

/* The offset that suits codes of these moments at a given scale. */
static inline f8 moments_offset(const struct tile *t, const struct moments *s, f8 scale)
{
    return f8_mul(f8_sub(t->sum_u, f8_mul(scale, s->q)), t->per_w);
}

/* The spread of the codes: how fast the error grows with the square of the
 * scale's distance from its best, the offset following. */
static inline f8 moments_spread(const struct tile *t, const struct moments *s)
{
    return f8_sub(s->qq, f8_mul(s->q, f8_mul(s->q, t->per_w)));
}

/* The grid that fits codes of these moments best, its offset within the limit. */
static inline struct grid moments_fit(const struct tile *t, const struct moments *s)
{
    const f8 zero = f8_set1(0.0f);
    const f8 spread = moments_spread(t, s);
    const f8 rise = f8_sub(s->qu, f8_mul(t->sum_u, f8_mul(s->q, t->per_w)));
    const m8 flat = f8_le(spread, f8_mul(f8_set1(1e-6f), s->qq));
    struct grid g = {f8_select(flat, zero, f8_div(rise, spread)), zero};
    g.offset = moments_offset(t, s, g.scale);

    const m8 over = f8_lt(t->limit, g.offset);
    if (m8_any(over)) {
        const f8 slope = f8_div(f8_sub(s->qu, f8_mul(t->limit, s->q)), s->qq);
        const f8 at_limit = f8_select(f8_lt(zero, s->qq), f8_max(slope, zero), zero);
        g.scale = f8_select(over, at_limit, g.scale);
        g.offset = f8_select(over, t->limit, g.offset);
    }
    return g;
}

/* By how much that grid, with codes of these moments, lessens sum w u^2. */
static inline f8 moments_gain(const struct tile *t, const struct moments *s, struct grid g)
{
    const f8 two = f8_set1(2.0f);
    const f8 by_scale =
        f8_sub(f8_mul(two, f8_sub(s->qu, f8_mul(g.offset, s->q))), f8_mul(g.scale, s->qq));
    const f8 by_offset = f8_sub(f8_mul(two, t->sum_u), f8_mul(g.offset, t->sum_w));
    return f8_add(f8_mul(g.scale, by_scale), f8_mul(g.offset, by_offset));
}

/* The best of the starts, each fitted once, and that fitted again, to codes whose moments
 * are given back. */
static inline struct grid tile_search(const struct tile *t, const struct affine_search *how,
                                      struct moments *fit)
{
    const f8 per_range = inverse_of(t->range);
    struct grid best = {f8_set1(0.0f), f8_set1(0.0f)};
    f8 most = f8_set1(-INFINITY);
    for (int k = 0; k < how->starts; k++) {
        const f8 inverse = f8_mul(per_range, f8_set1(t->top + how->stretch[k]));
        const struct moments s = tile_moments(t, inverse, f8_set1(how->shift[k]));
        const struct grid g = moments_fit(t, &s);
        const f8 gain = moments_gain(t, &s, g);
        const m8 better = f8_lt(most, gain);
        most = f8_select(better, gain, most);
        best.scale = f8_select(better, g.scale, best.scale);
        best.offset = f8_select(better, g.offset, best.offset);
    }
    *fit = grid_moments(t, best);
    return moments_fit(t, fit);
}

#endif
