/* The mathematics of the symmetric encoders: each step takes off the error what it says, no step
 * puts any on, and weights that are on a type's grid stay as they are. */
#include "core/cpu.h"
#include "core/half.h"
#include "quantize/kernels.h"
#include "tests/quantize/sample_weights.h"

#include "quantize/lanes_scalar.h"

#include "quantize/symmetric_k_impl.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static struct kernels ref, fast;

enum { SEEDS = 50 };

static const struct starts some_starts = {5, {-4.4f, -4.1f, -3.75f, -3.15f, 4.5f}};

/* Lane l of 16 weights and of their importance. */
static double lane_error(const f8 *x, const f8 *w, int l, double scale, const double *q)
{
    double sum = 0;
    for (int j = 0; j < K_ELEMS; j++) {
        const double e = (double)x[j].v[l] - scale * q[j];
        sum += (double)w[j].v[l] * e * e;
    }
    return sum;
}

/* The codes nearest to a scale, and the sums that the encoder makes of them, in doubles. */
static void lane_codes(double *q, double *xq, double *qq, const f8 *x, const f8 *w, int l,
                       float inverse)
{
    *xq = *qq = 0;
    for (int j = 0; j < K_ELEMS; j++) {
        const double u = (double)(x[j].v[l] * inverse), weight = (double)w[j].v[l];
        q[j] = fmin(fmax(nearbyint(u), -4.0), 3.0);
        *xq += weight * (double)x[j].v[l] * q[j];
        *qq += weight * q[j] * q[j];
    }
}

static void fill_lanes(f8 x[K_ELEMS], f8 w[K_ELEMS], uint64_t seed)
{
    float row[K_ELEMS * LANES], importance[K_ELEMS * LANES];
    weights_fill(row, K_ELEMS * LANES, seed % 2 ? WEIGHTS_HEAVY : WEIGHTS_NORMAL, seed);
    importance_fill(importance, K_ELEMS * LANES, IMPORTANCE_SMOOTH, seed);
    load_lanes(x, row, K_ELEMS);
    load_lanes(w, importance, K_ELEMS);
    for (int j = 0; j < K_ELEMS && seed % 3 == 0; j++)
        w[j] = f8_set1(1.0f);
}

static void scale_is_the_least_squares_one(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        f8 x[K_ELEMS], w[K_ELEMS];
        struct blocks b;
        fill_lanes(x, w, seed);
        weighted_blocks(&b, x, w, K_ELEMS);
        const f8 unit = inverse_of(b.extremum);
        for (int i = 0; i < some_starts.count; i++) {
            const f8 inverse = f8_mul(unit, f8_set1(some_starts.at[i]));
            struct fit fit = {f8_set1(-1.0f), f8_set1(0.0f), f8_set1(0.0f)};
            struct sums sums;
            sums_at(&sums, &b, K_ELEMS, 4.0f, &inverse, 1);
            fit_try(&fit, sums);
            for (int l = 0; l < LANES; l++) {
                double q[K_ELEMS], xq, qq;
                lane_codes(q, &xq, &qq, x, w, l, inverse.v[l]);
                assert_true(fabs((double)fit.scale.v[l] - xq / qq) <= 1e-5 * fabs(xq / qq));
                assert_true(fabs((double)fit.curvature.v[l] - qq) <= 1e-5 * qq);
                const double zero = lane_error(x, w, l, 0, q),
                             best = lane_error(x, w, l, xq / qq, q);
                assert_true(fabs(zero - best - (double)fit.gain.v[l]) <= 1e-5 * zero);
                assert_true(lane_error(x, w, l, 1.001 * xq / qq, q) > best);
                assert_true(lane_error(x, w, l, 0.999 * xq / qq, q) > best);
            }
        }
    }
}

static void no_try_loses_what_was_gained(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        f8 x[K_ELEMS], w[K_ELEMS];
        struct blocks b;
        fill_lanes(x, w, seed);
        weighted_blocks(&b, x, w, K_ELEMS);
        const f8 unit = inverse_of(b.extremum);
        struct fit best = {f8_set1(-1.0f), f8_set1(0.0f), f8_set1(0.0f)};
        for (int i = 0; i < some_starts.count; i++) {
            const struct fit before = best;
            const f8 inverse = f8_mul(unit, f8_set1(some_starts.at[i]));
            struct sums s;
            sums_at(&s, &b, K_ELEMS, 4.0f, &inverse, 1);
            fit_try(&best, s);
            for (int l = 0; l < LANES; l++) {
                const float own = s.xq.v[l] * (s.xq.v[l] / s.qq.v[l]);
                assert_true(best.gain.v[l] == (own > before.gain.v[l] ? own : before.gain.v[l]));
            }
        }
        const struct fit refitted = fit_blocks(&b, K_ELEMS, 4.0f, &some_starts);
        assert_false(m8_any(f8_lt(refitted.gain, best.gain)));
    }
}

/* The error that the nearest codes leave with the scales of a fit. */
static double fit_error(const float *row, const struct fit *fit, float half)
{
    double sum = 0;
    for (int l = 0; l < LANES; l++)
        for (int j = 0; j < K_ELEMS; j++) {
            const double x = (double)row[l * K_ELEMS + j], scale = (double)fit->scale.v[l];
            const double u = scale != 0 ? nearbyint(x / scale) : 0;
            const double e = x - scale * fmin(fmax(u, -(double)half), (double)half - 1);
            sum += e * e;
        }
    return sum;
}

/* Without importance blocks are searched as whole numbers: close to the weights, and what is
 * found is as good as what floats find. */
static void whole_numbers_tell_scales_apart(void **state)
{
    (void)state;
    double whole = 0, floats = 0;
    for (uint64_t seed = 0; seed < 10 * SEEDS; seed++) {
        float row[K_ELEMS * LANES];
        f8 x[K_ELEMS], ones[K_ELEMS];
        p16 pair[K_ELEMS / 2];
        struct blocks a, b;
        weights_fill(row, K_ELEMS * LANES, seed % 2 ? WEIGHTS_HEAVY : WEIGHTS_NORMAL, seed);
        load_lanes(x, row, K_ELEMS);
        for (int j = 0; j < K_ELEMS; j++)
            ones[j] = f8_set1(1.0f);
        pair_blocks(&a, pair, row, K_ELEMS, 4.0f);
        weighted_blocks(&b, x, ones, K_ELEMS);
        assert_memory_equal(&a.extremum, &b.extremum, sizeof a.extremum);
        for (int l = 0; l < LANES; l++) {
            double seen = 0, exact = 0; /* in any order within a block */
            for (int j = 0; j < K_ELEMS; j++) {
                seen += fabs((double)pair[j / 2].v[l][j % 2] * (double)a.step.v[l]);
                exact += fabs((double)x[j].v[l]);
            }
            assert_true(fabs(seen - exact) <= 0.51 * K_ELEMS * fabs((double)a.step.v[l]));
        }
        const struct fit by_whole = fit_blocks(&a, K_ELEMS, 4.0f, &some_starts);
        const struct fit by_floats = fit_blocks(&b, K_ELEMS, 4.0f, &some_starts);
        whole += fit_error(row, &by_whole, 4.0f);
        floats += fit_error(row, &by_floats, 4.0f);
    }
    assert_true(whole <= 1.01 * floats);
}

/* The error of super-block s with its d and whole scales and the nearest codes. */
static double super_error(const struct k_tile *t, size_t s, float half)
{
    double sum = 0;
    for (int h = 0; h < K_HALVES; h++)
        for (int l = 0; l < LANES; l++) {
            const double scale = (double)t->d[s] * (double)t->scale.v[s][LANES * h + l];
            for (int j = 0; j < K_ELEMS; j++) {
                const double x =
                    (double)t->src[s * SUPER_ELEMS + (size_t)((h * LANES + l) * K_ELEMS + j)];
                const double u = scale != 0 ? nearbyint(x / scale) : 0;
                const double e = x - scale * fmin(fmax(u, -(double)half), (double)half - 1);
                sum += (t->weighted ? (double)t->importance[s][h][j].v[l] : 1.0) * e * e;
            }
        }
    return sum;
}

static void no_round_raises_the_error_of_a_super_block(void **state)
{
    (void)state;
    static const struct k_shape shapes[] = {
        {.half = 4.0f, .scale_half = 32.0f, .supers = {2, {-32.0f, 31.4f}}},
        {.half = 32.0f, .scale_half = 128.0f, .supers = {1, {-127.0f}}},
    };
    enum { N = LANES * SUPER_ELEMS };
    static float x[N], w[N];
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct k_shape shape = shapes[seed % 2];
        shape.blocks = shape.blocks_weighted = (struct starts){1, {-shape.half}};
        struct k_tile t;
        weights_fill(x, N, seed % 3 ? WEIGHTS_NORMAL : WEIGHTS_HEAVY, seed);
        k_load(&t, x, importance_fill(w, N, (enum importance_kind)(seed / 2 % 2), seed), LANES,
               shape.half);
        k_first_scales(&t, &shape);
        const double slack = t.weighted ? 1e-5 : 3e-3; /* whole numbers see less */
        for (int round = 0; round < 4; round++) {
            double before[LANES];
            for (size_t s = 0; s < LANES; s++)
                before[s] = super_error(&t, s, shape.half);
            k_refine(&t, &shape, NULL);
            for (size_t s = 0; s < LANES; s++) {
                assert_true(super_error(&t, s, shape.half) <= before[s] * (1 + slack));
                assert_true(t.d[s] == half_to_float(half_from_float(t.d[s])));
            }
        }
    }
}

/* A normal fp16 scale of either sign. */
static float random_half(struct seed *s)
{
    const uint16_t bits =
        (uint16_t)(seed_next(s) & 0x8000u) | (uint16_t)(0x1400 + seed_next(s) % 0x2000);
    return half_to_float(bits);
}

/* Values d * sc * q of n weights; one code of each 16 is -half, one sc of a super-block is
 * -scale_half (0: a type without whole scales). */
static void fill_grid(float *x, size_t n, size_t block, int half, int scale_half, uint64_t seed)
{
    struct seed s = {seed};
    float d = 0, whole = 1;
    for (size_t i = 0; i < n; i++) {
        if (i % (scale_half ? SUPER_ELEMS : block) == 0)
            d = random_half(&s);
        if (scale_half && i % block == 0)
            whole = (float)((int)(seed_next(&s) % (2 * (size_t)scale_half)) - scale_half);
        if (scale_half && i % SUPER_ELEMS == 0)
            whole = (float)-scale_half;
        int q = (int)(seed_next(&s) % (2 * (size_t)half)) - half;
        if (i % block == 7)
            q = -half;
        x[i] = d * whole * (float)q;
    }
}

static void values_of_a_grid_come_back(void **state)
{
    (void)state;
    static const struct {
        enum dtype_id id;
        size_t block;
        int half, scale_half;
    } grids[] = {
        {DTYPE_Q4_0, 32, 8, 0},
        {DTYPE_Q5_0, 32, 16, 0},
        {DTYPE_Q8_0, 32, 128, 0},
        {DTYPE_Q3_K, 16, 4, 32},
    };
    enum { N = 3 * SUPER_ELEMS };
    float x[N], y[N], spare[N];
    uint8_t blocks[2 * N];
    for (size_t g = 0; g < sizeof grids / sizeof grids[0]; g++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            const float *w = importance_fill(spare, N, (enum importance_kind)(seed % 2), seed);
            fill_grid(x, N, grids[g].block, grids[g].half, grids[g].scale_half, seed);
            fast.encode[grids[g].id](blocks, x, w, N);
            fast.decode[grids[g].id](y, blocks, N);
            for (size_t i = 0; i < N; i++)
                if (x[i] != y[i])
                    fail_msg("%s, seed %d: weight %zu is %g, was %g", dtype_get(grids[g].id)->name,
                             (int)seed, i, (double)y[i], (double)x[i]);
        }
}

static float store_f32(float x) { return x; }
static float store_f16(float x) { return half_to_float(half_from_float(x)); }
static float store_bf16(float x) { return bf16_to_float(bf16_from_float(x)); }

/* Checkpoints trained for Q4_0, in every type that they are stored in. */
static void q4_0_checkpoint_is_kept_exactly(void **state)
{
    (void)state;
    static float (*const store[])(float) = {store_f32, store_f16, store_bf16};
    enum { N = 2048 };
    static float x[N], y[N], w[N], source[N];
    static uint8_t blocks[N], again[N];
    for (size_t kind = 0; kind < 3; kind++)
        for (uint64_t seed = 0; seed < SEEDS; seed++) {
            fill_grid(x, N, 32, 8, 0, seed);
            for (size_t i = 0; i < N; i++)
                source[i] = store[kind](x[i]);
            const float *importance = importance_fill(w, N, (enum importance_kind)(seed % 2), seed);
            ref.encode[DTYPE_Q4_0](again, source, importance, N);
            fast.encode[DTYPE_Q4_0](blocks, source, importance, N);
            assert_memory_equal(blocks, again, N / BLOCK_ELEMS * sizeof(struct block_q4_0));
            fast.decode[DTYPE_Q4_0](y, blocks, N);
            for (size_t i = 0; i < N; i++) {
                if (store[kind](y[i]) != source[i])
                    fail_msg("storage %zu, seed %d: weight %zu was %a, decodes to %a", kind,
                             (int)seed, i, (double)source[i], (double)y[i]);
                if (kind < 2)
                    assert_true(y[i] == x[i]);
            }
        }
}

/* Only ratios of importance count. */
static void importance_has_no_unit(void **state)
{
    (void)state;
    static const enum dtype_id ids[] = {DTYPE_Q4_0, DTYPE_Q5_0, DTYPE_Q8_0, DTYPE_Q3_K, DTYPE_Q6_K};
    enum { N = 2 * SUPER_ELEMS };
    float x[N], w[N], scaled[N];
    uint8_t a[2 * N], b[2 * N];
    weights_fill(x, N, WEIGHTS_NORMAL, 5);
    importance_fill(w, N, IMPORTANCE_SMOOTH, 5);
    for (size_t k = 0; k < sizeof ids / sizeof ids[0]; k++)
        for (int exponent = -40; exponent <= 40; exponent += 80) {
            const size_t bytes =
                N / dtype_get(ids[k])->block_elems * dtype_get(ids[k])->block_bytes;
            for (size_t i = 0; i < N; i++)
                scaled[i] = ldexpf(w[i], exponent);
            fast.encode[ids[k]](a, x, w, N);
            fast.encode[ids[k]](b, x, scaled, N);
            assert_memory_equal(a, b, bytes);
        }
}

/* What cannot be held is cut to the largest, with its sign. */
static void huge_weights_become_the_largest(void **state)
{
    (void)state;
    static const struct {
        enum dtype_id id;
        float most;
    } types[] = {{DTYPE_Q4_0, 7 * 65504.0f},
                 {DTYPE_Q5_0, 15 * 65504.0f},
                 {DTYPE_Q8_0, 127 * 65504.0f},
                 {DTYPE_Q3_K, 31 * 3 * 65504.0f},
                 {DTYPE_Q6_K, 127 * 31 * 65504.0f}};
    enum { N = SUPER_ELEMS };
    float x[N], y[N];
    uint8_t blocks[2 * N];
    for (size_t i = 0; i < N; i++)
        x[i] = i % 3 ? 3e38f : -2e38f;
    for (size_t k = 0; k < sizeof types / sizeof types[0]; k++) {
        fast.encode[types[k].id](blocks, x, NULL, N);
        fast.decode[types[k].id](y, blocks, N);
        for (size_t i = 0; i < N; i++)
            assert_true(i % 3 ? y[i] >= types[k].most : y[i] <= -types[k].most);
    }
}

int main(void)
{
    kernels_init(&ref, 0);
    kernels_init(&fast, cpu_features());
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scale_is_the_least_squares_one),
        cmocka_unit_test(no_try_loses_what_was_gained),
        cmocka_unit_test(whole_numbers_tell_scales_apart),
        cmocka_unit_test(no_round_raises_the_error_of_a_super_block),
        cmocka_unit_test(values_of_a_grid_come_back),
        cmocka_unit_test(q4_0_checkpoint_is_kept_exactly),
        cmocka_unit_test(importance_has_no_unit),
        cmocka_unit_test(huge_weights_become_the_largest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
