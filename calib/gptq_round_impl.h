/* gptq_round_impl.h - super-blocks of one strip rounded with feedback, from left to right.
 *
 * Include gptq_block_impl.h first.  The start finds d and dmin without feedback; so a few d around it
 * are tried as well, each with all that follows inside the super-block, and the least loss wins.
 */
#ifndef CALIB_GPTQ_ROUND_IMPL_H
#define CALIB_GPTQ_ROUND_IMPL_H

#include "calib/gptq_block_impl.h"

#include <math.h>

/* A super-block while it is rounded: pointers into the strip. */
struct round {
    const struct gptq *g;
    const struct codes *codes;
    size_t index, col;
    f8 *x, *q, *e; /* a column */
    f8 *sc, *m;    /* a block */
    f8 *d, *dmin;
};

/* The best that was found for one. */
struct rounded {
    f8 loss, d, dmin;
    f8 sc[GPTQ_BLOCKS_MAX], m[GPTQ_BLOCKS_MAX];
    f8 q[GPTQ_SPAN_MAX], e[GPTQ_SPAN_MAX];
};

/* Block by block, from those d, dmin, sc and m.  Returns the loss. */
static inline f8 round_blocks(const struct round *r)
{
    const struct gptq *g = r->g;
    const size_t n = (size_t)g->shape->block, blocks = (size_t)g->shape->blocks;
    f8 loss = f8_set1(0.0f);
    for (size_t b = 0; b < blocks; b++) {
        const size_t at = b * n;
        struct block block = {g->shape, r->codes, r->x + at, g->u + (r->index * blocks + b) * n * n,
                              *r->d,    *r->dmin};
        product_near(r->x + at, r->e, g->factor, true, r->col, at, r->col + at, n);
        const struct choice best = choose_line(&block, g->weight + r->col + at, r->sc[b], r->m[b]);
        r->sc[b] = best.sc;
        r->m[b] = best.m;
        loss = f8_add(loss, best.loss);
        const f8 s = scale_of(&block, best.sc), o = offset_of(&block, best.m);
        block_settle(&block, s, o, r->sc + b, r->m + b, r->d, r->dmin);
        round_block(&block, s, o, r->q + at, r->e + at);
    }
    return loss;
}

static inline void rounded_take(struct rounded *best, const struct round *r, f8 loss)
{
    const m8 better = f8_lt(loss, best->loss);
    best->loss = f8_select(better, loss, best->loss);
    best->d = f8_select(better, *r->d, best->d);
    best->dmin = f8_select(better, *r->dmin, best->dmin);
    for (int b = 0; b < r->g->shape->blocks; b++) {
        best->sc[b] = f8_select(better, r->sc[b], best->sc[b]);
        best->m[b] = f8_select(better, r->m[b], best->m[b]);
    }
    for (size_t j = 0; j < r->g->span; j++) {
        best->q[j] = f8_select(better, r->q[j], best->q[j]);
        best->e[j] = f8_select(better, r->e[j], best->e[j]);
    }
}

static inline void rounded_put(const struct rounded *best, const struct round *r)
{
    const size_t blocks = (size_t)r->g->shape->blocks * sizeof(f8), span = r->g->span * sizeof(f8);
    *r->d = best->d;
    *r->dmin = best->dmin;
    memcpy(r->sc, best->sc, blocks);
    memcpy(r->m, best->m, blocks);
    memcpy(r->q, best->q, span);
    memcpy(r->e, best->e, span);
}

/* Of d, in the order in which they are tried. */
static const float d_tries[] = {1.0f, 0.97f, 1.03f, 0.94f, 1.06f};
enum { D_TRIES_MAX = sizeof d_tries / sizeof *d_tries };

static inline void round_super(const struct round *r)
{
    const struct gptq *g = r->g;
    const size_t blocks = (size_t)g->shape->blocks;
    const unsigned tries = blocks > 1 ? g->tries : 1; /* a block alone climbs over d itself */
    f8 x[GPTQ_SPAN_MAX], sc[GPTQ_BLOCKS_MAX], m[GPTQ_BLOCKS_MAX];
    struct super start = {g->shape, r->codes, r->x, g->weight + r->col, *r->d, *r->dmin, sc, m};
    super_start(&start);
    memcpy(x, r->x, g->span * sizeof *x);
    struct rounded best;
    memset(&best, 0, sizeof best);
    best.loss = f8_set1(INFINITY);
    for (unsigned k = 0; k < tries; k++) {
        *r->d = to_half(f8_mul(start.d, f8_set1(d_tries[k])));
        *r->dmin = start.dmin;
        for (size_t b = 0; b < blocks; b++) {
            r->sc[b] = whole_scale(g->shape, f8_mul(sc[b], f8_set1(1.0f / d_tries[k])));
            r->m[b] = m[b];
        }
        memcpy(r->x, x, g->span * sizeof *x);
        rounded_take(&best, r, round_blocks(r));
    }
    rounded_put(&best, r);
}

/* Super-blocks from number `super` on, whose x is in s->x. */
static inline void round_chunk(const struct gptq *g, const struct codes *codes, struct strip *s,
                               size_t super, size_t supers)
{
    const size_t blocks = (size_t)g->shape->blocks, col = super * g->span;
    for (size_t k = 0; k < supers; k++) {
        const size_t at = k * g->span, i = super + k;
        const struct round r = {g,
                                codes,
                                i,
                                col + at,
                                s->x + at,
                                s->q + col + at,
                                s->e + col + at,
                                s->sc + i * blocks,
                                s->m + i * blocks,
                                s->d + i,
                                s->dmin + i};
        product_near(s->x + at, s->e + col, g->factor, true, col, at, col + at, g->span);
        round_super(&r);
    }
}

#endif
