/* affine_search_impl.h - the best grid `scale * q + offset`, q = 0..top, for
 * eight blocks side by side.
 *
 * Include a lanes header first.  What is made small is sum w (x - y)^2.  Given
 * the codes, the best scale and offset have a closed form (weighted least
 * squares); given scale and offset, the best codes are the nearest ones.
 */
#ifndef QUANTIZE_AFFINE_SEARCH_IMPL_H
#define QUANTIZE_AFFINE_SEARCH_IMPL_H

#include <math.h>
#include <stdint.h>

enum { STEPS_MAX = 32 };

/* Weight i of the block in lane l is lane l of x[i]; all x in +-X_LIMIT. */
struct tile {
    f8 x[STEPS_MAX], w[STEPS_MAX];
    int steps;
    float top;   /* the largest code */
    float limit; /* the largest offset allowed */
    f8 sum_w;
};

struct grid {
    f8 scale, offset;
};

/* What codes leave over: e = x - (scale * q + offset), and its weighted sums. */
struct residue {
    f8 q, qq, e, qe, ee;
};

/* Below it a scale is taken for zero: half of the smallest fp16. */
#define SCALE_TINY 0x1p-25f

static inline f8 inverse_of(f8 scale)
{
    const f8 inverse = f8_div(f8_set1(1.0f), scale);
    return f8_select(f8_lt(f8_set1(SCALE_TINY), scale), inverse, f8_set1(0.0f));
}

static inline f8 code_of(f8 scaled, f8 top)
{
    return f8_round(f8_min(f8_max(scaled, f8_set1(0.0f)), top));
}

/* The weighted error of that grid with the nearest codes. */
static inline f8 tile_error(const struct tile *t, struct grid g)
{
    const f8 top = f8_set1(t->top), inverse = inverse_of(g.scale);
    f8 error = f8_set1(0.0f);
    for (int i = 0; i < t->steps; i++) {
        const f8 u = f8_sub(t->x[i], g.offset);
        const f8 q = code_of(f8_mul(u, inverse), top);
        const f8 e = f8_sub(u, f8_mul(g.scale, q));
        error = f8_add(error, f8_mul(f8_mul(t->w[i], e), e));
    }
    return error;
}

static inline struct residue tile_residue(const struct tile *t, struct grid g, f8 inverse)
{
    const f8 top = f8_set1(t->top), zero = f8_set1(0.0f);
    struct residue r = {zero, zero, zero, zero, zero};
    for (int i = 0; i < t->steps; i++) {
        const f8 u = f8_sub(t->x[i], g.offset);
        const f8 q = code_of(f8_mul(u, inverse), top);
        const f8 e = f8_sub(u, f8_mul(g.scale, q));
        const f8 wq = f8_mul(t->w[i], q), we = f8_mul(t->w[i], e);
        r.q = f8_add(r.q, wq);
        r.qq = f8_add(r.qq, f8_mul(wq, q));
        r.e = f8_add(r.e, we);
        r.qe = f8_add(r.qe, f8_mul(we, q));
        r.ee = f8_add(r.ee, f8_mul(we, e));
    }
    return r;
}

/* Moves the grid to where its codes fit best, the offset within the limit;
 * returns the error there, with the codes unchanged. */
static inline f8 grid_refit(const struct tile *t, struct grid *g, const struct residue *r)
{
    const f8 zero = f8_set1(0.0f), two = f8_set1(2.0f);
    const f8 det = f8_sub(f8_mul(t->sum_w, r->qq), f8_mul(r->q, r->q));
    const f8 rise = f8_sub(f8_mul(t->sum_w, r->qe), f8_mul(r->q, r->e));
    const m8 flat = f8_le(det, f8_mul(f8_set1(1e-6f), f8_mul(t->sum_w, r->qq)));
    f8 ds = f8_select(flat, zero, f8_div(rise, det));
    f8 d0 = f8_div(f8_sub(r->e, f8_mul(ds, r->q)), t->sum_w);

    const f8 limit = f8_set1(t->limit);
    const m8 over = f8_lt(limit, f8_add(g->offset, d0));
    const f8 room = f8_sub(limit, g->offset);
    const f8 slope = f8_div(f8_sub(r->qe, f8_mul(room, r->q)), r->qq);
    d0 = f8_select(over, room, d0);
    ds = f8_select(over, f8_select(f8_lt(zero, r->qq), slope, zero), ds);

    g->scale = f8_add(g->scale, ds);
    g->offset = f8_add(g->offset, d0);
    const f8 by_scale = f8_sub(f8_mul(two, f8_sub(r->qe, f8_mul(d0, r->q))), f8_mul(ds, r->qq));
    const f8 by_offset = f8_sub(f8_mul(two, r->e), f8_mul(d0, t->sum_w));
    return f8_sub(r->ee, f8_add(f8_mul(ds, by_scale), f8_mul(d0, by_offset)));
}

/* A few ranges a little within and beyond the extremes, each refitted once; the
 * best of them refitted again. */
static inline struct grid tile_search(const struct tile *t, const float *stretch, int starts,
                                      int refits)
{
    f8 low = t->x[0], high = t->x[0];
    for (int i = 1; i < t->steps; i++) {
        low = f8_min(low, t->x[i]);
        high = f8_max(high, t->x[i]);
    }
    low = f8_min(low, f8_set1(t->limit));
    const f8 range = f8_sub(high, low);
    struct grid best = {f8_set1(0.0f), low};
    f8 best_error = f8_set1(INFINITY);
    for (int k = 0; k < starts; k++) {
        struct grid g = {f8_div(range, f8_set1(t->top + stretch[k])), low};
        const struct residue r = tile_residue(t, g, inverse_of(g.scale));
        const f8 error = grid_refit(t, &g, &r);
        const m8 better = f8_lt(error, best_error);
        best_error = f8_select(better, error, best_error);
        best.scale = f8_select(better, g.scale, best.scale);
        best.offset = f8_select(better, g.offset, best.offset);
    }
    for (int k = 0; k < refits; k++) {
        const struct residue r = tile_residue(t, best, inverse_of(best.scale));
        grid_refit(t, &best, &r);
    }
    return best;
}

#endif
