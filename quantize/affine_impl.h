/* affine_impl.h - the encoders of Q4_1, Q5_1, Q2_K, Q4_K and Q5_K, written once
 * for any lanes (include a lanes header first).  Layouts: core/block.h. */
#ifndef QUANTIZE_AFFINE_IMPL_H
#define QUANTIZE_AFFINE_IMPL_H

#include "quantize/affine_search_impl.h"

#include "core/block.h"
#include "core/half.h"
#include "quantize/kernels.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#define HALF_MAX 65504.0f
#define X_LIMIT 0x1p30f /* past what any of these blocks can hold */

/* Eight rows of eight values of a to the columns of a tile's steps. */
static inline void load_columns(f8 *dst, const float *src, size_t stride)
{
    for (size_t l = 0; l < LANES; l++)
        dst[l] = f8_load(src + l * stride);
    f8_transpose(dst);
}

/* Loads 8 blocks of t->steps weights that follow each other. */
static inline void tile_load(struct tile *t, const float *src, const float *importance)
{
    const f8 limit = f8_set1(X_LIMIT), floor = f8_set1(-X_LIMIT);
    const size_t stride = (size_t)t->steps;
    for (size_t i = 0; i < stride; i += LANES) {
        load_columns(t->x + i, src + i, stride);
        if (importance)
            load_columns(t->w + i, importance + i, stride);
    }
    for (int i = 0; i < t->steps; i++) {
        t->x[i] = f8_max(f8_min(t->x[i], limit), floor);
        if (!importance)
            t->w[i] = f8_set1(1.0f);
    }
}

static inline f8 tile_importance(const struct tile *t)
{
    f8 most = t->w[0];
    for (int i = 1; i < t->steps; i++)
        most = f8_max(most, t->w[i]);
    return most;
}

/* Scales the importance to at most one.  A floor far below what a float sum
 * notices keeps columns of no importance from making a fit undetermined. */
static inline void tile_normalise(struct tile *t, f8 most)
{
    const m8 none = f8_le(most, f8_set1(0.0f));
    const f8 one = f8_set1(1.0f), floor = f8_set1(1e-9f);
    t->sum_w = f8_set1(0.0f);
    for (int i = 0; i < t->steps; i++) {
        t->w[i] = f8_select(none, one, f8_max(f8_div(t->w[i], most), floor));
        t->sum_w = f8_add(t->sum_w, t->w[i]);
    }
}

/* The codes of a grid, blocks as rows: codes[8 * g + l] has lane j = code 8g + j of block l. */
static inline void tile_codes(f8 *codes, const struct tile *t, struct grid g)
{
    const f8 top = f8_set1(t->top), inverse = inverse_of(g.scale);
    for (int i = 0; i < t->steps; i++)
        codes[i] = code_of(f8_mul(f8_sub(t->x[i], g.offset), inverse), top);
    for (int i = 0; i < t->steps; i += LANES)
        f8_transpose(codes + i);
}

/* Q4_1 and Q5_1: the blocks are on their own. */

struct legacy_codes {
    float scale[LANES], offset[LANES];
    uint8_t code[LANES][BLOCK_ELEMS];
};

static inline f8 to_half(f8 a)
{
    const f8 limit = f8_set1(HALF_MAX);
    return f8_through_half(f8_max(f8_min(a, limit), f8_neg(limit)));
}

static inline void legacy_fit(struct legacy_codes *out, struct tile *t)
{
    static const float stretch[] = {-2.0f, -1.0f, 0.0f, 1.0f};
    struct grid g = tile_search(t, stretch, 4, 2);
    g.scale = to_half(g.scale);
    g.offset = to_half(g.offset);
    f8 codes[STEPS_MAX];
    tile_codes(codes, t, g);
    for (int i = 0; i < BLOCK_ELEMS; i++)
        f8_store_uint8(out->code[i % LANES] + i / LANES * LANES, codes[i]);
    f8_store(out->scale, g.scale);
    f8_store(out->offset, g.offset);
}

static inline void legacy_next(struct legacy_codes *out, float top, const float *src,
                               const float *importance, size_t blocks)
{
    struct tile t = {.steps = BLOCK_ELEMS, .top = top, .limit = INFINITY};
    float x[LANES * BLOCK_ELEMS] = {0}, w[LANES * BLOCK_ELEMS] = {0};
    if (blocks < LANES) {
        memcpy(x, src, blocks * BLOCK_ELEMS * sizeof *x);
        if (importance)
            memcpy(w, importance, blocks * BLOCK_ELEMS * sizeof *w);
        src = x;
        importance = importance ? w : NULL;
    }
    tile_load(&t, src, importance);
    tile_normalise(&t, tile_importance(&t));
    legacy_fit(out, &t);
}

static void encode_q4_1(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    struct block_q4_1 *block = dst;
    for (size_t i = 0; i < n; i += LANES * BLOCK_ELEMS) {
        const size_t left = (n - i) / BLOCK_ELEMS, blocks = left < LANES ? left : LANES;
        struct legacy_codes c;
        legacy_next(&c, 15.0f, src + i, importance ? importance + i : NULL, blocks);
        for (size_t b = 0; b < blocks; b++, block++) {
            block->d = half_from_float(c.scale[b]);
            block->m = half_from_float(c.offset[b]);
            for (int j = 0; j < 16; j++)
                block->qs[j] = (uint8_t)(c.code[b][j] | c.code[b][j + 16] << 4);
        }
    }
}

static void encode_q5_1(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    struct block_q5_1 *block = dst;
    for (size_t i = 0; i < n; i += LANES * BLOCK_ELEMS) {
        const size_t left = (n - i) / BLOCK_ELEMS, blocks = left < LANES ? left : LANES;
        struct legacy_codes c;
        legacy_next(&c, 31.0f, src + i, importance ? importance + i : NULL, blocks);
        for (size_t b = 0; b < blocks; b++, block++) {
            block->d = half_from_float(c.scale[b]);
            block->m = half_from_float(c.offset[b]);
            uint32_t high = 0;
            for (int j = 0; j < 16; j++)
                block->qs[j] = (uint8_t)((c.code[b][j] & 15) | c.code[b][j + 16] << 4);
            for (int j = 0; j < BLOCK_ELEMS; j++)
                high |= (uint32_t)(c.code[b][j] >> 4) << j;
            memcpy(block->qh, &high, sizeof high);
        }
    }
}

/* The K types: blocks of a super-block share d and dmin. */

enum { TILES_MAX = 2, SUPER_BLOCKS_MAX = TILES_MAX * LANES };

struct super {
    struct tile tile[TILES_MAX];
    f8 sc[TILES_MAX], m[TILES_MAX]; /* whole numbers, 0..levels */
    float d, dmin;                  /* fp16 values */
    int tiles;
    float levels;
};

static inline void super_load(struct super *s, const float *src, const float *importance)
{
    f8 most = f8_set1(0.0f);
    for (int k = 0; k < s->tiles; k++) {
        struct tile *t = &s->tile[k];
        const int at = k * LANES * t->steps;
        tile_load(t, src + at, importance ? importance + at : NULL);
        most = f8_max(most, tile_importance(t));
    }
    float lane[LANES], all = 0.0f;
    f8_store(lane, most);
    for (int l = 0; l < LANES; l++)
        all = lane[l] > all ? lane[l] : all;
    for (int k = 0; k < s->tiles; k++)
        tile_normalise(&s->tile[k], f8_set1(all));
}

static inline struct grid super_grid(const struct super *s, int k)
{
    return (struct grid){f8_mul(f8_set1(s->d), s->sc[k]),
                         f8_neg(f8_mul(f8_set1(s->dmin), s->m[k]))};
}

/* A step and whole multiples of it, 0..levels, that come nearest to `blocks`
 * targets >= 0 under their weights.  Eight steps are tried side by side. */
static inline float common_step(const float *target, const float *weight, int blocks, float levels)
{
    float most = 0.0f, lane[LANES], error[LANES];
    for (int b = 0; b < blocks; b++)
        most = target[b] > most ? target[b] : most;
    for (int l = 0; l < LANES; l++)
        lane[l] = most / (levels - (float)l * (levels / 126.0f)); 
    f8 step = f8_load(lane);
    const f8 inverse = inverse_of(step), top = f8_set1(levels);
    f8 num = f8_set1(0.0f), den = f8_set1(0.0f);
    for (int b = 0; b < blocks; b++) {
        const f8 q = code_of(f8_mul(f8_set1(target[b]), inverse), top);
        const f8 wq = f8_mul(f8_set1(weight[b]), q);
        num = f8_add(num, f8_mul(wq, f8_set1(target[b])));
        den = f8_add(den, f8_mul(wq, q));
    }
    step = to_half(f8_select(f8_lt(f8_set1(0.0f), den), f8_div(num, den), f8_set1(0.0f)));
    const f8 again = inverse_of(step);
    f8 sum = f8_set1(0.0f);
    for (int b = 0; b < blocks; b++) {
        const f8 x = f8_set1(target[b]);
        const f8 e = f8_sub(x, f8_mul(step, code_of(f8_mul(x, again), top)));
        sum = f8_add(sum, f8_mul(f8_mul(f8_set1(weight[b]), e), e));
    }
    f8_store(lane, step);
    f8_store(error, sum);
    int best = 0;
    for (int l = 1; l < LANES; l++)
        if (error[l] < error[best])
            best = l;
    return lane[best];
}

/* d and sc from the blocks' own best grids, then dmin and m from what those leave. */
static inline void super_start(struct super *s, const float *stretch, int starts)
{
    float target[SUPER_BLOCKS_MAX] = {0}, weight[SUPER_BLOCKS_MAX] = {0};
    struct grid g[TILES_MAX];
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        g[k] = tile_search(t, stretch, starts, 1);
        const struct residue r = tile_residue(t, g[k], inverse_of(g[k].scale));
        const f8 qq = f8_sub(r.qq, f8_div(f8_mul(r.q, r.q), t->sum_w));
        f8_store(target + k * LANES, f8_max(g[k].scale, f8_set1(0.0f)));
        f8_store(weight + k * LANES, qq);
    }
    s->d = common_step(target, weight, s->tiles * LANES, s->levels);
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        const f8 d = f8_set1(s->d);
        s->sc[k] = code_of(f8_mul(g[k].scale, inverse_of(d)), f8_set1(s->levels));
        g[k].scale = f8_mul(s->sc[k], d);
        const struct residue r = tile_residue(t, g[k], inverse_of(g[k].scale));
        const f8 offset = f8_add(g[k].offset, f8_div(r.e, t->sum_w));
        f8_store(target + k * LANES, f8_max(f8_neg(offset), f8_set1(0.0f)));
        f8_store(weight + k * LANES, t->sum_w);
    }
    s->dmin = common_step(target, weight, s->tiles * LANES, s->levels);
    for (int k = 0; k < s->tiles; k++)
        s->m[k] = code_of(f8_mul(f8_load(target + k * LANES), inverse_of(f8_set1(s->dmin))),
                          f8_set1(s->levels));
}

/* Every block takes the best of its sc and m and their neighbours. */
static inline void super_neighbours(struct super *s)
{
    const f8 d = f8_set1(s->d), dmin = f8_set1(s->dmin);
    const f8 zero = f8_set1(0.0f), levels = f8_set1(s->levels);
    for (int k = 0; k < s->tiles; k++) {
        const f8 sc = s->sc[k], m = s->m[k];
        f8 best = tile_error(&s->tile[k], super_grid(s, k));
        for (int i = 0; i < 9; i++) {
            if (i == 4)
                continue;
            const f8 sc_i = f8_max(f8_min(f8_add(sc, f8_set1((float)(i / 3 - 1))), levels), zero);
            const f8 m_i = f8_max(f8_min(f8_add(m, f8_set1((float)(i % 3 - 1))), levels), zero);
            const struct grid g = {f8_mul(d, sc_i), f8_neg(f8_mul(dmin, m_i))};
            const f8 error = tile_error(&s->tile[k], g);
            const m8 better = f8_lt(error, best);
            best = f8_select(better, error, best);
            s->sc[k] = f8_select(better, sc_i, s->sc[k]);
            s->m[k] = f8_select(better, m_i, s->m[k]);
        }
    }
}

static inline float lanes_sum(f8 a)
{
    float lane[LANES], sum = 0.0f;
    f8_store(lane, a);
    for (int l = 0; l < LANES; l++)
        sum += lane[l];
    return sum;
}

static inline float super_error(const struct super *s)
{
    float sum = 0.0f;
    for (int k = 0; k < s->tiles; k++)
        sum += lanes_sum(tile_error(&s->tile[k], super_grid(s, k)));
    return sum;
}

/* d and dmin where all whole numbers fit best (2 x 2 least squares), kept if the
 * error falls after rounding them to fp16. */
static inline void super_refit(struct super *s)
{
    f8 aa = f8_set1(0.0f), ab = aa, bb = aa, ae = aa, be = aa;
    for (int k = 0; k < s->tiles; k++) {
        const struct tile *t = &s->tile[k];
        const struct grid g = super_grid(s, k);
        const struct residue r = tile_residue(t, g, inverse_of(g.scale));
        const f8 sc = s->sc[k], m = f8_neg(s->m[k]);
        aa = f8_add(aa, f8_mul(f8_mul(sc, sc), r.qq));
        ab = f8_add(ab, f8_mul(f8_mul(sc, m), r.q));
        bb = f8_add(bb, f8_mul(f8_mul(m, m), t->sum_w));
        ae = f8_add(ae, f8_mul(sc, r.qe));
        be = f8_add(be, f8_mul(m, r.e));
    }
    const float a = lanes_sum(aa), b = lanes_sum(ab), c = lanes_sum(bb), x = lanes_sum(ae),
                y = lanes_sum(be), det = a * c - b * b;
    struct super other = *s;
    if (det > 1e-6f * a * c) {
        other.d += (c * x - b * y) / det;
        other.dmin += (a * y - b * x) / det;
    } else if (a > 0.0f) {
        other.d += x / a;
    }
    float lane[LANES] = {other.d, other.dmin};
    f8_store(lane, to_half(f8_load(lane)));
    other.d = lane[0];
    other.dmin = lane[1];
    if (super_error(&other) < super_error(s)) {
        s->d = other.d;
        s->dmin = other.dmin;
    }
}

static inline void super_fit(struct super *s, const float *stretch, int starts)
{
    super_start(s, stretch, starts);
    super_neighbours(s);
    super_refit(s);
}

/* sc and m of 8 blocks, six bits each. */
static inline void pack_scales(uint8_t *dst, const uint8_t *sc, const uint8_t *m)
{
    for (int b = 0; b < 4; b++) {
        dst[b] = (uint8_t)((sc[b] & 63) | (sc[b + 4] >> 4) << 6);
        dst[b + 4] = (uint8_t)((m[b] & 63) | (m[b + 4] >> 4) << 6);
        dst[b + 8] = (uint8_t)((sc[b + 4] & 15) | (m[b + 4] & 15) << 4);
    }
}

static void encode_q2_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    static const float stretch[] = {-0.9f, -0.6f, -0.3f, 0.0f, 0.3f};
    struct block_q2_k *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        struct super s = {.tiles = 2, .levels = 15.0f};
        for (int k = 0; k < 2; k++)
            s.tile[k] = (struct tile){.steps = 16, .top = 3.0f};
        super_load(&s, src + i, importance ? importance + i : NULL);
        super_fit(&s, stretch, 5);
        block->d = half_from_float(s.d);
        block->dmin = half_from_float(s.dmin);
        for (int k = 0; k < 2; k++) {
            f8 c[STEPS_MAX];
            f8_store_uint8(block->scales + k * LANES, f8_add(s.sc[k], f8_mul(s.m[k], f8_set1(16.0f))));
            tile_codes(c, &s.tile[k], super_grid(&s, k));
            /* block l = 2 * shift + half of the 32 columns; code j + 8 (i) */
            for (int h = 0; h < 2; h++)
                for (int j = 0; j < 2; j++) {
                    const f8 *p = c + j * LANES + h;
                    f8 sum = p[6];
                    for (int b = 4; b >= 0; b -= 2)
                        sum = f8_add(f8_mul(sum, f8_set1(4.0f)), p[b]);
                    f8_store_uint8(block->qs + 32 * k + 16 * h + 8 * j, sum);
                }
        }
    }
}

static void encode_q4_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    static const float stretch[] = {-2.0f, -1.0f, 0.0f, 1.0f};
    struct block_q4_k *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        struct super s = {.tiles = 1, .levels = 63.0f};
        s.tile[0] = (struct tile){.steps = 32, .top = 15.0f};
        super_load(&s, src + i, importance ? importance + i : NULL);
        super_fit(&s, stretch, 4);
        block->d = half_from_float(s.d);
        block->dmin = half_from_float(s.dmin);
        uint8_t sc[LANES], m[LANES];
        f8_store_uint8(sc, s.sc[0]);
        f8_store_uint8(m, s.m[0]);
        pack_scales(block->scales, sc, m);
        f8 c[STEPS_MAX];
        tile_codes(c, &s.tile[0], super_grid(&s, 0));
        for (int p = 0; p < 4; p++)
            for (int j = 0; j < 4; j++)
                f8_store_uint8(block->qs + 32 * p + 8 * j,
                               f8_add(c[j * LANES + 2 * p],
                                      f8_mul(f8_set1(16.0f), c[j * LANES + 2 * p + 1])));
    }
}

static void encode_q5_k(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    static const float stretch[] = {-2.0f, -1.0f, 0.0f, 1.0f};
    struct block_q5_k *block = dst;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, block++) {
        struct super s = {.tiles = 1, .levels = 63.0f};
        s.tile[0] = (struct tile){.steps = 32, .top = 31.0f};
        super_load(&s, src + i, importance ? importance + i : NULL);
        super_fit(&s, stretch, 4);
        block->d = half_from_float(s.d);
        block->dmin = half_from_float(s.dmin);
        uint8_t sc[LANES], m[LANES];
        f8_store_uint8(sc, s.sc[0]);
        f8_store_uint8(m, s.m[0]);
        pack_scales(block->scales, sc, m);
        f8 c[STEPS_MAX];
        tile_codes(c, &s.tile[0], super_grid(&s, 0));
        const f8 sixteen = f8_set1(16.0f), zero = f8_set1(0.0f);
        for (int j = 0; j < 4; j++) {
            f8 high = zero;
            for (int b = LANES - 1; b >= 0; b--) {
                const m8 set = f8_le(sixteen, c[j * LANES + b]);
                c[j * LANES + b] = f8_sub(c[j * LANES + b], f8_select(set, sixteen, zero));
                high = f8_add(f8_add(high, high), f8_select(set, f8_set1(1.0f), zero));
            }
            f8_store_uint8(block->qh + 8 * j, high);
            for (int p = 0; p < 4; p++)
                f8_store_uint8(block->qs + 32 * p + 8 * j,
                               f8_add(c[j * LANES + 2 * p], f8_mul(sixteen, c[j * LANES + 2 * p + 1])));
        }
    }
}

static inline void affine_init(struct kernels *k)
{
    k->encode[DTYPE_Q4_1] = encode_q4_1;
    k->encode[DTYPE_Q5_1] = encode_q5_1;
    k->encode[DTYPE_Q2_K] = encode_q2_k;
    k->encode[DTYPE_Q4_K] = encode_q4_k;
    k->encode[DTYPE_Q5_K] = encode_q5_k;
}

#endif
