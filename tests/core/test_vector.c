/* Every version against the reference, byte for byte, and the reference against libm in double. */
#include "core/vector.h"

#include "core/half.h"
#include "core/rng.h"
#include "tests/core/versions.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

enum { LENGTHS = 70 };

static const struct version *here[VERSIONS];
static struct vector_kernels level[VERSIONS];
static size_t levels;

enum kind { NORMAL, LARGE, EDGES, ODD, KINDS };

static void fill(float *x, size_t n, enum kind kind, uint64_t seed)
{
    static const float edge[] = {-87.0f, -0x1.5c0002p+6f, 88.0f,     0x1.600002p+6f, 0.0f,
                                 -0.0f,  0x1p-149f,       -0x1p-60f, 0x1.62e43p-2f,  -3e38f};
    static const float odd[] = {INFINITY, -INFINITY, NAN, 1.0f};
    struct rng rng = {seed};
    for (size_t i = 0; i < n; i++)
        x[i] = kind == NORMAL  ? rng_normal(&rng)
               : kind == LARGE ? 40.0f * rng_normal(&rng)
               : kind == EDGES ? edge[(i + seed) % (sizeof edge / sizeof *edge)]
                               : odd[(i + seed) % 4];
}

static bool same(double a, double b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

struct result {
    float max, exp[LENGTHS], gate[LENGTHS], added[LENGTHS], scaled[LENGTHS], product[LENGTHS];
    double squares, total;
};

/* In rows of exactly n, on the heap. */
static void run(struct result *r, const struct vector_kernels *v, size_t n, enum kind kind)
{
    float *x = malloc(n * sizeof *x), *y = malloc(n * sizeof *y);
    const size_t bytes = n * sizeof *x;
    memset(r, 0, sizeof *r);
    fill(x, n, kind, n);
    r->max = v->max(x, n);
    r->squares = v->sum_squares(x, n);
    r->total = v->exp(y, x, 0.5f, n);
    memcpy(r->exp, y, bytes);
    v->scale(y, x, -1.5f, n);
    memcpy(r->scaled, y, bytes);
    fill(y, n, kind == ODD ? ODD : NORMAL, n + 7);
    v->silu_gate(x, y, n);
    memcpy(r->gate, x, bytes);
    fill(x, n, kind, n + 1);
    v->multiply(x, y, n);
    memcpy(r->product, x, bytes);
    v->add(x, y, n);
    memcpy(r->added, x, bytes);
    free(x);
    free(y);
}

static void compare(const float *a, const float *b, size_t n, const char *what, const char *where)
{
    for (size_t i = 0; i < n; i++)
        if (!same((double)a[i], (double)b[i]))
            fail_msg("%s, %s of %zu: [%zu] is %a, not %a", where, what, n, i, (double)b[i],
                     (double)a[i]);
}

static void every_version_gives_the_same_bytes(void **state)
{
    (void)state;
    for (int kind = 0; kind < KINDS; kind++)
        for (size_t n = 1; n <= LENGTHS; n++) {
            struct result want, got;
            run(&want, &level[0], n, (enum kind)kind);
            for (size_t l = 1; l < levels; l++) {
                run(&got, &level[l], n, (enum kind)kind);
                assert_true(same((double)want.max, (double)got.max));
                assert_true(same(want.squares, got.squares));
                assert_true(same(want.total, got.total));
                compare(want.exp, got.exp, n, "exp", here[l]->name);
                compare(want.gate, got.gate, n, "silu_gate", here[l]->name);
                compare(want.added, got.added, n, "add", here[l]->name);
                compare(want.scaled, got.scaled, n, "scale", here[l]->name);
                compare(want.product, got.product, n, "multiply", here[l]->name);
            }
        }
}

enum { OUTER_ROWS = 15, DEPTH = 9, STRIDE = VECTOR_PANEL + 3 };

struct outer {
    float y[2][OUTER_ROWS][STRIDE]; /* of b in F32, in F16 */
};

/* So many rows and steps; inputs of exactly that size, on the heap. */
static void run_outer(struct outer *r, const struct vector_kernels *v, size_t rows, size_t depth,
                      bool keep)
{
    const size_t a_stride = depth + 1, b = depth * VECTOR_PANEL;
    float *in = malloc((rows * a_stride + b + rows + 1) * sizeof *in), *y = r->y[0][0];
    uint16_t *half = malloc((b + 1) * sizeof *half);
    fill(in, rows * a_stride + b + rows, NORMAL, rows);
    fill(y, sizeof *r / sizeof *y, NORMAL, 1);
    struct vector_outer o = {.y = y,
                             .a = in + b + rows,
                             .b = in + rows,
                             .y_stride = STRIDE,
                             .a_stride = a_stride,
                             .keep = keep ? in : NULL,
                             .rows = rows,
                             .depth = depth};
    v->outer_f32(&o);
    for (size_t i = 0; i < b; i++)
        half[i] = half_from_float(in[rows + i]);
    o.b = half;
    o.y = r->y[1][0];
    v->outer_f16(&o);
    free(in);
    free(half);
}

static void outer_products_are_the_same_and_stay_within_their_rows(void **state)
{
    (void)state;
    for (size_t rows = 0; rows <= OUTER_ROWS; rows++)
        for (size_t depth = 0; depth <= DEPTH; depth++)
            for (size_t l = 0; l < levels; l++) {
                struct outer want, got;
                run_outer(&want, &level[0], rows, depth, depth % 2);
                run_outer(&got, &level[l], rows, depth, depth % 2);
                compare(want.y[0][0], got.y[0][0], sizeof want / sizeof(float), "outer",
                        here[l]->name);
            }
}

static void bytes_widen_to_products(void **state)
{
    (void)state;
    enum { ROWS = 8, CODES = ROWS * VECTOR_PANEL };
    int8_t x[CODES];
    float scale[VECTOR_PANEL], y[CODES + 1];
    fill(scale, VECTOR_PANEL, NORMAL, 5);
    for (int i = 0; i < CODES; i++)
        x[i] = (int8_t)(i - 128);
    for (size_t l = 0; l < levels; l++) {
        y[CODES] = 7.0f;
        level[l].widen(y, x, scale, ROWS);
        for (int i = 0; i < CODES; i++)
            assert_true(y[i] == (float)(i - 128) * scale[i % VECTOR_PANEL]);
        assert_true(y[CODES] == 7.0f);
    }
}

static void outer_products_are_sums_of_products(void **state)
{
    (void)state;
    enum { ROWS = 3, STEPS = 50 };
    float a[ROWS][STEPS], b[STEPS][VECTOR_PANEL], y[ROWS][VECTOR_PANEL], was[ROWS][VECTOR_PANEL];
    const float keep[ROWS] = {1.0f, 0.25f, 0.0f};
    fill(a[0], ROWS * STEPS, NORMAL, 1);
    fill(b[0], STEPS * VECTOR_PANEL, NORMAL, 2);
    fill(was[0], ROWS * VECTOR_PANEL, NORMAL, 3);
    memcpy(y, was, sizeof y);
    level[0].outer_f32(&(struct vector_outer){.y = y[0],
                                              .a = a[0],
                                              .b = b,
                                              .y_stride = VECTOR_PANEL,
                                              .a_stride = STEPS,
                                              .keep = keep,
                                              .rows = ROWS,
                                              .depth = STEPS});
    for (size_t r = 0; r < ROWS; r++)
        for (size_t c = 0; c < VECTOR_PANEL; c++) {
            double sum = (double)keep[r] * (double)was[r][c];
            for (size_t i = 0; i < STEPS; i++)
                sum += (double)a[r][i] * (double)b[i][c];
            assert_true(fabs((double)y[r][c] - sum) < 1e-5);
        }
}

/* Of floats all over the range, beside libm in double. */
static void exp_is_within_two_units(void **state)
{
    (void)state;
    double worst = 0.0;
    for (float x = -87.0f; x <= 88.0f; x += 0.0007f) {
        float y;
        level[0].exp(&y, &x, 0.0f, 1);
        const double want = exp((double)x);
        const double unit = ldexp(1.0, ilogb(want) - 23);
        worst = fmax(worst, fabs((double)y - want) / unit);
    }
    assert_true(worst < 2.0);
}

static void exp_ends(void **state)
{
    (void)state;
    const float x[] = {-87.01f, -INFINITY, 88.01f, INFINITY, NAN, 0.0f, -87.0f, 88.0f};
    float y[8];
    for (size_t l = 0; l < levels; l++) {
        level[l].exp(y, x, 0.0f, 8);
        assert_true(y[0] == 0.0f && y[1] == 0.0f && isinf(y[2]) && isinf(y[3]) && isnan(y[4]));
        assert_true(y[5] == 1.0f && y[6] > 0.0f && isfinite(y[7]));
    }
}

static void sums_and_gates_are_what_they_are_called(void **state)
{
    (void)state;
    float x[LENGTHS], gate[LENGTHS], up[LENGTHS], y[LENGTHS];
    double squares = 0.0, total = 0.0;
    fill(x, LENGTHS, NORMAL, 3);
    fill(up, LENGTHS, NORMAL, 4);
    memcpy(gate, x, sizeof x);
    float most = x[0];
    for (size_t i = 0; i < LENGTHS; i++) {
        squares += (double)x[i] * (double)x[i];
        total += exp((double)x[i] - 0.25);
        most = fmaxf(most, x[i]);
    }
    assert_true(level[0].max(x, LENGTHS) == most);
    assert_true(fabs(level[0].sum_squares(x, LENGTHS) - squares) < 1e-12 * squares);
    assert_true(fabs(level[0].exp(y, x, 0.25f, LENGTHS) - total) < 1e-6 * total);
    level[0].silu_gate(gate, up, LENGTHS);
    for (size_t i = 0; i < LENGTHS; i++) {
        const double want = (double)x[i] / (1.0 + exp(-(double)x[i])) * (double)up[i];
        assert_true(fabs((double)gate[i] - want) <= 1e-6 * fabs(want));
    }
}

int main(void)
{
    levels = versions_here(here);
    for (size_t l = 0; l < levels; l++)
        vector_init(&level[l], here[l]->cpu);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exp_is_within_two_units),
        cmocka_unit_test(exp_ends),
        cmocka_unit_test(sums_and_gates_are_what_they_are_called),
        cmocka_unit_test(every_version_gives_the_same_bytes),
        cmocka_unit_test(bytes_widen_to_products),
        cmocka_unit_test(outer_products_are_sums_of_products),
        cmocka_unit_test(outer_products_are_the_same_and_stay_within_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
