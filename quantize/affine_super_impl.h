/* affine_super_impl.h - the shared steps d and dmin of a super-block, and whole
 * multiples sc and m of them for its blocks: weight ~ d * sc * q - dmin * m.
 *
 * Include a lanes header first.  Each block is first searched on its own; d and
 * dmin are the steps whose multiples come nearest to what the blocks ask for,
 * each block then takes the best of a few sc and m by its true error, and d and
 * dmin are fitted again to all the whole numbers at once.
 */
#ifndef QUANTIZE_AFFINE_SUPER_IMPL_H
#define QUANTIZE_AFFINE_SUPER_IMPL_H

#include "quantize/affine_search_impl.h"

#include "core/block.h"

enum { TILES_MAX = 2, SUPER_BLOCKS_MAX = TILES_MAX * LANES };

#define HALF_MAX   65504.0f
#define HALF_LEAST 0x1p-24f

struct super {
    struct tile tile[TILES_MAX];
    int tiles;
    float levels;                   /* the largest sc and m */
    float d, dmin;                  /* fp16 values; d > 0 */
    f8 sc[TILES_MAX], m[TILES_MAX]; /* whole numbers, 0..levels */
    f8 error[TILES_MAX];
};

/* The nearest finite fp16. */
static inline f8 to_half(f8 a)
{
    const f8 limit = f8_set1(HALF_MAX);
    return f8_through_half(f8_max(f8_min(a, limit), f8_neg(limit)));
}

static inline float lanes_sum(f8 a)
{
    float lane[LANES], sum = 0.0f;
    f8_store(lane, a);
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static inline float lanes_max(f8 a)
{
    float lane[LANES], most = 0.0f;
    f8_store(lane, a);
    for (int l = 0; l < LANES; l++)
        most = lane[l] > most ? lane[l] : most;
    return most;
}

/* Loads SUPER_ELEMS weights as blocks of `steps`. */
static inline void super_load(struct super *s, int steps, float top, float levels, const float *src,
                              const float *importance)
{
    f8 heaviest = f8_set1(0.0f);
    s->tiles = SUPER_ELEMS / (LANES * steps);
    s->levels = levels;
    for (int k = 0; k < s->tiles; k++) {
        struct tile *t = &s->tile[k];
        const int at = k * LANES * steps;
        t->steps = steps;
        t->top = top;
        heaviest =
            f8_max(heaviest, tile_load(t, src + at, importance ? importance + at : NULL, 0.0f));
    }
    heaviest = f8_set1(lanes_max(heaviest));
    for (int k = 0; k < s->tiles; k++)
        tile_weigh(&s->tile[k], heaviest);
}

static inline struct grid super_grid(const struct super *s, int k, f8 sc, f8 m)
{
    const f8 offset = f8_neg(f8_mul(f8_set1(s->dmin), m));
    return (struct grid){f8_mul(f8_set1(s->d), sc), f8_sub(offset, s->tile[k].base)};
}

/* The step of which whole multiples, 0..levels, come nearest to `blocks` targets
 * >= 0 under their weights, as fp16.  Steps that put the largest target at all of the
 * levels, 62 / 63 of them and so on are tried, one a lane, each fitted to its multiples. */
static inline float common_step(const float *target, const float *weight, int blocks, float levels)
{
    static const float share[] = {63, 62, 61, 60, 59, 58, 57, 56, 55, 54, 53, 52, 51, 50, 49, 48};
    enum { TRIES = sizeof share / sizeof share[0] };
    const f8 zero = f8_set1(0.0f), top = f8_set1(levels);
    f8 step = zero, gain = zero;
    float most = 0.0f;
    for (int b = 0; b < blocks; b++)
        most = target[b] > most ? target[b] : most;
    const f8 unit = f8_set1(most > SCALE_TINY ? levels / (63.0f * most) : 0.0f);
    for (int i = 0; i < TRIES; i += LANES) {
        const f8 inverse = f8_mul(unit, f8_load(share + i));
        f8 qx = zero, qq = zero;
        for (int b = 0; b < blocks; b++) {
            const f8 x = f8_set1(target[b]), q = code_of(f8_mul(x, inverse), top);
            const f8 wq = f8_mul(f8_set1(weight[b]), q);
            qx = f8_add(qx, f8_mul(wq, x));
            qq = f8_add(qq, f8_mul(wq, q));
        }
        const f8 fitted = f8_select(f8_lt(zero, qq), f8_div(qx, qq), zero);
        const f8 own = f8_mul(fitted, qx);
        step = f8_select(f8_lt(gain, own), fitted, step);
        gain = f8_max(own, gain);
    }
    float steps[LANES], gains[LANES];
    f8_store(steps, to_half(step));
    f8_store(gains, gain);
    int best = 0;
    for (int l = 1; l < LANES; l++)
        best = gains[l] > gains[best] ? l : best;
    return steps[best];
}

/* d and dmin from the blocks' own best grids, whose moments fit[] keeps. */
static inline void super_start(struct super *s, struct moments *fit,
                               const struct affine_search *how)
{
    float target[SUPER_BLOCKS_MAX] = {0}, weight[SUPER_BLOCKS_MAX] = {0};
    const f8 zero = f8_set1(0.0f);
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        f8_store(target + k * LANES, tile_search(t, how, &fit[k]).scale);
        f8_store(weight + k * LANES, moments_spread(t, &fit[k]));
    }
    s->d = fmaxf(common_step(target, weight, s->tiles * LANES, s->levels), HALF_LEAST);

    const f8 d = f8_set1(s->d), per_d = inverse_of(d);
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        s->sc[k] = code_of(f8_mul(f8_load(target + k * LANES), per_d), f8_set1(s->levels));
        const f8 offset = f8_add(moments_offset(t, &fit[k], f8_mul(d, s->sc[k])), t->base);
        f8_store(target + k * LANES, f8_max(f8_neg(offset), zero));
        f8_store(weight + k * LANES, t->sum_w);
    }
    s->dmin = common_step(target, weight, s->tiles * LANES, s->levels);
}

/* Every block takes the best of some sc around its own and, for each, some m
 * around the one that suits that sc. */
static inline void super_choose(struct super *s, const struct moments *fit,
                                const struct affine_search *how)
{
    const f8 zero = f8_set1(0.0f), levels = f8_set1(s->levels);
    const f8 d = f8_set1(s->d), per_dmin = inverse_of(f8_set1(s->dmin));
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        const f8 middle = s->sc[k];
        s->m[k] = zero;
        s->error[k] = f8_set1(INFINITY);
        for (int i = -how->sc_reach; i <= how->sc_reach; i++) {
            const f8 sc = f8_max(f8_min(f8_add(middle, f8_set1((float)i)), levels), zero);
            const f8 offset = f8_add(moments_offset(t, &fit[k], f8_mul(d, sc)), t->base);
            const f8 suits = code_of(f8_mul(f8_neg(offset), per_dmin), levels);
            for (int j = -how->m_reach; j <= how->m_reach; j++) {
                const f8 m = f8_max(f8_min(f8_add(suits, f8_set1((float)j)), levels), zero);
                const f8 error = grid_error(t, super_grid(s, k, sc, m));
                const m8 better = f8_lt(error, s->error[k]);
                s->error[k] = f8_select(better, error, s->error[k]);
                s->sc[k] = f8_select(better, sc, s->sc[k]);
                s->m[k] = f8_select(better, m, s->m[k]);
            }
        }
    }
}

/* Adds to lane[0] and lane[1] what d and dmin are from their best, all codes and
 * all sc and m as they are: weighted least squares in two unknowns. */
static inline void super_correct(const struct super *s, float lane[LANES])
{
    f8 aa = f8_set1(0.0f), ab = aa, bb = aa, ae = aa, be = aa;
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        const f8 sc = s->sc[k], m = f8_neg(s->m[k]);
        const struct grid g = super_grid(s, k, sc, s->m[k]);
        const struct moments r = grid_moments(t, g);
        const f8 e = f8_sub(f8_sub(t->sum_u, f8_mul(g.scale, r.q)), f8_mul(g.offset, t->sum_w));
        const f8 qe = f8_sub(f8_sub(r.qu, f8_mul(g.scale, r.qq)), f8_mul(g.offset, r.q));
        aa = f8_add(aa, f8_mul(f8_mul(sc, sc), r.qq));
        ab = f8_add(ab, f8_mul(f8_mul(sc, m), r.q));
        bb = f8_add(bb, f8_mul(f8_mul(m, m), t->sum_w));
        ae = f8_add(ae, f8_mul(sc, qe));
        be = f8_add(be, f8_mul(m, e));
    }
    const float a = lanes_sum(aa), b = lanes_sum(ab), c = lanes_sum(bb);
    const float x = lanes_sum(ae), y = lanes_sum(be), det = a * c - b * b;
    if (det > 1e-6f * a * c) {
        lane[0] += (c * x - b * y) / det;
        lane[1] += (a * y - b * x) / det;
    } else if (a > 0.0f) {
        lane[0] += x / a;
    }
}

/* Fits d and dmin again; kept if the error falls, fp16 and new codes included. */
static inline void super_refit(struct super *s)
{
    const float d = s->d, dmin = s->dmin;
    f8 before = f8_set1(0.0f), after = before;
    float lane[LANES] = {d, dmin};
    super_correct(s, lane);
    f8_store(lane, to_half(f8_load(lane)));
    s->d = lane[0];
    s->dmin = lane[1];
    for (int k = 0; k < s->tiles; k++) {
        const struct grid g = super_grid(s, k, s->sc[k], s->m[k]);
        after = f8_add(after, grid_error(&s->tile[k], g));
        before = f8_add(before, s->error[k]);
    }
    if (!(lanes_sum(after) < lanes_sum(before))) {
        s->d = d;
        s->dmin = dmin;
    }
}

static inline void super_fit(struct super *s, const struct affine_search *how)
{
    struct moments fit[TILES_MAX];
    super_start(s, fit, how);
    super_choose(s, fit, how);
    super_refit(s);
}

/* The codes of tile k, blocks as rows (grid_codes). */
static inline void super_codes(f8 *codes, const struct super *s, int k)
{
    grid_codes(codes, &s->tile[k], super_grid(s, k, s->sc[k], s->m[k]), true);
}

#endif
