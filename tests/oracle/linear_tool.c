/* One linear through the codecs that know its inputs, for test_uniform.py and test_awq.py.
 *
 *   linear_tool gptq BITS GROUP SYMMETRIC SWEEPS DAMP <IN >OUT
 *   linear_tool round BITS GROUP SYMMETRIC <IN >OUT     the diagonal of H as importance
 *   linear_tool awq BITS GROUP SYMMETRIC <IN >OUT
 *   linear_tool awq TYPE [PEAK] <IN >OUT                the input rounded, too
 *   linear_tool factor DAMP <IN >OUT
 *
 * IN: uint64 rows, cols; float W (rows x cols), the upper triangle of H, row by row.
 * OUT of gptq and round: codes (a byte each), scales (float), zeros (float); of awq: doubles a, b,
 * loss before, after, and a float factor a column; of factor: H, damped, and U, cols x cols
 * floats each, and a double, the mean of H's diagonal. */
#include "calib/awq_search.h"
#include "calib/gptq_uniform.h"
#include "core/cpu.h"
#include "core/half.h"
#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct linear_data {
    size_t rows, cols;
    struct pool *pool;
    float *w, *upper, *hessian, *mean_square; /* hessian: square, its upper triangle filled */
};

static bool read_floats(float *to, size_t n) { return fread(to, sizeof *to, n, stdin) == n; }

static bool data_read(struct linear_data *d)
{
    uint64_t size[2];
    if (fread(size, sizeof size[0], 2, stdin) != 2)
        return false;
    d->rows = (size_t)size[0];
    d->cols = (size_t)size[1];
    const size_t triangle = d->cols * (d->cols + 1) / 2;
    d->w = mem_alloc(d->rows * d->cols, sizeof(float));
    d->upper = mem_alloc(triangle, sizeof(float));
    d->hessian = mem_alloc(d->cols * d->cols, sizeof(float));
    d->mean_square = mem_alloc(d->cols, sizeof(float));
    if (!d->w || !d->upper || !d->hessian || !d->mean_square ||
        !read_floats(d->w, d->rows * d->cols) || !read_floats(d->upper, triangle))
        return false;
    const float *at = d->upper;
    for (size_t i = 0; i < d->cols; i++)
        for (size_t j = i; j < d->cols; j++)
            d->hessian[i * d->cols + j] = *at++;
    for (size_t i = 0; i < d->cols; i++)
        d->mean_square[i] = d->hessian[i * d->cols + i];
    return true;
}

static void put_float(float v) { fwrite(&v, sizeof v, 1, stdout); }

static void put_double(double v) { fwrite(&v, sizeof v, 1, stdout); }

static struct uniform form_of(char **arg)
{
    return (struct uniform){atoi(arg[0]), (size_t)atoi(arg[1]), atoi(arg[2]) != 0};
}

static bool run_codes(const struct linear_data *d, char **arg, bool feedback, struct err *err)
{
    struct factor f = {0};
    struct gptq_uniform g = {.factor = &f, .form = form_of(arg + 2), .cpu = cpu_features()};
    if (!uniform_check(&g.form, d->cols, err))
        return false;
    const size_t groups = uniform_groups(&g.form, d->cols), codes = d->rows * d->cols;
    const struct uniform_rows to = {mem_alloc(codes, 1), mem_alloc(d->rows * groups, 2),
                                    mem_alloc(d->rows * groups, 1)};
    bool ok = to.code && to.scale && to.zero;
    if (ok && feedback) {
        const struct factor_options o = {.damp = atof(arg[6])};
        g.sweeps = (unsigned)atoi(arg[5]);
        ok = factor_open(&f, d->upper, d->cols, &o, d->pool, err);
        float *room = ok ? mem_alloc(gptq_uniform_room(&g), sizeof *room) : NULL;
        ok = room != NULL;
        if (ok)
            gptq_uniform_rows(&g, d->w, d->rows, &to, room, NULL);
        free(room);
    }
    for (size_t r = 0; ok && !feedback && r < d->rows; r++)
        uniform_encode_row(&g.form, d->w + r * d->cols, d->mean_square, d->cols,
                           to.code + r * d->cols, to.scale + r * groups, to.zero + r * groups);
    if (ok) {
        fwrite(to.code, 1, codes, stdout);
        for (size_t i = 0; i < d->rows * groups; i++)
            put_float(half_to_float(to.scale[i]));
        for (size_t i = 0; i < d->rows * groups; i++)
            put_float((float)to.zero[i]);
    }
    free(to.code);
    free(to.scale);
    free(to.zero);
    factor_close(&f);
    return ok;
}

static bool run_awq(const struct linear_data *d, int args, char **arg, struct err *err)
{
    struct kernels k;
    struct awq_choice choice;
    const struct uniform form = args == 5 ? form_of(arg + 2) : (struct uniform){0};
    const struct dtype *dtype = dtype_find(args == 5 ? "F32" : arg[2]);
    const struct fold_site site = {
        .channels = d->cols, .cols = d->cols, .run = d->cols, .repeats = 1};
    const struct awq_problem p = {
        .site = &site,
        .reader = {{.weight = d->w,
                    .rows = d->rows,
                    .dtype = dtype->id,
                    .uniform = args == 5 ? &form : NULL}},
        .readers = 1,
        .mean_square = d->mean_square,
        .hessian = d->hessian,
        .remains = 1.0,
        .peak = args == 4 ? atof(arg[3]) : 0.0,
    };
    int8_t *step = mem_alloc(d->cols, 1);
    kernels_init(&k, cpu_features());
    const bool ok = step && awq_search(&p, &k, d->pool, step, &choice, err);
    if (ok) {
        put_double(choice.activation);
        put_double(choice.weight);
        put_double(choice.before);
        put_double(choice.after);
        for (size_t c = 0; c < d->cols; c++)
            put_float(fold_factor(step[c]));
    }
    free(step);
    return ok;
}

static bool run_factor(const struct linear_data *d, const char *damp, struct err *err)
{
    struct factor f;
    const struct factor_options o = {.damp = atof(damp)};
    if (!factor_open(&f, d->upper, d->cols, &o, d->pool, err))
        return false;
    for (size_t i = 0; i < d->cols; i++)
        for (size_t j = 0; j < d->cols; j++)
            put_float(factor_h_at(&f, i, j));
    for (size_t i = 0; i < d->cols; i++)
        for (size_t j = 0; j < d->cols; j++)
            put_float(i <= j ? factor_u_at(&f, i, j) : 0.0f);
    put_double(f.mean);
    factor_close(&f);
    return true;
}

int main(int argc, char **argv)
{
    struct linear_data d = {0};
    struct err err = {.text = "usage"};
    const char *what = argc > 2 ? argv[1] : "";
    bool ok = data_read(&d) && pool_open(&d.pool, 2, &err);
    if (ok && strcmp(what, "gptq") == 0 && argc == 7)
        ok = run_codes(&d, argv, true, &err);
    else if (ok && strcmp(what, "round") == 0 && argc == 5)
        ok = run_codes(&d, argv, false, &err);
    else if (ok && strcmp(what, "awq") == 0 && argc >= 3 && argc <= 5)
        ok = run_awq(&d, argc, argv, &err);
    else if (ok && strcmp(what, "factor") == 0 && argc == 3)
        ok = run_factor(&d, argv[2], &err);
    else
        ok = false;
    if (!ok)
        fprintf(stderr, "%s\n", err.text);
    pool_close(d.pool);
    free(d.w);
    free(d.upper);
    free(d.hessian);
    free(d.mean_square);
    return ok ? 0 : 1;
}
