/* pairs_impl.h - sixteen whole numbers of 16 bits, two a lane, in plain C: the reference.
 *
 * Include a lanes header first, and pairs_avx2.h in place of this one for the same in AVX2.
 * Whole numbers add up to the same in any order, so the order of the two in a lane is left to
 * each build.
 */
#ifndef QUANTIZE_PAIRS_H
#define QUANTIZE_PAIRS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { PAIR_MAX = 32767 };

typedef struct {
    int16_t v[LANES][2];
} p16;

typedef struct { /* sums of products, one a lane */
    int32_t v[LANES];
} p32;

#define PAIRS_EACH(expr)                                                                           \
    do {                                                                                           \
        for (int l = 0; l < LANES; l++)                                                            \
            for (int i = 0; i < 2; i++)                                                            \
                r.v[l][i] = (int16_t)(expr);                                                       \
    } while (0)

/* To the nearest, halves to even, limited to -half .. half - 1. */
static inline int pair_code(float a, float half)
{
    const float high = half - 1.0f, low = -half, top = a < high ? a : high;
    const float limited = top > low ? top : low;
    return (int)((limited + 12582912.0f) - 12582912.0f);
}

/* Sixteen numbers from p times unit, to the nearest whole ones; none is past PAIR_MAX. */
static inline p16 p16_round(const float *p, f8 unit)
{
    p16 r;
    float by[LANES];
    f8_store(by, unit);
    PAIRS_EACH(pair_code(p[LANES * i + l] * by[l], PAIR_MAX + 1));
    return r;
}

/* Rows of pairs to columns: lane l of column[i] is what lane i of row[l] is. */
static inline void p16_columns(p16 column[LANES], const p16 row[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int l = 0; l < LANES; l++) {
            column[i].v[l][0] = row[l].v[i][0];
            column[i].v[l][1] = row[l].v[i][1];
        }
}

/* Lane l is the least, the largest of row[l]. */
static inline f8 f8_fold_min(f8 row[LANES])
{
    f8_transpose(row);
    for (int i = 1; i < LANES; i++)
        row[0] = f8_min(row[0], row[i]);
    return row[0];
}

static inline f8 f8_fold_max(f8 row[LANES])
{
    f8_transpose(row);
    for (int i = 1; i < LANES; i++)
        row[0] = f8_max(row[0], row[i]);
    return row[0];
}

static inline p16 p16_set1(int a)
{
    p16 r;
    PAIRS_EACH(a);
    return r;
}

/* The number of each lane, to the nearest whole one, twice; up to PAIR_MAX either way. */
static inline p16 p16_from(f8 a)
{
    p16 r;
    float v[LANES];
    f8_store(v, a);
    PAIRS_EACH(pair_code(v[l], PAIR_MAX + 1));
    return r;
}

/* a b / 2^15 to the nearest, halves up; not both -2^15. */
static inline p16 p16_mul(p16 a, p16 b)
{
    p16 r;
    PAIRS_EACH((a.v[l][i] * b.v[l][i] + (1 << 14)) >> 15);
    return r;
}

static inline p16 p16_clamp(p16 a, p16 low, p16 high)
{
    p16 r;
    PAIRS_EACH(a.v[l][i] < low.v[l][i]    ? low.v[l][i]
               : a.v[l][i] > high.v[l][i] ? high.v[l][i]
                                          : a.v[l][i]);
    return r;
}

static inline p32 p32_zero(void)
{
    const p32 r = {{0}};
    return r;
}

/* sum + a . b in each lane. */
static inline p32 p16_dot(p32 sum, p16 a, p16 b)
{
    for (int l = 0; l < LANES; l++)
        sum.v[l] += a.v[l][0] * b.v[l][0] + a.v[l][1] * b.v[l][1];
    return sum;
}

static inline f8 f8_from_p32(p32 a)
{
    float v[LANES];
    for (int l = 0; l < LANES; l++)
        v[l] = (float)a.v[l];
    return f8_load(v);
}

/* Lanes whose two numbers both lie within `far` of multiples of `of`, a power of two. */
static inline m8 p16_near_multiples(p16 a, int of, int far)
{
    float past[LANES] = {0};
    for (int l = 0; l < LANES; l++)
        for (int i = 0; i < 2; i++)
            past[l] += ((a.v[l][i] + far) & (of - 1)) <= 2 * far ? 0.0f : 1.0f;
    return f8_eq(f8_load(past), f8_set1(0.0f));
}

/* Four vectors to the nearest whole numbers, halves to even, limited to -half .. half - 1: one
 * after another. */
static inline void f8_store_codes(int8_t out[4 * LANES], float half, f8 a, f8 b, f8 c, f8 d)
{
    float v[4 * LANES];
    f8_store(v, a);
    f8_store(v + LANES, b);
    f8_store(v + 2 * LANES, c);
    f8_store(v + 3 * LANES, d);
    for (int i = 0; i < 4 * LANES; i++)
        out[i] = (int8_t)pair_code(v[i], half);
}

#undef PAIRS_EACH

#endif
