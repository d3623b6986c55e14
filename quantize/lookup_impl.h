/* lookup_impl.h - encoders of the types whose codes stand for values in a table:
 * IQ4_NL, IQ4_XS, MXFP4.  Include a lanes header first.
 *
 * As in symmetric_search_impl.h the gain decides, sum w x v squared over sum w v^2, only
 * that the code of a weight is the nearest of sixteen values v that are not evenly spaced.
 */
#ifndef QUANTIZE_LOOKUP_IMPL_H
#define QUANTIZE_LOOKUP_IMPL_H

#include "quantize/pack.h"
#include "quantize/row_tile.h"
#include "quantize/symmetric_search_impl.h"
#include "quantize/value_table.h"

#include <math.h>
#include <stdbool.h>

enum { TILE = LANES * BLOCK_ELEMS }; /* weights of eight blocks */

/* The values in rising order, the limits between them, and the codes they have in a file. */
struct ladder {
    float limit[15], value[16], code[16];
};

static inline struct ladder ladder_of(const int8_t value[16], const uint8_t order[16], int count)
{
    struct ladder g;
    for (int i = 0; i < 16; i++) {
        g.code[i] = order[i];
        g.value[i] = value[order[i]];
    }
    for (int i = 0; i < 15; i++)
        g.limit[i] = i + 1 < count ? 0.5f * (g.value[i] + g.value[i + 1]) : INFINITY;
    return g;
}

static inline struct ladder iq4_ladder(void)
{
    static const uint8_t order[16] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return ladder_of(iq4_values, order, 16);
}

/* Code 8 is minus zero: left out. */
static inline struct ladder mxfp4_ladder(void)
{
    static const uint8_t order[16] = {15, 14, 13, 12, 11, 10, 9, 0, 1, 2, 3, 4, 5, 6, 7, 7};
    return ladder_of(mxfp4_values, order, 15);
}

static inline f8 nearest(const struct ladder *g, f8 scaled)
{
    return f8_pick16(g->value, f8_rank16(scaled, g->limit));
}

/* Eight blocks of a row, fewer at its end: lanes past it are zero. */
struct lookup_tile {
    f8 x[BLOCK_ELEMS];
    f8 importance[BLOCK_ELEMS];
    const f8 *w; /* importance, or NULL */
    size_t blocks;
};

/* together: the blocks are those of one super-block, and share its importance's scale. */
static inline void lookup_load(struct lookup_tile *t, const float *src, const float *importance,
                               size_t left, bool together)
{
    float spare[TILE];
    t->blocks = left < TILE ? left / BLOCK_ELEMS : LANES;
    t->w = NULL;
    load_lanes(t->x, row_tile(spare, TILE, src, left), BLOCK_ELEMS);
    if (!importance)
        return;
    load_lanes(t->importance, row_tile(spare, TILE, importance, left), BLOCK_ELEMS);
    f8 largest = extremum_of(t->importance, BLOCK_ELEMS);
    if (together)
        largest = f8_set1(f8_largest(largest));
    scale_importance(t->importance, BLOCK_ELEMS, largest);
    t->w = t->importance;
}

/* The sums over the nearest values at that scale, given by its inverse. */
static inline struct sums lookup_sums(const struct ladder *g, const struct lookup_tile *t,
                                      f8 inverse)
{
    struct sums s = {f8_set1(0.0f), f8_set1(0.0f)};
    for (int j = 0; j < BLOCK_ELEMS; j++) {
        const f8 v = nearest(g, f8_mul(t->x[j], inverse));
        const f8 wv = t->w ? f8_mul(t->w[j], v) : v;
        s.xq = f8_add(s.xq, f8_mul(t->x[j], wv));
        s.qq = f8_add(s.qq, f8_mul(v, wv));
    }
    return s;
}

/* What a scale takes off the error, with the values that the sums are over. */
static inline f8 reduction_by(f8 scale, struct sums s)
{
    return f8_mul(scale, f8_sub(f8_add(s.xq, s.xq), f8_mul(scale, s.qq)));
}

/* The codes at that scale: of block l in nibbles[l], as they lie in the file. */
static inline void lookup_codes(uint8_t nibbles[LANES][16], const struct ladder *g, const f8 *x,
                                f8 inverse)
{
    f8 code[BLOCK_ELEMS];
    for (int j = 0; j < BLOCK_ELEMS; j++)
        code[j] = f8_pick16(g->code, f8_rank16(f8_mul(x[j], inverse), g->limit));
    for (int j = 0; j < 16; j++)
        code[j] = f8_add(code[j], f8_mul(code[j + 16], f8_set1(16.0f)));
    for (int j = 0; j < 16; j += LANES) {
        f8_transpose(code + j);
        for (int l = 0; l < LANES; l++)
            f8_store_uint8(nibbles[l] + j, code[j + l]);
    }
}

/* Where on the ladder the extremum may lie: at either end, a little inside, or past it, where
 * it is cut to the end and the rest is finer.  That pays most where weights differ in
 * importance, so the last starts are for them alone. */
#define BOTH_ENDS(t) -127.0f * (t), 113.0f * (t)
static const float iq4_starts[] = {
    BOTH_ENDS(0.85f), BOTH_ENDS(0.9f), BOTH_ENDS(0.95f), BOTH_ENDS(1.0f), BOTH_ENDS(1.05f),
    BOTH_ENDS(1.1f),  BOTH_ENDS(1.2f), BOTH_ENDS(1.35f), BOTH_ENDS(1.6f), BOTH_ENDS(2.0f),
};
enum { IQ4_STARTS = sizeof iq4_starts / sizeof *iq4_starts, IQ4_PLAIN_STARTS = 12, IQ4_REFITS = 2 };

static inline struct fit iq4_fit(const struct ladder *g, const struct lookup_tile *t)
{
    const f8 zero = f8_set1(0.0f);
    const f8 unit = inverse_of(extremum_of(t->x, BLOCK_ELEMS));
    struct fit best = {f8_set1(-1.0f), zero, zero};
    const int starts = t->w ? IQ4_STARTS : IQ4_PLAIN_STARTS;
    for (int i = 0; i < starts; i++)
        fit_try(&best, lookup_sums(g, t, f8_mul(unit, f8_set1(iq4_starts[i]))));
    for (int i = 0; i < IQ4_REFITS; i++)
        fit_try(&best, lookup_sums(g, t, inverse_of(best.scale)));
    return best;
}

static void encode_iq4_nl(void *restrict dst, const float *restrict src,
                          const float *restrict importance, size_t n)
{
    const struct ladder g = iq4_ladder();
    struct block_iq4_nl *block = dst;
    for (size_t i = 0; i < n; i += TILE) {
        struct lookup_tile t;
        lookup_load(&t, src + i, importance ? importance + i : NULL, n - i, false);
        limit_weights(t.x, BLOCK_ELEMS);
        const f8 scale = half_scale(iq4_fit(&g, &t).scale);
        uint16_t d[LANES];
        uint8_t qs[LANES][16];
        f8_store_half(d, scale);
        lookup_codes(qs, &g, t.x, inverse_of(scale));
        for (size_t b = 0; b < t.blocks; b++, block++) {
            block->d = d[b];
            memcpy(block->qs, qs[b], sizeof block->qs);
        }
    }
}

/* IQ4_XS: the eight lanes are the blocks of one super-block.  Scale of block l = d * level l,
 * a whole number in -32 .. 31. */

struct levels {
    float d;      /* as fp16 holds it */
    f8 level;     /* a block's */
    f8 reduction; /* of its error, by this scale */
    struct sums sums;
};

static inline f8 level_clamp(f8 a)
{
    return f8_clamp(f8_round(a), f8_set1(-32.0f), f8_set1(31.0f));
}

/* The d whose multiples are nearest to the blocks' own scales, where a miss of the scale by e
 * costs curvature * e^2.  The lanes here are eight candidates: the largest scale is level -32,
 * -31 ... -25. */
static inline float levels_start(const struct fit *own)
{
    float scale[LANES], curvature[LANES], largest = 0.0f;
    f8_store(scale, own->scale);
    f8_store(curvature, own->curvature);
    for (int l = 0; l < LANES; l++)
        largest = fabsf(scale[l]) > fabsf(largest) ? scale[l] : largest;
    static const float at[LANES] = {-32, -31, -30, -29, -28, -27, -26, -25};
    const f8 d = half_scale(f8_div(f8_set1(largest), f8_load(at))), unit = inverse_of(d);
    f8 cost = f8_set1(0.0f);
    for (int l = 0; l < LANES; l++) {
        const f8 s = f8_set1(scale[l]);
        const f8 miss = f8_sub(s, f8_mul(d, level_clamp(f8_mul(s, unit))));
        cost = f8_add(cost, f8_mul(f8_mul(miss, miss), f8_set1(curvature[l])));
    }
    float costs[LANES], ds[LANES];
    f8_store(costs, cost);
    f8_store(ds, d);
    int best = 0;
    for (int l = 1; l < LANES; l++)
        best = costs[l] < costs[best] ? l : best;
    return ds[best];
}

/* Takes those levels for the blocks where they reduce the error more. */
static inline void levels_try(struct levels *best, const struct ladder *g,
                              const struct lookup_tile *t, f8 level)
{
    const f8 scale = f8_mul(f8_set1(best->d), level);
    const struct sums s = lookup_sums(g, t, inverse_of(scale));
    const f8 reduction = reduction_by(scale, s);
    const m8 better = f8_lt(best->reduction, reduction);
    best->level = f8_select(better, level, best->level);
    best->reduction = f8_select(better, reduction, best->reduction);
    best->sums.xq = f8_select(better, s.xq, best->sums.xq);
    best->sums.qq = f8_select(better, s.qq, best->sums.qq);
}

static inline struct levels levels_at(const struct ladder *g, const struct lookup_tile *t, float d,
                                      f8 level, bool neighbours)
{
    const f8 zero = f8_set1(0.0f), one = f8_set1(1.0f);
    struct levels at = {d, zero, zero, {zero, zero}};
    levels_try(&at, g, t, level);
    if (neighbours) {
        levels_try(&at, g, t, level_clamp(f8_sub(level, one)));
        levels_try(&at, g, t, level_clamp(f8_add(level, one)));
    }
    return at;
}

/* The levels around the blocks' own scales; then d refitted to the codes. */
static inline struct levels levels_fit(const struct ladder *g, const struct lookup_tile *t)
{
    const struct fit own = iq4_fit(g, t);
    const float start = levels_start(&own);
    const f8 level = level_clamp(f8_mul(own.scale, inverse_of(f8_set1(start))));
    const struct levels first = levels_at(g, t, start, level, true);
    const float xq = f8_sum(f8_mul(first.level, first.sums.xq));
    const float qq = f8_sum(f8_mul(f8_mul(first.level, first.level), first.sums.qq));
    if (!(qq > 0.0f))
        return first;
    float d[LANES];
    f8_store(d, half_scale(f8_set1(xq / qq)));
    const struct levels again = levels_at(g, t, d[0], first.level, false);
    return f8_sum(again.reduction) > f8_sum(first.reduction) ? again : first;
}

static void encode_iq4_xs(void *restrict dst, const float *restrict src,
                          const float *restrict importance, size_t n)
{
    const struct ladder g = iq4_ladder();
    struct block_iq4_xs *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        struct lookup_tile t;
        lookup_load(&t, src + i, importance ? importance + i : NULL, n - i, true);
        limit_weights(t.x, BLOCK_ELEMS);
        const struct levels fit = levels_fit(&g, &t);
        uint8_t qs[LANES][16];
        float level[LANES];
        int8_t whole[LANES];
        lookup_codes(qs, &g, t.x, inverse_of(f8_mul(f8_set1(fit.d), fit.level)));
        f8_store(level, fit.level);
        for (int l = 0; l < LANES; l++)
            whole[l] = (int8_t)level[l];
        block->d = half_from_float(fit.d);
        memcpy(block->qs, qs, sizeof block->qs);
        pack_scales_iq4(block, whole);
    }
}

/* MXFP4: the scale is a power of two, stored as its exponent, and reaches as far as float
 * does: blocks are brought to an extremum in 1 .. 2 first, which is exact. */

/* Moves of the exponent from where the extremum, over the scale, is in 4 .. 8 (6 is the top):
 * one up; down, where a large weight of no importance is cut. */
static const float mxfp4_moves[] = {0, 1, -1, -2, -3};
enum { MXFP4_MOVES = 5, MXFP4_PLAIN_MOVES = 3 };

/* Under 2^127, so that no value of the block is past the floats. */
#define MXFP4_LIMIT 0x1.fffffep126f

/* Brings eight blocks to 1 .. 2, and gives the powers of two they were divided by; 0 for a
 * block of zeros (or of numbers so small that the least scale could hardly tell them apart). */
static inline f8 mxfp4_normalise(f8 x[BLOCK_ELEMS])
{
    const f8 limit = f8_set1(MXFP4_LIMIT);
    for (int j = 0; j < BLOCK_ELEMS; j++)
        x[j] = f8_clamp(x[j], f8_neg(limit), limit);
    const f8 power = f8_power(extremum_of(x, BLOCK_ELEMS));
    const m8 tiny = f8_lt(power, f8_set1(0x1p-118f));
    const f8 unit = f8_select(tiny, f8_set1(0.0f), f8_div(f8_set1(1.0f), power));
    for (int j = 0; j < BLOCK_ELEMS; j++)
        x[j] = f8_mul(x[j], unit);
    return f8_select(tiny, f8_set1(0.0f), power);
}

/* The best move of each block, and in *scale the scale it leads to for values stored doubled. */
static inline f8 mxfp4_fit(const struct ladder *g, const struct lookup_tile *t, f8 *scale)
{
    f8 best = f8_set1(-INFINITY), move = f8_set1(0.0f);
    const int moves = t->w ? MXFP4_MOVES : MXFP4_PLAIN_MOVES;
    for (int i = 0; i < moves; i++) {
        const f8 s = f8_set1(ldexpf(0.125f, (int)mxfp4_moves[i]));
        const f8 reduction = reduction_by(s, lookup_sums(g, t, f8_div(f8_set1(1.0f), s)));
        const m8 better = f8_lt(best, reduction);
        best = f8_select(better, reduction, best);
        move = f8_select(better, f8_set1(mxfp4_moves[i]), move);
        *scale = f8_select(better, s, *scale);
    }
    return move;
}

static void encode_mxfp4(void *restrict dst, const float *restrict src,
                         const float *restrict importance, size_t n)
{
    const struct ladder g = mxfp4_ladder();
    struct block_mxfp4 *block = dst;
    for (size_t i = 0; i < n; i += TILE) {
        struct lookup_tile t;
        lookup_load(&t, src + i, importance ? importance + i : NULL, n - i, false);
        float power[LANES], move[LANES];
        uint8_t qs[LANES][16];
        f8_store(power, mxfp4_normalise(t.x));
        f8 scale = f8_set1(1.0f);
        f8_store(move, mxfp4_fit(&g, &t, &scale));
        lookup_codes(qs, &g, t.x, f8_div(f8_set1(1.0f), scale));
        for (size_t b = 0; b < t.blocks; b++, block++) {
            block->e = power[b] > 0.0f ? (uint8_t)(ilogbf(power[b]) + 125 + (int)move[b]) : 0;
            memcpy(block->qs, qs[b], sizeof block->qs);
        }
    }
}

#endif
