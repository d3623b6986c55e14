/* Products against the reference, byte for byte, and the reference against sums in double. */
#include "core/half.h"
#include "core/mem.h"
#include "quantize/codec.h"
#include "quantize/dot.h"
#include "quantize/dot_laid.h"
#include "tests/core/versions.h"
#include "tests/quantize/sample_weights.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct kernels plain, codecs; /* the reference's and the best */
static const struct version *here[VERSIONS];
static struct dot_kernels level[VERSIONS];
static size_t levels;

static const struct dot_kernels *ref(void) { return &level[0]; }

/* Weights and activations on the heap, in exactly their size. */
struct product {
    struct dot_weight w;
    uint8_t *data;
    float *x;
    void *in; /* x as the type wants it */
    size_t rows, vectors, x_bytes;
};

/* Weights of normal numbers where quern writes the type, else of any bytes with tame halves. */
static void fill_weights(uint8_t *data, enum dtype_id type, size_t n, uint64_t seed)
{
    const struct dtype *t = dtype_get(type);
    if (codecs.encode[type]) {
        float *x = malloc(n * sizeof *x);
        weights_fill(x, n, WEIGHTS_NORMAL, seed);
        codecs.encode[type](data, x, NULL, n);
        free(x);
        return;
    }
    struct seed s = {seed};
    for (size_t i = 0; i < n / t->block_elems * t->block_bytes; i++)
        data[i] = (uint8_t)(seed_next(&s) & 0xbf);
}

static struct product product_new(enum dtype_id type, size_t rows, size_t cols, size_t vectors,
                                  enum weights_kind kind, uint64_t seed)
{
    const struct dtype *t = dtype_get(type);
    const size_t row_bytes = cols / t->block_elems * t->block_bytes;
    struct product p = {.rows = rows, .vectors = vectors};
    p.x_bytes = dot_input_bytes(dot_form(type), cols);
    p.data = malloc(rows * row_bytes);
    p.x = malloc(vectors * cols * sizeof *p.x);
    p.in = mem_alloc(vectors, p.x_bytes);
    p.w = (struct dot_weight){type, p.data, row_bytes, cols, false};
    fill_weights(p.data, type, rows * cols, seed);
    weights_fill(p.x, vectors * cols, kind, seed + 1);
    for (size_t v = 0; v < vectors; v++)
        dot_quantize(ref(), dot_form(type), (uint8_t *)p.in + v * p.x_bytes, p.x + v * cols, cols);
    return p;
}

static void product_free(struct product *p)
{
    free(p->data);
    free(p->x);
    free(p->in);
}

/* y, vectors x rows, freed by the caller. */
static float *product_run(const struct product *p, const struct dot_kernels *k)
{
    float *y = malloc(p->vectors * p->rows * sizeof *y);
    void *scratch = mem_alloc(dot_scratch_bytes(p->w.cols), 1);
    dot_multiply(k, &p->w, 0, p->rows, p->in, p->vectors, y, p->rows, scratch);
    free(scratch);
    return y;
}

static bool same(float a, float b)
{
    return memcmp(&a, &b, sizeof a) == 0 || (isnan(a) && isnan(b));
}

/* The same rows laid out, freed by the caller; false where k leaves them as they are. */
static bool product_lay(struct product *laid, const struct product *p, const struct dot_kernels *k)
{
    const size_t bytes = dot_laid_bytes(k, p->w.type, p->rows, p->w.cols);
    *laid = *p;
    if (bytes == 0)
        return false;
    laid->w.laid = true;
    laid->w.data = laid->data = mem_alloc(bytes, 1);
    for (size_t row = 0; row < p->rows; row += LAID_ROWS)
        laid_write(laid->data + row * p->w.row_bytes, p->w.type, p->w.data + row * p->w.row_bytes,
                   p->w.row_bytes, p->rows - row < LAID_ROWS ? p->rows - row : LAID_ROWS,
                   p->w.cols);
    return true;
}

static void check_run(const struct product *p, const struct dot_kernels *k, const float *want,
                      const char *what)
{
    float *got = product_run(p, k);
    for (size_t i = 0; i < p->vectors * p->rows; i++)
        if (!same(got[i], want[i]))
            fail_msg("%s, %s, %zu rows of %zu, %zu x, %s: y[%zu] is %a, not %a",
                     dtype_get(p->w.type)->name, k->name, p->rows, p->w.cols, p->vectors, what, i,
                     (double)got[i], (double)want[i]);
    free(got);
}

static void check_same(const struct product *p, const struct dot_kernels *k, const float *want,
                       const char *what)
{
    struct product laid;
    check_run(p, k, want, what);
    if (product_lay(&laid, p, k)) {
        check_run(&laid, k, want, "laid out");
        free(laid.data);
    }
}

static const enum dtype_id *types(size_t *count)
{
    static enum dtype_id list[DTYPE_COUNT];
    *count = 0;
    for (int i = 0; i < DTYPE_COUNT; i++)
        if (dtype_get((enum dtype_id)i)->class != DTYPE_INTEGER)
            list[(*count)++] = (enum dtype_id)i;
    return list;
}

static size_t cols_of(enum dtype_id type, size_t pieces)
{
    const size_t elems = dtype_get(type)->block_elems;
    return elems == 256  ? 256 * pieces
           : elems == 32 ? 256 * pieces - 32 * (pieces % 3)
                         : 256 * pieces - 5 * (pieces % 3);
}

/* The exact product of the decoded weights and of x as it was quantized, and the sum of the
 * magnitudes of its terms. */
static double exact(const struct product *p, size_t row, size_t v, double *magnitude)
{
    const size_t n = p->w.cols;
    const uint8_t *in = (const uint8_t *)p->in + v * p->x_bytes;
    float *w = malloc(n * sizeof *w);
    double sum = 0.0;
    *magnitude = 0.0;
    plain.decode[p->w.type](w, p->data + row * p->w.row_bytes, n);
    for (size_t i = 0; i < n; i++) {
        double x = p->x[v * n + i];
        if (dot_form(p->w.type) == DOT_BLOCK) {
            const struct dot_block_input *b =
                (const struct dot_block_input *)(const void *)in + i / 256;
            x = (double)b->d[i / 32 % 8] * b->q[i % 256];
        } else if (dot_form(p->w.type) == DOT_SUPER) {
            const struct dot_super_input *b =
                (const struct dot_super_input *)(const void *)in + i / 256;
            x = (double)b->d * b->q[i % 256];
        }
        sum += x * (double)w[i];
        *magnitude += fabs(x * (double)w[i]);
    }
    free(w);
    return sum;
}

/* A float sum of n terms is within n roundings of the largest partial sum; minima cancel. */
static void the_reference_is_the_product(void **state)
{
    (void)state;
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t pieces = 1; pieces < 5; pieces++) {
            struct product p =
                product_new(type[i], 3, cols_of(type[i], pieces), 2, WEIGHTS_NORMAL, pieces);
            float *y = product_run(&p, ref());
            for (size_t v = 0; v < p.vectors; v++)
                for (size_t r = 0; r < p.rows; r++) {
                    double magnitude;
                    const double want = exact(&p, r, v, &magnitude);
                    const double got = (double)y[v * p.rows + r];
                    if (!(fabs(got - want) <= 4e-6 * magnitude))
                        fail_msg("%s: %zu columns: %.9g, exactly %.9g", dtype_get(type[i])->name,
                                 p.w.cols, got, want);
                }
            free(y);
            product_free(&p);
        }
}

static void every_version_gives_the_same_bytes(void **state)
{
    (void)state;
    static const size_t vectors[] = {1, 2, 3, 7, 8, 9, 33}, rows[] = {1, 5, 16, 33, 64, 67, 70};
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < 7; j++) {
            struct product p = product_new(type[i], rows[j], cols_of(type[i], 1 + j % 4),
                                           vectors[j], WEIGHTS_NORMAL, j);
            float *want = product_run(&p, ref());
            for (size_t l = 1; l < levels; l++)
                check_same(&p, &level[l], want, "normal");
            free(want);
            product_free(&p);
        }
}

/* Groups of rows, whole and not. */
static void rows_laid_out_give_the_same_bytes(void **state)
{
    (void)state;
    static const size_t rows[] = {1, 2, 31, 32, 33, 64, 70}, pieces[] = {1, 2, 3, 4, 5, 6, 11};
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t j = 0; j < sizeof rows / sizeof *rows; j++) {
            if (dtype_get(type[i])->block_elems == 1)
                continue;
            struct product p =
                product_new(type[i], rows[j], 256 * pieces[j], 1 + 2 * j, WEIGHTS_NORMAL, 3 * j);
            float *want = product_run(&p, ref());
            for (size_t l = 1; l < levels; l++)
                check_same(&p, &level[l], want, "groups of rows");
            free(want);
            product_free(&p);
        }
}

/* Floats go through a cache in parts. */
static void long_rows_give_the_same_bytes(void **state)
{
    (void)state;
    for (size_t cols = 1030; cols < 8000; cols *= 2) {
        struct product p = product_new(DTYPE_F16, 37, cols, 33, WEIGHTS_NORMAL, cols);
        float *want = product_run(&p, ref());
        for (size_t l = 1; l < levels; l++)
            check_same(&p, &level[l], want, "long rows");
        free(want);
        product_free(&p);
    }
}

static void many_x_are_multiplied_as_one_by_one(void **state)
{
    (void)state;
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++) {
        struct product p = product_new(type[i], 19, cols_of(type[i], 3), 13, WEIGHTS_NORMAL, 77);
        for (size_t l = 1; l < levels; l++) {
            float *all = product_run(&p, &level[l]);
            for (size_t v = 0; v < p.vectors; v++) {
                struct product one = p;
                one.in = (uint8_t *)p.in + v * p.x_bytes;
                one.vectors = 1;
                check_same(&one, &level[l], all + v * p.rows, "one of 13");
            }
            free(all);
        }
        product_free(&p);
    }
}

/* Any bytes as weights, at an odd address, and x of every kind. */
static void arbitrary_bytes_and_nasty_x(void **state)
{
    (void)state;
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++)
        for (int kind = 0; kind < WEIGHTS_KINDS; kind++) {
            static const size_t vectors[] = {2, 9, 1};
            struct product p = product_new(type[i], 18, cols_of(type[i], 2), vectors[kind % 3],
                                           (enum weights_kind)kind, 5);
            const size_t bytes = p.rows * p.w.row_bytes;
            uint8_t *any = malloc(bytes + 1);
            struct seed s = {(uint64_t)kind};
            for (size_t b = 0; b < bytes; b++)
                any[1 + b] = (uint8_t)seed_next(&s);
            p.w.data = any + 1;
            float *want = product_run(&p, ref());
            for (size_t l = 1; l < levels; l++)
                check_same(&p, &level[l], want, "any bytes");
            free(want);
            free(any);
            product_free(&p);
        }
}

static void extreme_codes_do_not_saturate(void **state)
{
    (void)state;
    static const uint8_t fill[] = {0x00, 0x80, 0x7f, 0xff, 0x88, 0x08};
    size_t count;
    const enum dtype_id *type = types(&count);
    for (size_t i = 0; i < count; i++)
        for (size_t f = 0; f < sizeof fill; f++) {
            struct product p = product_new(type[i], 17, 256, 9, WEIGHTS_EQUAL, f);
            memset(p.data, fill[f], p.rows * p.w.row_bytes);
            for (size_t j = 0; j < 9 * 256; j++)
                p.x[j] = j % 3 && f % 2 ? -1.0f : 1.0f;
            for (size_t v = 0; v < 9; v++)
                dot_quantize(ref(), dot_form(type[i]), (uint8_t *)p.in + v * p.x_bytes,
                             p.x + v * 256, 256);
            float *want = product_run(&p, ref());
            for (size_t l = 1; l < levels; l++)
                check_same(&p, &level[l], want, "one byte");
            p.vectors = 1;
            for (size_t l = 1; l < levels; l++)
                check_same(&p, &level[l], want, "one byte");
            free(want);
            product_free(&p);
        }
}

/* Half way between two codes, for the scale is one. */
static void fill_halfway(float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        x[i] = i % 32 == 0 ? 127.0f : (float)(i * 11 % 253) - 126.5f;
}

static void x_is_quantized_alike(void **state)
{
    (void)state;
    for (int form = 0; form < DOT_FORMS; form++)
        for (int kind = 0; kind < WEIGHTS_KINDS + 3; kind++) {
            const size_t n = form == DOT_BLOCK ? 32 * 11 : form == DOT_SUPER ? 256 * 3 : 77;
            const size_t bytes = dot_input_bytes((enum dot_form)form, n);
            float *x = malloc(n * sizeof *x);
            uint8_t *a = mem_alloc(bytes, 1), *b = mem_alloc(bytes, 1);
            weights_fill(x, n, (enum weights_kind)(kind % WEIGHTS_KINDS), 9);
            if (kind >= WEIGHTS_KINDS)
                x[n / 2] = kind == WEIGHTS_KINDS ? NAN : -INFINITY;
            if (kind == WEIGHTS_KINDS + 2)
                fill_halfway(x, n);
            memset(a, 0x55, bytes);
            dot_quantize(ref(), (enum dot_form)form, a, x, n);
            for (size_t l = 1; l < levels; l++) {
                memset(b, 0xaa, bytes);
                dot_quantize(&level[l], (enum dot_form)form, b, x, n);
                if (memcmp(a, b, bytes) != 0)
                    fail_msg("form %d, weights %d: %s differs", form, kind, level[l].name);
            }
            free(x);
            free(a);
            free(b);
        }
}

static void eight_bits_are_near_and_what_is_not_finite_shows(void **state)
{
    (void)state;
    float x[256];
    struct dot_super_input in;
    weights_fill(x, 256, WEIGHTS_NORMAL, 1);
    dot_quantize(ref(), DOT_SUPER, &in, x, 256);
    for (int i = 0; i < 256; i++)
        assert_true(fabsf(x[i] - in.d * (float)in.q[i]) <= 0.5001f * in.d);
    for (int g = 0; g < 16; g++) {
        int sum = 0;
        for (int i = 0; i < 16; i++)
            sum += in.q[16 * g + i];
        assert_int_equal(in.sum[g / 2 + 8 * (g % 2)], sum);
    }
    x[100] = NAN;
    dot_quantize(ref(), DOT_SUPER, &in, x, 256);
    assert_true(isnan(in.d));
}

static void fewer_features_choose_slower_versions(void **state)
{
    (void)state;
    for (size_t l = 0; l < levels; l++)
        assert_string_equal(level[l].name, here[l]->name);
}

int main(void)
{
    kernels_init(&plain, 0);
    kernels_init(&codecs, cpu_features());
    levels = versions_here(here);
    for (size_t l = 0; l < levels; l++)
        dot_init(&level[l], l == 0 ? &plain : &codecs, here[l]->cpu);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fewer_features_choose_slower_versions),
        cmocka_unit_test(the_reference_is_the_product),
        cmocka_unit_test(x_is_quantized_alike),
        cmocka_unit_test(eight_bits_are_near_and_what_is_not_finite_shows),
        cmocka_unit_test(every_version_gives_the_same_bytes),
        cmocka_unit_test(rows_laid_out_give_the_same_bytes),
        cmocka_unit_test(long_rows_give_the_same_bytes),
        cmocka_unit_test(many_x_are_multiplied_as_one_by_one),
        cmocka_unit_test(arbitrary_bytes_and_nasty_x),
        cmocka_unit_test(extreme_codes_do_not_saturate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
