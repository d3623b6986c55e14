/* gptq_tile_impl.h - rows side by side: a lane is a row, a column of LANES rows is one vector.
 *
 * Include a lanes header first.  A tile is GPTQ_ROWS rows as GPTQ_ROWS / LANES strips; all that a
 * strip holds is a vector a column, block or super-block, so that elements of H and U are
 * broadcast and nothing is ever summed across lanes: scalar and vector builds do the same
 * operations a lane in the same order.
 */
#ifndef CALIB_GPTQ_TILE_IMPL_H
#define CALIB_GPTQ_TILE_IMPL_H

#include "calib/gptq_part.h"
#include "calib/gptq_shape.h"
#include "calib/factor.h"

#include <stddef.h>

enum { STRIPS = GPTQ_ROWS / LANES, PRODUCT_CHUNK = 128 };

struct strip {
    f8 *w, *q;    /* a column: weights, codes */
    f8 *e;        /* a column: errors in units of U's diagonal, later v - w */
    f8 *x;        /* a column of the super-block in work: what is to be rounded, later (v - w) H */
    f8 *sc, *m;   /* a block */
    f8 *d, *dmin; /* a super-block */
};

static inline f8 f8_clamp(f8 a, f8 low, f8 high) { return f8_min(f8_max(a, low), high); }

/* 1 / a, or 0 where a is too small to have one. */
static inline f8 inverse_of(f8 a)
{
    const m8 tiny = f8_lt(f8_abs(a), f8_set1(0x1p-100f));
    return f8_select(tiny, f8_set1(0.0f), f8_div(f8_set1(1.0f), a));
}

/* The nearest finite fp16. */
static inline f8 to_half(f8 a)
{
    return f8_through_half(f8_clamp(a, f8_set1(-65504.0f), f8_set1(65504.0f)));
}

/* out[k] += sum over j < n of d[j] p[j * stride + k], k < 4: the sum on its own, in order. */
static inline void product4(f8 *restrict out, const f8 *restrict d, size_t n,
                            const float *restrict p, size_t stride)
{
    f8 s0 = f8_set1(0.0f), s1 = s0, s2 = s0, s3 = s0;
    for (size_t j = 0; j < n; j++, p += stride) {
        const f8 a = d[j];
        s0 = f8_add(s0, f8_mul(a, f8_set1(p[0])));
        s1 = f8_add(s1, f8_mul(a, f8_set1(p[1])));
        s2 = f8_add(s2, f8_mul(a, f8_set1(p[2])));
        s3 = f8_add(s3, f8_mul(a, f8_set1(p[3])));
    }
    out[0] = f8_add(out[0], s0);
    out[1] = f8_add(out[1], s1);
    out[2] = f8_add(out[2], s2);
    out[3] = f8_add(out[3], s3);
}

/* The same for two strips, which share the broadcasts. */
static inline void product4_pair(f8 *restrict out, f8 *restrict out2, const f8 *restrict d,
                                 const f8 *restrict d2, size_t n, const float *restrict p,
                                 size_t stride)
{
    f8 s0 = f8_set1(0.0f), s1 = s0, s2 = s0, s3 = s0, t0 = s0, t1 = s0, t2 = s0, t3 = s0;
    for (size_t j = 0; j < n; j++, p += stride) {
        const f8 a = d[j], b = d2[j];
        const f8 p0 = f8_set1(p[0]), p1 = f8_set1(p[1]), p2 = f8_set1(p[2]), p3 = f8_set1(p[3]);
        s0 = f8_add(s0, f8_mul(a, p0));
        t0 = f8_add(t0, f8_mul(b, p0));
        s1 = f8_add(s1, f8_mul(a, p1));
        t1 = f8_add(t1, f8_mul(b, p1));
        s2 = f8_add(s2, f8_mul(a, p2));
        t2 = f8_add(t2, f8_mul(b, p2));
        s3 = f8_add(s3, f8_mul(a, p3));
        t3 = f8_add(t3, f8_mul(b, p3));
    }
    out[0] = f8_add(out[0], s0);
    out[1] = f8_add(out[1], s1);
    out[2] = f8_add(out[2], s2);
    out[3] = f8_add(out[3], s3);
    out2[0] = f8_add(out2[0], t0);
    out2[1] = f8_add(out2[1], t1);
    out2[2] = f8_add(out2[2], t2);
    out2[3] = f8_add(out2[3], t3);
}

/* out[k] += sum over j < n of d[j] p[j * stride + k] for k < cols, a multiple of four. */
static inline void product(f8 *restrict out, const f8 *restrict d, size_t n, const float *p,
                           size_t stride, size_t cols)
{
    for (size_t k = 0; k < cols; k += 4)
        product4(out + k, d, n, p + k, stride);
}

/* out[k - col] += sum over rows row .. row + n - 1 of d[j - row] M[j][k] for cols columns from
 * col: M is H (u false) or U in panels. */
static inline void product_near(f8 *restrict out, const f8 *restrict d, const struct factor *f,
                                bool u, size_t row, size_t n, size_t col, size_t cols)
{
    for (size_t k = 0; k < cols; k += FACTOR_PANEL) {
        const size_t panel = (col + k) / FACTOR_PANEL;
        const float *p = u ? factor_u(f, panel) : factor_h(f, panel);
        product(out + k, d, n, p + row * FACTOR_PANEL, FACTOR_PANEL, FACTOR_PANEL);
    }
}

/* Adds to x of every strip, columns col .. col + cols - 1, what the first n columns of e bring: in
 * pieces of rows and panels that stay in the first cache while all strips use them. */
static inline void product_far(struct strip *strip, int strips, const struct factor *f, bool u,
                               size_t n, size_t col, size_t cols)
{
    for (size_t j = 0; j < n; j += PRODUCT_CHUNK) {
        const size_t rows = n - j < PRODUCT_CHUNK ? n - j : PRODUCT_CHUNK;
        for (size_t k = 0; k < cols; k += FACTOR_PANEL) {
            const size_t panel = (col + k) / FACTOR_PANEL;
            const float *p = (u ? factor_u(f, panel) : factor_h(f, panel)) + j * FACTOR_PANEL;
            int s = 0;
            for (; s + 1 < strips; s += 2)
                for (size_t c = 0; c < FACTOR_PANEL; c += 4)
                    product4_pair(strip[s].x + k + c, strip[s + 1].x + k + c, strip[s].e + j,
                                  strip[s + 1].e + j, rows, p + c, FACTOR_PANEL);
            if (s < strips)
                product(strip[s].x + k, strip[s].e + j, rows, p, FACTOR_PANEL, FACTOR_PANEL);
        }
    }
}

#endif
