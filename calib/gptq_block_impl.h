/* gptq_block_impl.h - one block rounded with feedback, its scale and min chosen by what comes out.
 *
 * Include gptq_start_impl.h first.  U is a triangle with H^-1 = U' U.  Rounding x[i] to v leaves
 * e = (v - x[i]) / U[i][i]; every later x[k] moves by e U[i][k], which makes up for it as well as
 * can be; the sum of e^2 is the loss.  A climb over the whole scales and minima asks this very
 * sum, four candidates at once so that no operation waits for the one before.
 */
#ifndef CALIB_GPTQ_BLOCK_IMPL_H
#define CALIB_GPTQ_BLOCK_IMPL_H

#include "calib/gptq_start_impl.h"

#include <string.h>

enum { TRIES = 4, MOVES_MAX = 4 };

/* A block to be rounded. */
struct block {
    const struct gptq_shape *shape;
    const struct codes *codes;
    const f8 *x;    /* targets */
    const float *u; /* shape->block squared, row-major */
    f8 d, dmin;     /* of the super-block */
};

/* What has been chosen for it. */
struct choice {
    f8 sc, m, loss;
};

/* Own scales move in steps of 1/64 of d, and own minima in quarters of it. */
static inline f8 scale_of(const struct block *b, f8 sc)
{
    if (gptq_shape_whole(b->shape))
        return f8_mul(b->d, sc);
    return to_half(f8_mul(b->d, f8_add(f8_set1(1.0f), f8_mul(sc, f8_set1(1.0f / 64)))));
}

static inline f8 offset_of(const struct block *b, f8 m)
{
    if (b->shape->min == GPTQ_MIN_WHOLE)
        return f8_neg(f8_mul(b->dmin, m));
    if (b->shape->min == GPTQ_MIN_OWN)
        return to_half(f8_add(b->dmin, f8_mul(b->d, f8_mul(m, f8_set1(0.25f)))));
    return f8_set1(0.0f);
}

/* Own scales and minima become what the steps have led to. */
static inline void block_settle(struct block *b, f8 s, f8 o, f8 *sc, f8 *m, f8 *d, f8 *dmin)
{
    if (gptq_shape_whole(b->shape))
        return;
    b->d = *d = s;
    b->dmin = *dmin = o;
    *sc = *m = f8_set1(0.0f);
}

/* Four candidates in work. */
struct trial {
    f8 x[GPTQ_BLOCK_MAX][TRIES];
    f8 s[TRIES], o[TRIES], inverse[TRIES], loss[TRIES];
};

/* Rounds x[i] of each: the errors. */
static inline void trial_round(struct trial *t, const struct block *b, int i, f8 e[TRIES])
{
    const f8 per = f8_set1(1.0f / b->u[i * b->shape->block + i]);
    for (int c = 0; c < TRIES; c++) {
        const f8 x = t->x[i][c];
        const f8 q = nearest(b->codes, f8_mul(f8_sub(x, t->o[c]), t->inverse[c]));
        e[c] = f8_mul(f8_sub(f8_add(f8_mul(t->s[c], q), t->o[c]), x), per);
        t->loss[c] = f8_add(t->loss[c], f8_mul(e[c], e[c]));
    }
}

/* The losses of four lines, two columns at a time. */
static inline void trial_run(struct trial *t, const struct block *b)
{
    const int n = b->shape->block;
    for (int c = 0; c < TRIES; c++) {
        t->inverse[c] = inverse_of(t->s[c]);
        t->loss[c] = f8_set1(0.0f);
    }
    for (int i = 0; i < n; i++)
        for (int c = 0; c < TRIES; c++)
            t->x[i][c] = b->x[i];
    for (int i = 0; i < n; i += 2) {
        const float *u = b->u + i * n, *v = u + n;
        f8 e[TRIES], e2[TRIES];
        trial_round(t, b, i, e);
        for (int c = 0; c < TRIES; c++)
            t->x[i + 1][c] = f8_add(t->x[i + 1][c], f8_mul(e[c], f8_set1(u[i + 1])));
        trial_round(t, b, i + 1, e2);
        for (int k = i + 2; k < n; k++) {
            const f8 uk = f8_set1(u[k]), vk = f8_set1(v[k]);
#pragma GCC unroll 4
            for (int c = 0; c < TRIES; c++)
                t->x[k][c] = f8_add(f8_add(t->x[k][c], f8_mul(e[c], uk)), f8_mul(e2[c], vk));
        }
    }
}

/* Rounds the block for good: codes and errors. */
static inline void round_block(const struct block *b, f8 s, f8 o, f8 *q, f8 *e)
{
    const int n = b->shape->block;
    const f8 inverse = inverse_of(s);
    f8 x[GPTQ_BLOCK_MAX];
    for (int i = 0; i < n; i++)
        x[i] = b->x[i];
    for (int i = 0; i < n; i++) {
        const float *u = b->u + i * n;
        q[i] = nearest(b->codes, f8_mul(f8_sub(x[i], o), inverse));
        e[i] = f8_mul(f8_sub(f8_add(f8_mul(s, q[i]), o), x[i]), f8_set1(1.0f / u[i]));
        for (int k = i + 1; k < n; k++)
            x[k] = f8_add(x[k], f8_mul(e[i], f8_set1(u[k])));
    }
}

static inline f8 step_scale(const struct gptq_shape *s, f8 sc)
{
    const f8 reach = f8_set1(32.0f);
    return gptq_shape_whole(s) ? f8_clamp(sc, f8_set1(s->sc_low), f8_set1(s->sc_high))
                               : f8_clamp(sc, f8_neg(reach), reach);
}

static inline f8 step_min(const struct gptq_shape *s, f8 m)
{
    const f8 reach = f8_set1(64.0f);
    return s->min == GPTQ_MIN_OWN ? f8_clamp(m, f8_neg(reach), reach)
                                  : f8_clamp(m, f8_set1(0.0f), f8_set1(s->m_high));
}

/* The choice becomes the best of itself and four more.  True where any lane moved. */
static inline bool choice_try(struct choice *best, const struct block *b, const f8 sc[TRIES],
                              const f8 m[TRIES])
{
    struct trial t;
    f8 a[TRIES], z[TRIES];
    bool moved = false;
    for (int c = 0; c < TRIES; c++) {
        a[c] = step_scale(b->shape, sc[c]);
        z[c] = step_min(b->shape, m[c]);
        t.s[c] = scale_of(b, a[c]);
        t.o[c] = offset_of(b, z[c]);
    }
    trial_run(&t, b);
    for (int c = 0; c < TRIES; c++) {
        const m8 better = f8_lt(t.loss[c], best->loss);
        best->sc = f8_select(better, a[c], best->sc);
        best->m = f8_select(better, z[c], best->m);
        best->loss = f8_select(better, t.loss[c], best->loss);
        moved = moved || m8_any(better);
    }
    return moved;
}

/* Climbs from the choice over its neighbours. */
static inline void choice_climb(struct choice *best, const struct block *b)
{
    static const float around[8][2] = {{-1, 0},  {1, 0}, {0, -1}, {0, 1},
                                       {-1, -1}, {1, 1}, {-1, 1}, {1, -1}};
    static const float along[4][2] = {{-1, 0}, {1, 0}, {-2, 0}, {2, 0}};
    const float(*move)[2] = b->shape->min == GPTQ_MIN_NONE ? along : around;
    const int count = b->shape->min == GPTQ_MIN_NONE ? 4 : 8;
    bool moved = true;
    for (int k = 0; moved && k < MOVES_MAX; k++) {
        const f8 sc = best->sc, m = best->m;
        moved = false;
        for (int i = 0; i < count; i += TRIES) {
            f8 a[TRIES], z[TRIES];
            for (int c = 0; c < TRIES; c++) {
                a[c] = f8_add(sc, f8_set1(move[i + c][0]));
                z[c] = f8_add(m, f8_set1(move[i + c][1]));
            }
            moved |= choice_try(best, b, a, z);
        }
    }
}

/* What the block would like on its own, in steps of d and dmin. */
static inline void fresh_choice(const struct block *b, const float *w, f8 *sc, f8 *m)
{
    const struct line fit = fit_block(b->shape, b->codes, b->x, w);
    *sc = whole_scale(b->shape, f8_mul(fit.s, inverse_of(b->d)));
    *m = whole_min(b->shape, f8_mul(f8_neg(fit.o), inverse_of(b->dmin)));
}

/* sc and m from the start's and from a fresh search, then the climb. */
static inline struct choice choose_line(const struct block *b, const float *w, f8 sc, f8 m)
{
    struct choice best = {sc, m, f8_set1(INFINITY)};
    const f8 zero = f8_set1(0.0f);
    if (gptq_shape_whole(b->shape)) {
        f8 sc2, m2;
        fresh_choice(b, w, &sc2, &m2);
        const f8 a[TRIES] = {sc, sc2, sc, sc2}, z[TRIES] = {m, m2, m2, m};
        choice_try(&best, b, a, z);
    } else {
        for (int k = -12; k <= 16; k += 16) {
            f8 a[TRIES];
            const f8 z[TRIES] = {zero, zero, zero, zero};
            for (int c = 0; c < TRIES; c++)
                a[c] = f8_set1((float)(k + 4 * c));
            choice_try(&best, b, a, z);
        }
    }
    choice_climb(&best, b);
    return best;
}

#endif
