/* The mathematics of the affine encoders: the closed forms are the best, no step raises the
 * error, nothing is worse than rounding between the extremes, and grids come back. */
#include "core/cpu.h"
#include "core/half.h"
#include "quantize/kernels.h"
#include "tests/quantize/sample_weights.h"

#include "quantize/lanes_scalar.h"

#include "quantize/affine_super_impl.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct kernels fast;

enum { SEEDS = 60, TYPES = 5 };

static const struct shape {
    enum dtype_id id;
    int steps;
    float top, levels; /* levels: 0 for blocks on their own */
} shapes[TYPES] = {
    {DTYPE_Q4_1, 32, 15, 0},  {DTYPE_Q5_1, 32, 31, 0},  {DTYPE_Q2_K, 16, 3, 15},
    {DTYPE_Q4_K, 32, 15, 63}, {DTYPE_Q5_K, 32, 31, 63},
};

/* Rows of the kinds that real layers have. */
static const float *fill_row(float *x, float *w, size_t n, uint64_t seed)
{
    weights_fill(x, n, (enum weights_kind)(WEIGHTS_NORMAL + seed % 3), seed);
    return importance_fill(w, n, (enum importance_kind)(seed / 3 % 2), seed);
}

/* The error of lane l, its codes as given. */
static double lane_error(const struct tile *t, int l, const float *codes, double scale,
                         double offset)
{
    double sum = 0;
    for (int i = 0; i < t->steps; i++) {
        const double e = (double)t->u[i].v[l] - scale * (double)codes[i] - offset;
        sum += (double)t->w[i].v[l] * e * e;
    }
    return sum;
}

static void lane_codes(float *codes, const struct tile *t, int l, float inverse, float shift)
{
    for (int i = 0; i < t->steps; i++)
        codes[i] = nearbyintf(fminf(fmaxf(t->u[i].v[l] * inverse + shift, 0), t->top));
}

static void fit_is_the_least_squares_one(void **state)
{
    (void)state;
    float x[LANES * STEPS_MAX], spare[LANES * STEPS_MAX], codes[STEPS_MAX];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct tile t = {.steps = seed % 2 ? 16 : 32, .top = seed % 2 ? 3 : 15};
        const float limit = seed / 2 % 2 ? 0.0f : NO_LIMIT;
        const float *w = fill_row(x, spare, LANES * (size_t)t.steps, seed);
        tile_weigh(&t, tile_load(&t, x, w, limit));
        const f8 inverse = f8_mul(inverse_of(t.range), f8_set1(t.top + 0.25f));
        const struct moments s = tile_moments(&t, inverse, f8_set1(-0.1f));
        const struct grid g = moments_fit(&t, &s);
        const f8 gain = moments_gain(&t, &s, g);
        for (int l = 0; l < LANES; l++) {
            const double scale = (double)g.scale.v[l], offset = (double)g.offset.v[l];
            lane_codes(codes, &t, l, inverse.v[l], -0.1f);
            const double none = lane_error(&t, l, codes, 0, 0);
            const double best = lane_error(&t, l, codes, scale, offset);
            assert_true(fabs(none - best - (double)gain.v[l]) <= 1e-5 * none);
            assert_true(offset <= (double)t.limit.v[l]);
            const double step = 1e-3 * (double)t.range.v[l];
            for (int i = 0; i < 9; i++) {
                const double other = offset + (i % 3 - 1) * step;
                if (i == 4 || other > (double)t.limit.v[l])
                    continue;
                assert_true(lane_error(&t, l, codes, scale + (i / 3 - 1) * step, other) > best);
            }
        }
    }
}

static void search_is_not_worse_than_any_of_its_starts(void **state)
{
    (void)state;
    float x[LANES * STEPS_MAX], spare[LANES * STEPS_MAX], codes[STEPS_MAX];
    const struct affine_search *how = &affine_weighted_q4;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct tile t = {.steps = 32, .top = 15};
        const float *w = fill_row(x, spare, LANES * STEPS_MAX, seed);
        tile_weigh(&t, tile_load(&t, x, w, NO_LIMIT));
        struct moments fit;
        const f8 found = grid_error(&t, tile_search(&t, how, &fit));
        for (int k = 0; k < how->starts; k++) {
            const f8 inverse = f8_mul(inverse_of(t.range), f8_set1(t.top + how->stretch[k]));
            const struct moments s = tile_moments(&t, inverse, f8_set1(how->shift[k]));
            const struct grid g = moments_fit(&t, &s);
            for (int l = 0; l < LANES; l++) {
                lane_codes(codes, &t, l, inverse.v[l], how->shift[k]);
                const double start =
                    lane_error(&t, l, codes, (double)g.scale.v[l], (double)g.offset.v[l]);
                assert_true((double)found.v[l] <= start * (1 + 1e-4));
            }
        }
    }
}

/* The error of a super-block with codes as given by tile and step, in doubles. */
static double super_error(const struct super *s, f8 codes[TILES_MAX][STEPS_MAX], double d,
                          double dmin)
{
    double sum = 0;
    for (int k = 0; k < s->tiles; k++)
        for (int l = 0; l < LANES; l++) {
            float lane[STEPS_MAX];
            const struct tile *t = &s->tile[k];
            for (int i = 0; i < t->steps; i++)
                lane[i] = codes[k][i].v[l];
            const double offset = -dmin * (double)s->m[k].v[l] - (double)t->base.v[l];
            sum += lane_error(t, l, lane, d * (double)s->sc[k].v[l], offset);
        }
    return sum;
}

static void super_nearest(f8 codes[TILES_MAX][STEPS_MAX], const struct super *s)
{
    for (int k = 0; k < s->tiles; k++)
        grid_codes(codes[k], &s->tile[k], super_grid(s, k, s->sc[k], s->m[k]), false);
}

static void refit_of_d_and_dmin_never_raises_the_error(void **state)
{
    (void)state;
    float x[SUPER_ELEMS], spare[SUPER_ELEMS];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        const struct shape *h = &shapes[2 + seed % 3];
        struct super s;
        struct moments fit[TILES_MAX];
        f8 codes[TILES_MAX][STEPS_MAX];
        const float *w = fill_row(x, spare, SUPER_ELEMS, seed);
        super_load(&s, h->steps, h->top, h->levels, x, w);
        super_start(&s, fit, &affine_plain_q4);
        super_choose(&s, fit, &affine_plain_q4);
        super_nearest(codes, &s);
        const double before = super_error(&s, codes, (double)s.d, (double)s.dmin);

        float lane[LANES] = {s.d, s.dmin};
        super_correct(&s, lane);
        const double best = super_error(&s, codes, (double)lane[0], (double)lane[1]);
        assert_true(best <= before);
        for (int i = 0; i < 9; i++)
            if (i != 4)
                assert_true(super_error(&s, codes, (double)lane[0] * (1 + 1e-2 * (i / 3 - 1)),
                                        (double)lane[1] * (1 + 1e-2 * (i % 3 - 1))) > best);

        super_refit(&s);
        super_nearest(codes, &s);
        assert_true(super_error(&s, codes, (double)s.d, (double)s.dmin) <= before * (1 + 1e-5));
        assert_true(s.d == half_to_float(half_from_float(s.d)));
        assert_true(s.dmin == half_to_float(half_from_float(s.dmin)));
    }
}

static double through_half(double x) { return (double)half_to_float(half_from_float((float)x)); }

/* Codes between the extremes of each block: steps straight from them, to fp16 and to the levels
 * of the type where it has them. */
static double extremes_error(const struct shape *h, const float *x, const float *w, size_t n)
{
    double low[SUPER_ELEMS / 16], step[SUPER_ELEMS / 16], d = 0, dmin = 0, sum = 0;
    const size_t blocks = n / (size_t)h->steps;
    for (size_t b = 0; b < blocks; b++) {
        double most = -INFINITY;
        low[b] = h->levels > 0 ? 0 : INFINITY;
        for (int i = 0; i < h->steps; i++) {
            const double v = (double)x[b * (size_t)h->steps + (size_t)i];
            low[b] = fmin(low[b], v);
            most = fmax(most, v);
        }
        step[b] = (most - low[b]) / (double)h->top;
        d = fmax(d, step[b] / (double)h->levels);
        dmin = fmax(dmin, -low[b] / (double)h->levels);
    }
    for (size_t i = 0; i < n; i++) {
        const size_t b = i / (size_t)h->steps;
        double scale = through_half(step[b]), offset = through_half(low[b]);
        if (h->levels > 0) {
            scale = through_half(d) * nearbyint(step[b] / d);
            offset = -through_half(dmin) * (dmin > 0 ? nearbyint(-low[b] / dmin) : 0);
        }
        const double q = nearbyint(((double)x[i] - offset) / scale);
        const double e = (double)x[i] - offset - scale * fmin(fmax(q, 0), (double)h->top);
        sum += (w ? (double)w[i] : 1) * e * e;
    }
    return sum;
}

static void every_row_beats_rounding_between_extremes(void **state)
{
    (void)state;
    enum { N = SUPER_ELEMS };
    float x[N], y[N], spare[N];
    uint8_t blocks[2 * N];
    for (int k = 0; k < TYPES; k++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const float *w = fill_row(x, spare, N, seed);
            fast.encode[shapes[k].id](blocks, x, w, N);
            fast.decode[shapes[k].id](y, blocks, N);
            double sum = 0;
            for (size_t i = 0; i < N; i++) {
                const double e = (double)x[i] - (double)y[i];
                sum += (w ? (double)w[i] : 1) * e * e;
            }
            const double plain = extremes_error(&shapes[k], x, w, N);
            if (!(sum < plain))
                fail_msg("%s, seed %d: %g, between extremes %g", dtype_get(shapes[k].id)->name,
                         (int)seed, sum, plain);
        }
}

static float random_half(struct seed *s)
{
    return half_to_float((uint16_t)(0x1400 + seed_next(s) % 0x2000));
}

/* Values of a type: a block uses its first and its last code, a super-block the upper half of its
 * levels and, in one block each, the last. */
static void fill_grid(float *x, size_t n, const struct shape *h, uint64_t seed)
{
    struct seed s = {seed};
    float d = 0, dmin = 0, scale = 0, offset = 0;
    for (size_t i = 0; i < n; i++) {
        const size_t at = i % (size_t)h->steps;
        if (i % SUPER_ELEMS == 0) {
            d = random_half(&s);
            dmin = half_to_float(half_from_float(d * h->top / 2));
        }
        if (at == 0 && h->levels > 0) {
            const bool first = i % SUPER_ELEMS == 0;
            const uint64_t half = (uint64_t)h->levels / 2;
            const uint64_t sc = half + seed_next(&s) % half, m = half + seed_next(&s) % half;
            scale = d * (first ? h->levels : (float)sc);
            offset = -dmin * (first ? h->levels : (float)m);
        } else if (at == 0) {
            scale = random_half(&s);
            offset = half_to_float(half_from_float(-scale * (float)(seed_next(&s) % 40)));
        }
        const float q = (float)(seed_next(&s) % ((uint64_t)h->top + 1));
        x[i] = scale * (at == 3 ? 0 : at == 9 ? h->top : q) + offset;
    }
}

static void values_of_a_grid_come_back(void **state)
{
    (void)state;
    enum { N = 2 * SUPER_ELEMS };
    float x[N], y[N], spare[N];
    uint8_t blocks[2 * N];
    for (int k = 0; k < TYPES; k++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const enum dtype_id id = shapes[k].id;
            const float *w = importance_fill(spare, N, (enum importance_kind)(seed % 2), seed);
            fill_grid(x, N, &shapes[k], seed);
            fast.encode[id](blocks, x, w, N);
            fast.decode[id](y, blocks, N);
            for (size_t i = 0; i < N; i++)
                if (x[i] != y[i])
                    fail_msg("%s, seed %d: weight %zu is %a, was %a", dtype_get(id)->name,
                             (int)seed, i, (double)y[i], (double)x[i]);
        }
}

/* Blocks of one value: zero as it is, others to the accuracy of fp16. */
static void constant_blocks_keep_their_value(void **state)
{
    (void)state;
    static const float values[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.0371f, -0.0371f, -60000.0f};
    enum { N = SUPER_ELEMS };
    float x[N], y[N];
    uint8_t blocks[2 * N];
    for (int k = 0; k < TYPES; k++)
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            for (size_t i = 0; i < N; i++)
                x[i] = values[v];
            fast.encode[shapes[k].id](blocks, x, NULL, N);
            fast.decode[shapes[k].id](y, blocks, N);
            for (size_t i = 0; i < N; i++)
                if (!(fabsf(y[i] - x[i]) <= 0x1p-9f * fabsf(x[i])))
                    fail_msg("%s: %g became %g", dtype_get(shapes[k].id)->name, (double)x[i],
                             (double)y[i]);
        }
}

/* Only ratios of importance count, and columns of none are free to go wrong. */
static void importance_has_no_unit(void **state)
{
    (void)state;
    enum { N = 2 * SUPER_ELEMS };
    float x[N], w[N], scaled[N];
    uint8_t a[2 * N], b[2 * N];
    for (int k = 0; k < TYPES; k++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const struct dtype *d = dtype_get(shapes[k].id);
            weights_fill(x, N, WEIGHTS_NORMAL, seed);
            importance_fill(w, N, seed % 2 ? IMPORTANCE_SMOOTH : IMPORTANCE_SPARSE, seed);
            for (size_t i = 0; i < N; i++)
                scaled[i] = w[i] * (seed % 3 ? 0x1p40f : 0x1p-40f);
            fast.encode[d->id](a, x, w, N);
            fast.encode[d->id](b, x, scaled, N);
            assert_memory_equal(a, b, N / d->block_elems * d->block_bytes);
        }
}

int main(void)
{
    kernels_init(&fast, cpu_features());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fit_is_the_least_squares_one),
        cmocka_unit_test(search_is_not_worse_than_any_of_its_starts),
        cmocka_unit_test(refit_of_d_and_dmin_never_raises_the_error),
        cmocka_unit_test(every_row_beats_rounding_between_extremes),
        cmocka_unit_test(values_of_a_grid_come_back),
        cmocka_unit_test(constant_blocks_keep_their_value),
        cmocka_unit_test(importance_has_no_unit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
