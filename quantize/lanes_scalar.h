/* lanes_scalar.h - eight floats side by side, in plain C: the reference.
 *
 * An encoder is written once against these names (in a *_impl.h) and built
 * twice: with this header, and with lanes_avx2.h.  A lane is one block; sums run
 * along a block in the order of its weights, so both builds do the same IEEE
 * operations in the same order and give the same bytes.  No operation here fuses
 * or reassociates; f8_min and f8_max are `a < b ? a : b` and `a > b ? a : b`.
 */
#ifndef QUANTIZE_LANES_SCALAR_H
#define QUANTIZE_LANES_SCALAR_H

#include "core/half.h"

#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 8 };

typedef struct {
    float v[LANES];
} f8;

typedef struct { /* all ones or all zeros a lane */
    uint32_t v[LANES];
} m8;

#define LANES_EACH(expr)                                                                           \
    do {                                                                                           \
        for (int l = 0; l < LANES; l++)                                                            \
            r.v[l] = (expr);                                                                       \
    } while (0)

static inline f8 f8_set1(float x)
{
    f8 r;
    LANES_EACH(x);
    return r;
}
static inline f8 f8_load(const float *p)
{
    f8 r;
    LANES_EACH(p[l]);
    return r;
}
static inline void f8_store(float *p, f8 a)
{
    for (int l = 0; l < LANES; l++)
        p[l] = a.v[l];
}
static inline f8 f8_add(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] + b.v[l]);
    return r;
}
static inline f8 f8_sub(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] - b.v[l]);
    return r;
}
static inline f8 f8_mul(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] * b.v[l]);
    return r;
}
static inline f8 f8_div(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] / b.v[l]);
    return r;
}
static inline f8 f8_sqrt(f8 a)
{
    f8 r;
    LANES_EACH(sqrtf(a.v[l]));
    return r;
}
static inline f8 f8_min(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] < b.v[l] ? a.v[l] : b.v[l]);
    return r;
}
static inline f8 f8_max(f8 a, f8 b)
{
    f8 r;
    LANES_EACH(a.v[l] > b.v[l] ? a.v[l] : b.v[l]);
    return r;
}
static inline f8 f8_abs(f8 a)
{
    f8 r;
    LANES_EACH(fabsf(a.v[l]));
    return r;
}
static inline f8 f8_neg(f8 a)
{
    f8 r;
    LANES_EACH(-a.v[l]);
    return r;
}

/* To the nearest whole number, halves to even, for |a| < 2^22. */
static inline f8 f8_round(f8 a)
{
    f8 r;
    LANES_EACH((a.v[l] + 12582912.0f) - 12582912.0f);
    return r;
}

/* Through fp16 and back. */
static inline f8 f8_through_half(f8 a)
{
    f8 r;
    LANES_EACH(half_to_float(half_from_float(a.v[l])));
    return r;
}

static inline m8 f8_lt(f8 a, f8 b)
{
    m8 r;
    LANES_EACH(a.v[l] < b.v[l] ? ~0u : 0u);
    return r;
}
static inline m8 f8_le(f8 a, f8 b)
{
    m8 r;
    LANES_EACH(a.v[l] <= b.v[l] ? ~0u : 0u);
    return r;
}
static inline m8 f8_eq(f8 a, f8 b)
{
    m8 r;
    LANES_EACH(a.v[l] == b.v[l] ? ~0u : 0u);
    return r;
}
static inline m8 m8_and(m8 a, m8 b)
{
    m8 r;
    LANES_EACH(a.v[l] & b.v[l]);
    return r;
}
static inline m8 m8_or(m8 a, m8 b)
{
    m8 r;
    LANES_EACH(a.v[l] | b.v[l]);
    return r;
}
static inline m8 m8_andnot(m8 a, m8 b)
{
    m8 r;
    LANES_EACH(~a.v[l] & b.v[l]);
    return r;
}

static inline bool m8_any(m8 a)
{
    uint32_t any = 0;
    for (int l = 0; l < LANES; l++)
        any |= a.v[l];
    return any != 0;
}

/* a where the mask is set, else b. */
static inline f8 f8_select(m8 m, f8 a, f8 b)
{
    f8 r;
    LANES_EACH(m.v[l] ? a.v[l] : b.v[l]);
    return r;
}

/* Rows to columns: afterwards row[i] lane l is what row[l] lane i was. */
static inline void f8_transpose(f8 row[LANES])
{
    for (int i = 0; i < LANES; i++)
        for (int j = i + 1; j < LANES; j++) {
            const float t = row[i].v[j];
            row[i].v[j] = row[j].v[i];
            row[j].v[i] = t;
        }
}

/* The power of two at or below |a|; 0 for subnormals. */
static inline f8 f8_power(f8 a)
{
    f8 r;
    LANES_EACH(float_from_bits(float_bits(a.v[l]) & 0x7f800000u));
    return r;
}

/* Through bf16 and back; finite values. */
static inline f8 f8_through_bf16(f8 a)
{
    f8 r;
    LANES_EACH(bf16_to_float(bf16_from_float(a.v[l])));
    return r;
}

/* As fp16. */
static inline void f8_store_half(uint16_t out[LANES], f8 a)
{
    for (int l = 0; l < LANES; l++)
        out[l] = half_from_float(a.v[l]);
}

/* Whole numbers 0..255 of four vectors, gathered by lane: out[l] = a, b, c, d of lane l. */
static inline void f8_store_bytes(uint8_t out[LANES][4], f8 a, f8 b, f8 c, f8 d)
{
    for (int l = 0; l < LANES; l++) {
        out[l][0] = (uint8_t)a.v[l];
        out[l][1] = (uint8_t)b.v[l];
        out[l][2] = (uint8_t)c.v[l];
        out[l][3] = (uint8_t)d.v[l];
    }
}

/* Whole numbers 0..255 in order. */
static inline void f8_store_uint8(uint8_t out[LANES], f8 a)
{
    for (int l = 0; l < LANES; l++)
        out[l] = (uint8_t)a.v[l];
}

static inline bool m8_all(m8 a)
{
    uint32_t all = ~0u;
    for (int l = 0; l < LANES; l++)
        all &= a.v[l];
    return all != 0;
}

/* The largest lane. */
static inline float f8_largest(f8 a)
{
    float most = a.v[0];
    for (int l = 1; l < LANES; l++)
        most = a.v[l] > most ? a.v[l] : most;
    return most;
}

/* Indices into tables of sixteen. */
typedef struct {
    int32_t v[LANES];
} i8;

/* How many of fifteen rising limits lie below a. */
static inline i8 f8_rank16(f8 a, const float limit[15])
{
    i8 r;
    for (int l = 0; l < LANES; l++) {
        r.v[l] = 0;
        for (int i = 0; i < 15; i++)
            r.v[l] += a.v[l] > limit[i];
    }
    return r;
}

static inline f8 f8_pick16(const float table[16], i8 index)
{
    f8 r;
    LANES_EACH(table[index.v[l]]);
    return r;
}

/* Eight numbers from each of eight rows, `stride` apart, to columns: lane l of out[i] is
 * p[l * stride + i]. */
static inline void f8_load_columns(f8 out[LANES], const float *p, size_t stride)
{
    for (size_t i = 0; i < LANES; i++)
        for (size_t l = 0; l < LANES; l++)
            out[i].v[l] = p[l * stride + i];
}

/* f8_round for 0 <= a < 2^22: one instruction where there is one for it. */
static inline f8 f8_round_positive(f8 a) { return f8_round(a); }

/* The lanes added in order, the first to zero. */
static inline float f8_sum(f8 a)
{
    float sum = 0.0f;
    for (int l = 0; l < LANES; l++)
        sum += a.v[l];
    return sum;
}

#undef LANES_EACH

#endif
