/* gptq_descent_impl.h - coordinate descent on the loss (v - w)' H (v - w) under the whole H.
 *
 * Include gptq_block_impl.h first.  With G = (v - w) H, changing v by a changes the loss by
 * 2 a'G + a'H a.  A super-block tries in turn: other d and dmin for the same codes; for each block
 * other scales, minima and codes by rounding what would be best, v - H_bb^-1 G_b, with feedback
 * inside the block; steps of sc and m; each code on its own.  Nothing is taken that does not lower
 * the loss.  G is kept up to date inside a block at each change and brought to the next blocks of
 * the super-block when they begin.
 */
#ifndef CALIB_GPTQ_DESCENT_IMPL_H
#define CALIB_GPTQ_DESCENT_IMPL_H

#include "calib/gptq_block_impl.h"

/* A super-block of one strip in descent. */
struct descent {
    const struct gptq *g;
    const struct codes *codes;
    size_t index, col; /* of the super-block; its first column */
    f8 *q, *x;         /* a column of the super-block: codes; G */
    f8 *sc, *m, *d, *dmin;
    f8 *moved; /* a column: how far v moved since its block began, G of it being known there */
};

static inline f8 sum_of_products(const f8 *a, const f8 *b, int n)
{
    f8 s = f8_set1(0.0f);
    for (int j = 0; j < n; j++)
        s = f8_add(s, f8_mul(a[j], b[j]));
    return s;
}

/* The move (x, y) of d and dmin where it lowers the loss: g and A of the two. */
static inline void take_pair(struct descent *t, f8 d, f8 dmin, const f8 g[2], const f8 a[3], f8 *x,
                             f8 *y)
{
    *x = f8_sub(d, *t->d);
    *y = f8_sub(dmin, *t->dmin);
    const f8 two = f8_set1(2.0f), zero = f8_set1(0.0f);
    const f8 linear = f8_add(f8_mul(*x, g[0]), f8_mul(*y, g[1]));
    const f8 square =
        f8_add(f8_add(f8_mul(f8_mul(*x, *x), a[0]), f8_mul(f8_mul(two, f8_mul(*x, *y)), a[1])),
               f8_mul(f8_mul(*y, *y), a[2]));
    const m8 better = f8_lt(f8_add(f8_mul(two, linear), square), zero);
    *x = f8_select(better, *x, zero);
    *y = f8_select(better, *y, zero);
    *t->d = f8_select(better, d, *t->d);
    *t->dmin = f8_select(better, dmin, *t->dmin);
}

/* d and dmin by least squares under H, codes and whole scales as they are. */
static inline void descend_steps(struct descent *t)
{
    const struct gptq_shape *shape = t->g->shape;
    const int n = shape->block, span = (int)t->g->span;
    const bool whole = gptq_shape_whole(shape);
    const f8 zero = f8_set1(0.0f), one = f8_set1(1.0f);
    f8 u[GPTQ_SPAN_MAX], hu[GPTQ_SPAN_MAX], hm[GPTQ_SPAN_MAX], um[GPTQ_SPAN_MAX];
    for (int j = 0; j < span; j++) {
        u[j] = whole ? f8_mul(t->sc[j / n], t->q[j]) : t->q[j];
        hu[j] = hm[j] = zero;
    }
    product_near(hu, u, t->g->factor, false, t->col, t->g->span, t->col, t->g->span);
    f8 g[2] = {sum_of_products(u, t->x, span), zero};
    f8 a[3] = {sum_of_products(u, hu, span), zero, zero};
    f8 x = f8_neg(f8_mul(g[0], inverse_of(a[0]))), y = zero;
    if (shape->min != GPTQ_MIN_NONE) {
        f8 step[GPTQ_BLOCKS_MAX]; /* a block: all of it moves alike */
        for (int b = 0; b < shape->blocks; b++) {
            step[b] = shape->min == GPTQ_MIN_WHOLE ? f8_neg(t->m[b]) : one;
            for (int j = 0; j < n; j++)
                um[b * n + j] = step[b];
        }
        product(hm, step, (size_t)shape->blocks, t->g->sum + t->col / (size_t)n * t->g->span,
                t->g->span, t->g->span);
        g[1] = sum_of_products(um, t->x, span);
        a[1] = sum_of_products(u, hm, span);
        a[2] = sum_of_products(um, hm, span);
        const f8 det = f8_sub(f8_mul(a[0], a[2]), f8_mul(a[1], a[1]));
        const m8 both = f8_lt(f8_mul(f8_set1(1e-5f), f8_mul(a[0], a[2])), det);
        const f8 x2 = f8_div(f8_sub(f8_mul(a[1], g[1]), f8_mul(a[2], g[0])), det);
        const f8 y2 = f8_div(f8_sub(f8_mul(a[1], g[0]), f8_mul(a[0], g[1])), det);
        x = f8_select(both, x2, x);
        y = f8_select(both, y2, zero);
    }
    take_pair(t, to_half(f8_add(*t->d, x)), to_half(f8_add(*t->dmin, y)), g, a, &x, &y);
    for (int j = 0; j < span; j++)
        t->x[j] = f8_add(t->x[j], f8_add(f8_mul(x, hu[j]), f8_mul(y, hm[j])));
}

/* A block of it. */
struct descent_block {
    struct block b;
    const float *h, *inverse; /* block x block */
    f8 *q, *x;
    f8 *sc, *m, *d, *dmin;
    f8 s, o;
    f8 v[GPTQ_BLOCK_MAX]; /* as they are now */
};

static inline void block_line(struct descent_block *t)
{
    t->s = scale_of(&t->b, *t->sc);
    t->o = offset_of(&t->b, *t->m);
    block_settle(&t->b, t->s, t->o, t->sc, t->m, t->d, t->dmin);
}

static inline f8 value_of(const struct descent_block *t, f8 q)
{
    return f8_add(f8_mul(t->s, q), t->o);
}

/* G of the block after its values moved by `move`. */
static inline void block_moved(struct descent_block *t, const f8 *move)
{
    const size_t n = (size_t)t->b.shape->block;
    product(t->x, move, n, t->h, n, n);
}

/* Another sc, m and codes for the whole block. */
static inline void descend_block(struct descent_block *t)
{
    const int n = t->b.shape->block;
    f8 y[GPTQ_BLOCK_MAX], target[GPTQ_BLOCK_MAX], q[GPTQ_BLOCK_MAX], e[GPTQ_BLOCK_MAX];
    for (int j = 0; j < n; j++)
        y[j] = f8_set1(0.0f);
    product(y, t->x, (size_t)n, t->inverse, (size_t)n, (size_t)n);
    const f8 now = f8_mul(sum_of_products(y, t->x, n), f8_set1(0.9999f));
    for (int j = 0; j < n; j++)
        target[j] = f8_sub(t->v[j], y[j]);
    t->b.x = target;
    struct choice best = {*t->sc, *t->m, now};
    const f8 a[TRIES] = {*t->sc, *t->sc, *t->sc, *t->sc};
    const f8 z[TRIES] = {*t->m, *t->m, *t->m, *t->m};
    choice_try(&best, &t->b, a, z);
    choice_climb(&best, &t->b);
    const m8 better = f8_lt(best.loss, now);
    if (!m8_any(better))
        return;
    *t->sc = best.sc;
    *t->m = best.m;
    block_line(t);
    round_block(&t->b, t->s, t->o, q, e);
    for (int j = 0; j < n; j++) {
        t->q[j] = f8_select(better, q[j], t->q[j]);
        const f8 v = value_of(t, t->q[j]);
        e[j] = f8_sub(v, t->v[j]);
        t->v[j] = v;
    }
    block_moved(t, e);
}

/* Whole steps of sc, or of m, codes as they are. */
static inline void descend_scale(struct descent_block *t, bool min)
{
    const struct gptq_shape *shape = t->b.shape;
    const int n = shape->block;
    const f8 zero = f8_set1(0.0f);
    f8 u[GPTQ_BLOCK_MAX], hu[GPTQ_BLOCK_MAX];
    for (int j = 0; j < n; j++) {
        u[j] = min ? f8_set1(-1.0f) : t->q[j];
        hu[j] = zero;
    }
    product(hu, u, (size_t)n, t->h, (size_t)n, (size_t)n);
    f8 *whole = min ? t->m : t->sc;
    const f8 unit = min ? t->b.dmin : t->b.d;
    const f8 g = sum_of_products(u, t->x, n), a = sum_of_products(u, hu, n);
    const f8 best = f8_neg(f8_mul(g, f8_mul(inverse_of(a), inverse_of(unit))));
    const f8 wanted = f8_add(*whole, f8_round(f8_clamp(best, f8_set1(-256.0f), f8_set1(256.0f))));
    const f8 next = min ? step_min(shape, wanted) : step_scale(shape, wanted);
    const f8 move = f8_mul(f8_sub(next, *whole), unit);
    const f8 change = f8_mul(move, f8_add(f8_add(g, g), f8_mul(move, a)));
    const m8 better = f8_lt(change, zero);
    if (!m8_any(better))
        return;
    *whole = f8_select(better, next, *whole);
    const f8 by = f8_select(better, move, zero);
    block_line(t);
    for (int j = 0; j < n; j++) {
        t->x[j] = f8_add(t->x[j], f8_mul(by, hu[j]));
        t->v[j] = value_of(t, t->q[j]);
    }
}

/* Each code on its own. */
static inline void descend_codes(struct descent_block *t)
{
    const int n = t->b.shape->block;
    const f8 inverse = inverse_of(t->s), zero = f8_set1(0.0f);
    for (int j = 0; j < n; j++) {
        const float *h = t->h + j * n;
        const f8 g = t->x[j], wanted = f8_sub(t->v[j], f8_mul(g, f8_set1(1.0f / h[j])));
        const f8 q = nearest(t->b.codes, f8_mul(f8_sub(wanted, t->o), inverse));
        const f8 v = value_of(t, q), move = f8_sub(v, t->v[j]);
        const f8 change = f8_mul(move, f8_add(f8_add(g, g), f8_mul(move, f8_set1(h[j]))));
        const m8 better = f8_lt(change, zero);
        if (!m8_any(better))
            continue;
        const f8 by = f8_select(better, move, zero);
        t->q[j] = f8_select(better, q, t->q[j]);
        t->v[j] = f8_select(better, v, t->v[j]);
        for (int k = 0; k < n; k++)
            t->x[k] = f8_add(t->x[k], f8_mul(by, f8_set1(h[k])));
    }
}

static inline void block_values(struct descent_block *t)
{
    block_line(t);
    for (int j = 0; j < t->b.shape->block; j++)
        t->v[j] = value_of(t, t->q[j]);
}

enum { CODE_PASSES = 2 };

/* Block b of the super-block. */
static inline void descend_in_block(struct descent *t, int b)
{
    const struct gptq *g = t->g;
    const struct gptq_shape *shape = g->shape;
    const size_t n = (size_t)shape->block, at = (size_t)b * n;
    const size_t square = (t->index * (size_t)shape->blocks + (size_t)b) * n * n;
    struct descent_block k = {
        .b = {shape, t->codes, NULL, g->t + square, *t->d, *t->dmin},
        .h = g->h + square,
        .inverse = g->inverse + square,
        .q = t->q + at,
        .x = t->x + at,
        .sc = t->sc + b,
        .m = t->m + b,
        .d = t->d,
        .dmin = t->dmin,
    };
    block_values(&k);
    for (size_t j = 0; j < n; j++)
        t->moved[at + j] = f8_neg(k.v[j]);
    if (shape->blocks == 1) { /* what d and dmin move is then the block's move, too */
        descend_steps(t);
        k.b.d = *t->d;
        k.b.dmin = *t->dmin;
        block_values(&k);
    }
    descend_block(&k);
    if (gptq_shape_whole(shape))
        descend_scale(&k, false);
    if (shape->min == GPTQ_MIN_WHOLE)
        descend_scale(&k, true);
    for (int pass = 0; pass < CODE_PASSES; pass++)
        descend_codes(&k);
    for (size_t j = 0; j < n; j++)
        t->moved[at + j] = f8_add(t->moved[at + j], k.v[j]);
}

static inline void descend_super(struct descent *t)
{
    const size_t n = (size_t)t->g->shape->block;
    if (t->g->shape->blocks > 1)
        descend_steps(t);
    for (int b = 0; b < t->g->shape->blocks; b++) {
        const size_t at = (size_t)b * n;
        product_near(t->x + at, t->moved, t->g->factor, false, t->col, at, t->col + at, n);
        descend_in_block(t, b);
    }
}

/* A chunk of super-blocks from number `super` on, whose G is in s->x: gone through g->passes times
 * while it is at hand. */
static inline void descend_chunk(const struct gptq *g, const struct codes *codes, struct strip *s,
                                 size_t super, size_t supers)
{
    const size_t n = (size_t)g->shape->block, blocks = (size_t)g->shape->blocks;
    const size_t col = super * g->span, cols = supers * g->span;
    f8 moved[GPTQ_SPAN_MAX];
    for (unsigned pass = 0; pass < g->passes; pass++) {
        for (size_t k = 0; k < supers; k++) {
            const size_t at = k * g->span, i = super + k;
            struct descent d = {g,
                                codes,
                                i,
                                col + at,
                                s->q + col + at,
                                s->x + at,
                                s->sc + i * blocks,
                                s->m + i * blocks,
                                s->d + i,
                                s->dmin + i,
                                moved + at};
            product_near(s->x + at, moved, g->factor, false, col, at, col + at, g->span);
            descend_super(&d);
        }
        for (size_t at = 0; pass + 1 < g->passes && at < cols; at += n) {
            const size_t next = at + n; /* what later blocks moved */
            product_near(s->x + at, moved + next, g->factor, false, col + next, cols - next,
                         col + at, n);
        }
    }
}

#endif
