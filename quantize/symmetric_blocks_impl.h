/* symmetric_blocks_impl.h - the best scale for eight blocks of 16 or 32 weights.
 *
 * Include a lanes header first, and its pairs header where it has one.  With importance the
 * weights are floats, as in symmetric_search_impl.h.  Without, the search sees them as whole
 * numbers of 16 bits, a code being PARTS of them: fine enough to tell which scale is best, and
 * twice as many to an instruction where encoders spend their time.
 */
#ifndef QUANTIZE_SYMMETRIC_BLOCKS_IMPL_H
#define QUANTIZE_SYMMETRIC_BLOCKS_IMPL_H

#include "core/inline.h"
#include "quantize/pairs_impl.h"
#include "quantize/symmetric_search_impl.h"

/* Eight blocks as a search sees them. */
struct blocks {
    const f8 *x, *w; /* with importance; else NULL, and: */
    const p16 *pair; /* x / step */
    f8 step, extremum;
};

enum {
    PARTS = 128, /* of a code; the extremum is PARTS * half - 1 */
    FEW = 2      /* scales whose codes are summed side by side: none waits for another */
};

INLINE void weighted_sums(struct sums *s, const struct blocks *b, int n, float half, f8 inverse)
{
    s->xq = s->qq = f8_set1(0.0f);
    for (int j = 0; j < n; j++) {
        const f8 q = code_of(f8_mul(b->x[j], inverse), half), wq = f8_mul(b->w[j], q);
        s->xq = f8_add(s->xq, f8_mul(b->x[j], wq));
        s->qq = f8_add(s->qq, f8_mul(q, wq));
    }
}

INLINE void pair_sums(struct sums *s, const struct blocks *b, int n, float half, const f8 *inverse,
                      int count)
{
    const f8 unit = f8_mul(b->step, f8_set1(32768.0f));
    const p16 low = p16_set1((int)-half), high = p16_set1((int)half - 1);
    p16 by[FEW];
    p32 xq[FEW], qq[FEW];
    UNROLL
    for (int i = 0; i < count; i++) {
        by[i] = p16_from(f8_mul(inverse[i], unit));
        xq[i] = qq[i] = p32_zero();
    }
    for (int j = 0; j < n / 2; j++) {
        const p16 x = b->pair[j];
        UNROLL
        for (int i = 0; i < count; i++) {
            const p16 q = p16_clamp(p16_mul(x, by[i]), low, high);
            xq[i] = p16_dot(xq[i], x, q);
            qq[i] = p16_dot(qq[i], q, q);
        }
    }
    UNROLL
    for (int i = 0; i < count; i++) {
        s[i].xq = f8_mul(f8_from_p32(xq[i]), b->step);
        s[i].qq = f8_from_p32(qq[i]);
    }
}

/* Up to FEW of them; inverses past `count` are zero. */
INLINE void sums_at(struct sums *s, const struct blocks *b, int n, float half, const f8 *inverse,
                    int count)
{
    if (b->w)
        for (int i = 0; i < count; i++)
            weighted_sums(&s[i], b, n, half, inverse[i]);
    else if (count == 1)
        pair_sums(s, b, n, half, inverse, 1);
    else
        pair_sums(s, b, n, half, inverse, FEW);
}

/* The best of those starts, and with importance of the codes nearest to the scale that this one
 * has, too. */
INLINE struct fit fit_blocks(const struct blocks *b, int n, float half, const struct starts *starts)
{
    const f8 zero = f8_set1(0.0f), unit = inverse_of(b->extremum);
    struct fit best = {f8_set1(-1.0f), zero, zero};
    struct sums s[FEW];
    f8 inverse[FEW];
    for (int first = 0, count; first < starts->count; first += count) {
        count = starts->count - first < FEW ? starts->count - first : FEW;
        for (int i = 0; i < FEW; i++)
            inverse[i] = f8_mul(unit, f8_set1(starts->at[first + i]));
        sums_at(s, b, n, half, inverse, count);
        for (int i = 0; i < count; i++)
            fit_try(&best, s[i]);
    }
    if (b->w) {
        inverse[0] = inverse_of(best.scale);
        sums_at(s, b, n, half, inverse, 1);
        fit_try(&best, s[0]);
    }
    return best;
}

/* The least and the largest of eight blocks of n weights, one after another. */
INLINE void range_of(const float *src, int n, f8 *least, f8 *most)
{
    f8 low[LANES], high[LANES];
    UNROLL
    for (int l = 0; l < LANES; l++) {
        low[l] = high[l] = f8_load(src + l * n);
        UNROLL
        for (int j = LANES; j < n; j += LANES) {
            low[l] = f8_min(low[l], f8_load(src + l * n + j));
            high[l] = f8_max(high[l], f8_load(src + l * n + j));
        }
    }
    *least = f8_fold_min(low);
    *most = f8_fold_max(high);
}

/* Eight blocks of n weights, one after another, to pairs: 16 or 32.  A block with weights that
 * are too large is searched as if it were smaller. */
INLINE void pair_blocks(struct blocks *b, p16 *pair, const float *src, int n, float half)
{
    const f8 most = f8_set1(WEIGHT_MAX), parts = f8_set1(PARTS * half - 1.0f);
    float unit[LANES];
    f8 low, high;
    range_of(src, n, &low, &high);
    const f8 extremum = f8_select(f8_lt(f8_neg(low), high), high, low);
    f8_store(unit, f8_select(f8_lt(f8_abs(extremum), f8_set1(NUMBER_MIN)), f8_set1(0.0f),
                             f8_div(parts, extremum)));
    b->extremum = f8_clamp(extremum, f8_neg(most), most);
    b->step = f8_div(b->extremum, parts);
    b->pair = pair;
    b->x = b->w = NULL;
    for (int j = 0; j < n; j += 2 * LANES) {
        p16 row[LANES];
        UNROLL
        for (int l = 0; l < LANES; l++)
            row[l] = p16_round(src + l * n + j, f8_set1(unit[l]));
        p16_columns(pair + j / 2, row);
    }
}

/* The same with importance, as floats. */
INLINE void weighted_blocks(struct blocks *b, const f8 *x, const f8 *w, int n)
{
    b->x = x;
    b->w = w;
    b->extremum = extremum_of(x, n);
}

#endif
