/* symmetric_k_impl.h - encoders of Q3_K and Q6_K, eight super-blocks at a time.
 *
 * Include a lanes header first, and its pairs header where it has one.  A super-block is 16 blocks
 * of 16 weights, each d * sc * q with a whole sc.  First every block finds the scale it would like,
 * blocks being lanes; then the same search, super-blocks being lanes, finds the d whose multiples
 * are nearest to those scales, each weighted by what missing it costs.  Then every block chooses a
 * whole number, by the error that the codes rounded anew leave: for six-bit codes among all that
 * put the extremum near a level, which matters more than the first scale; then among the
 * neighbours.  d is refitted to all codes after each choice and rounded to fp16 before it is used,
 * so that a choice among the present one and its neighbours never raises the error that the search
 * sees.
 */
#ifndef QUANTIZE_SYMMETRIC_K_IMPL_H
#define QUANTIZE_SYMMETRIC_K_IMPL_H

#include "quantize/pack.h"
#include "quantize/symmetric_blocks_impl.h"

#include <stdbool.h>

enum {
    K_BLOCKS = 16, /* blocks of a super-block */
    K_ELEMS = 16,  /* weights of a block */
    K_HALVES = K_BLOCKS / LANES,
    K_HALF_ELEMS = SUPER_ELEMS / K_HALVES
};
static_assert(K_BLOCKS * K_ELEMS == SUPER_ELEMS, "a super-block is 16 x 16");

struct k_shape {
    float half;                    /* codes -half .. half - 1 */
    float scale_half;              /* whole scales -scale_half .. scale_half - 1 */
    struct starts blocks;          /* first scales of the blocks, */
    struct starts blocks_weighted; /* and with importance */
    struct starts supers;          /* the d nearest to those scales */
    struct starts anew;            /* whole scales tried once d is known, whatever came first */
};

/* A whole scale and its codes. */
struct k_choice {
    f8 gain, whole;
    struct sums sums;
};

/* A number for each of 16 blocks of eight super-blocks. */
struct k_table {
    float v[LANES][K_BLOCKS];
};

struct k_tile {
    const float *src; /* the super-blocks, one after another */
    size_t supers;
    bool weighted;
    union { /* without importance, with it */
        p16 pair[LANES][K_HALVES][K_ELEMS / 2];
        struct {
            f8 x[LANES][K_HALVES][K_ELEMS], importance[LANES][K_HALVES][K_ELEMS];
        };
    };
    struct blocks blocks[LANES][K_HALVES];
    struct k_table scale; /* whole numbers */
    float d[LANES];
};

/* Block b of all super-blocks is column[b]. */
static inline void k_columns(f8 column[K_BLOCKS], const struct k_table *t)
{
    for (int b = 0; b < K_BLOCKS; b += LANES) {
        for (int s = 0; s < LANES; s++)
            column[b + s] = f8_load(t->v[s] + b);
        f8_transpose(column + b);
    }
}

static inline void k_rows(struct k_table *t, const f8 column[K_BLOCKS])
{
    for (int b = 0; b < K_BLOCKS; b += LANES) {
        f8 row[LANES];
        for (int s = 0; s < LANES; s++)
            row[s] = column[b + s];
        f8_transpose(row);
        for (int s = 0; s < LANES; s++)
            f8_store(t->v[s] + b, row[s]);
    }
}

/* Importance relative to the largest of the super-block. */
static inline void k_load_weighted(struct k_tile *t, size_t s, const float *importance)
{
    f8 largest = f8_set1(0.0f);
    for (int h = 0; h < K_HALVES; h++) {
        f8 *x = t->x[s][h], *w = t->importance[s][h];
        load_lanes(x, t->src + s * SUPER_ELEMS + (size_t)h * K_HALF_ELEMS, K_ELEMS);
        limit_weights(x, K_ELEMS);
        load_lanes(w, importance + h * K_HALF_ELEMS, K_ELEMS);
        largest = f8_max(largest, extremum_of(w, K_ELEMS));
        weighted_blocks(&t->blocks[s][h], x, w, K_ELEMS);
    }
    for (int h = 0; h < K_HALVES; h++)
        scale_importance(t->importance[s][h], K_ELEMS, f8_set1(f8_largest(largest)));
}

INLINE void k_load(struct k_tile *t, const float *src, const float *importance, size_t supers,
                   float half)
{
    t->src = src;
    t->supers = supers < LANES ? supers : LANES;
    t->weighted = importance != NULL;
    for (size_t s = 0; s < t->supers; s++)
        if (importance)
            k_load_weighted(t, s, importance + s * SUPER_ELEMS);
        else
            for (size_t h = 0; h < K_HALVES; h++)
                pair_blocks(&t->blocks[s][h], t->pair[s][h],
                            src + s * SUPER_ELEMS + h * K_HALF_ELEMS, K_ELEMS, half);
}

/* The scales that the blocks would like, the d nearest to all, and scales as multiples. */
INLINE void k_first_scales(struct k_tile *t, const struct k_shape *shape)
{
    const struct starts *starts = t->weighted ? &shape->blocks_weighted : &shape->blocks;
    struct k_table scales = {0}, curvatures = {0};
    for (size_t s = 0; s < t->supers; s++)
        for (int h = 0; h < K_HALVES; h++) {
            const struct fit fit = fit_blocks(&t->blocks[s][h], K_ELEMS, shape->half, starts);
            f8_store(scales.v[s] + LANES * h, fit.scale);
            f8_store(curvatures.v[s] + LANES * h, fit.curvature);
        }
    f8 scale[K_BLOCKS], curvature[K_BLOCKS];
    k_columns(scale, &scales);
    k_columns(curvature, &curvatures);
    struct blocks all;
    weighted_blocks(&all, scale, curvature, K_BLOCKS);
    const struct fit fit = fit_blocks(&all, K_BLOCKS, shape->scale_half, &shape->supers);
    const f8 d = half_scale(fit.scale), inverse = inverse_of(d);
    for (int b = 0; b < K_BLOCKS; b++)
        scale[b] = code_of(f8_mul(scale[b], inverse), shape->scale_half);
    k_rows(&t->scale, scale);
    f8_store(t->d, d);
}

/* The whole scales to try: those that put the extremum at the starts, or, without starts, the
 * present one and its neighbours.  Returns how many. */
static inline int k_candidates(f8 whole[STARTS_MAX], f8 extremum, f8 d, f8 present,
                               const struct k_shape *shape, const struct starts *starts)
{
    const int count = starts ? starts->count : 3;
    const f8 unit = f8_mul(extremum, inverse_of(d));
    for (int i = 0; i < count; i++) {
        const f8 wanted = starts ? f8_mul(unit, f8_set1(1.0f / starts->at[i]))
                                 : f8_add(present, f8_set1((float)(i - 1)));
        whole[i] = code_of(wanted, shape->scale_half);
    }
    return count;
}

/* What those codes take off the error: 2 scale xq - scale^2 qq. */
static inline void k_try(struct k_choice *best, struct sums s, f8 d, f8 whole)
{
    const f8 scale = f8_mul(d, whole);
    const f8 gain = f8_mul(scale, f8_sub(f8_add(s.xq, s.xq), f8_mul(scale, s.qq)));
    const m8 better = f8_lt(best->gain, gain);
    best->gain = f8_select(better, gain, best->gain);
    best->whole = f8_select(better, whole, best->whole);
    best->sums.xq = f8_select(better, s.xq, best->sums.xq);
    best->sums.qq = f8_select(better, s.qq, best->sums.qq);
}

/* Eight blocks choose the one that is best with d, the codes being the nearest. */
INLINE struct k_choice k_choose(const struct blocks *b, f8 d, f8 present,
                                const struct k_shape *shape, const struct starts *starts)
{
    const f8 zero = f8_set1(0.0f);
    struct k_choice best = {f8_set1(-1.0f), present, {zero, zero}};
    f8 whole[STARTS_MAX], inverse[FEW];
    struct sums sums[FEW];
    const int all = k_candidates(whole, b->extremum, d, present, shape, starts);
    for (int first = 0, count; first < all; first += count) {
        count = all - first < FEW ? all - first : FEW;
        for (int i = 0; i < FEW; i++)
            inverse[i] = i < count ? inverse_of(f8_mul(d, whole[first + i])) : zero;
        sums_at(sums, b, K_ELEMS, shape->half, inverse, count);
        for (int i = 0; i < count; i++)
            k_try(&best, sums[i], d, whole[first + i]);
    }
    return best;
}

/* One round: whole scales, then d for all the codes that they give. */
INLINE void k_refine(struct k_tile *t, const struct k_shape *shape, const struct starts *starts)
{
    struct k_table xqs = {0}, qqs = {0};
    for (size_t s = 0; s < t->supers; s++)
        for (int h = 0; h < K_HALVES; h++) {
            float *at = t->scale.v[s] + LANES * h;
            const struct k_choice best =
                k_choose(&t->blocks[s][h], f8_set1(t->d[s]), f8_load(at), shape, starts);
            const f8 whole = best.whole;
            f8_store(at, whole);
            f8_store(xqs.v[s] + LANES * h, f8_mul(whole, best.sums.xq));
            f8_store(qqs.v[s] + LANES * h, f8_mul(whole, f8_mul(whole, best.sums.qq)));
        }
    f8 xq[K_BLOCKS], qq[K_BLOCKS], sum_xq = f8_set1(0.0f), sum_qq = f8_set1(0.0f);
    k_columns(xq, &xqs);
    k_columns(qq, &qqs);
    for (int b = 0; b < K_BLOCKS; b++) {
        sum_xq = f8_add(sum_xq, xq[b]);
        sum_qq = f8_add(sum_qq, qq[b]);
    }
    const f8 d = half_scale(f8_mul(sum_xq, inverse_of(sum_qq)));
    f8_store(t->d, f8_select(f8_lt(f8_set1(0.0f), sum_qq), d, f8_load(t->d)));
}

INLINE void k_encode(struct k_tile *t, const struct k_shape *shape)
{
    k_first_scales(t, shape);
    if (shape->anew.count)
        k_refine(t, shape, &shape->anew);
    k_refine(t, shape, NULL);
}

/* The codes of super-block s, counted from 0. */
static inline void k_codes(uint8_t codes[SUPER_ELEMS], const struct k_tile *t, size_t s, float half)
{
    const float *x = t->src + s * SUPER_ELEMS;
    float inverse[K_BLOCKS];
    int8_t q[SUPER_ELEMS];
    for (int b = 0; b < K_BLOCKS; b += LANES)
        f8_store(inverse + b, inverse_of(f8_mul(f8_set1(t->d[s]), f8_load(t->scale.v[s] + b))));
    for (int b = 0; b < K_BLOCKS; b += 2, x += 2 * K_ELEMS) {
        const f8 first = f8_set1(inverse[b]), second = f8_set1(inverse[b + 1]);
        f8_store_codes(q + b * K_ELEMS, half, f8_mul(f8_load(x), first),
                       f8_mul(f8_load(x + LANES), first), f8_mul(f8_load(x + 2 * LANES), second),
                       f8_mul(f8_load(x + 3 * LANES), second));
    }
    for (int i = 0; i < SUPER_ELEMS; i++)
        codes[i] = (uint8_t)(q[i] + (int)half);
}

/* Whole scales of super-block s. */
static inline void k_whole(int8_t whole[K_BLOCKS], const struct k_tile *t, size_t s)
{
    for (int b = 0; b < K_BLOCKS; b++)
        whole[b] = (int8_t)t->scale.v[s][b];
}

static inline void encode_q3_k(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    static const struct k_shape shape = {
        .half = 4.0f,
        .scale_half = 32.0f,
        .blocks = {5, {-4.4f, -4.1f, -3.75f, -3.15f, -4.75f}},
        .blocks_weighted = {9, {-4.5f, -4.15f, -3.8f, -3.2f, -4.9f, -5.4f, -2.8f, 4.1f, 5.15f}},
        .supers = {8, {-32.0f, -31.6f, -31.2f, -30.5f, -32.6f, 31.4f, 31.0f, 30.4f}},
    };
    struct block_q3_k *out = dst;
    struct k_tile t;
    uint8_t codes[SUPER_ELEMS];
    for (size_t i = 0; i < n; i += LANES * SUPER_ELEMS) {
        k_load(&t, src + i, importance ? importance + i : NULL, (n - i) / SUPER_ELEMS, shape.half);
        k_encode(&t, &shape);
        for (size_t s = 0; s < t.supers; s++, out++) {
            k_codes(codes, &t, s, shape.half);
            pack_two_bits256(out->qs, codes);
            pack_plane256(out->hmask, codes, 2);
            int8_t whole[K_BLOCKS];
            k_whole(whole, &t, s);
            pack_scales_q3(out->scales, whole);
            out->d = half_from_float(t.d[s]);
        }
    }
}

static inline void encode_q6_k(void *restrict dst, const float *restrict src,
                               const float *restrict importance, size_t n)
{
    static const struct k_shape shape = {
        .half = 32.0f,
        .scale_half = 128.0f,
        .blocks = {1, {-28.0f}},
        .blocks_weighted = {1, {-28.0f}},
        .supers = {2, {-127.0f, -124.0f}},
        .anew = {12,
                 {-32.0f, -31.5f, -31.0f, -30.5f, -30.0f, -29.5f, -29.0f, -28.0f, -27.0f, -26.0f,
                  -25.0f, -24.0f}},
    };
    struct block_q6_k *out = dst;
    struct k_tile t;
    uint8_t codes[SUPER_ELEMS];
    for (size_t i = 0; i < n; i += LANES * SUPER_ELEMS) {
        k_load(&t, src + i, importance ? importance + i : NULL, (n - i) / SUPER_ELEMS, shape.half);
        k_encode(&t, &shape);
        for (size_t s = 0; s < t.supers; s++, out++) {
            k_codes(codes, &t, s, shape.half);
            pack_six_bits256(out, codes);
            k_whole(out->scales, &t, s);
            out->d = half_from_float(t.d[s]);
        }
    }
}

#endif
