#include "calib/moments.h"

#include "core/mem.h"
#include "core/triangle.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

/* Columns of a tile: large enough that BLAS packs little beside what it multiplies, small
 * enough that there are tiles for all threads. */
enum { TILE = 192 };

static size_t tiles(size_t cols) { return (cols + TILE - 1) / TILE; }

size_t moments_bytes(size_t cols, bool products, int threads)
{
    size_t values = 0;
    if (products)
        calib_triangle(cols, &values);
    return (values + cols) * sizeof(double) +
           (products ? (size_t)threads * TILE * TILE * sizeof(float) : 0);
}

bool moments_open(struct moments *m, size_t cols, bool products, struct pool *pool, struct err *err)
{
    size_t values;
    *m = (struct moments){.pool = pool, .cols = cols};
    m->square = mem_alloc(cols, sizeof *m->square);
    if (products && calib_triangle(cols, &values)) {
        m->upper = mem_alloc(values, sizeof *m->upper);
        m->product = mem_alloc((size_t)pool_threads(pool) * TILE * TILE, sizeof *m->product);
    }
    if (m->square && (!products || (m->upper && m->product)))
        return true;
    moments_close(m);
    return err_set(err, ERR_MEMORY, "no memory for a Hessian of %zu columns", cols);
}

void moments_close(struct moments *m)
{
    free(m->square);
    free(m->upper);
    free(m->product);
    *m = (struct moments){0};
}

struct work {
    struct moments *m;
    const float *x; /* tokens x cols */
    size_t tokens;
};

static size_t tile_width(const struct moments *m, size_t first)
{
    return m->cols - first < TILE ? m->cols - first : TILE;
}

static void add_squares(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t cols = w->m->cols, first = item * TILE, width = tile_width(w->m, first);
    double *square = w->m->square + first;
    (void)thread;
    for (size_t t = 0; t < w->tokens; t++) {
        const float *x = w->x + t * cols + first;
        for (size_t c = 0; c < width; c++)
            square[c] += (double)x[c] * (double)x[c];
    }
}

/* Items count the tiles of the upper triangle, column of tiles after column of tiles. */
static void add_tile(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const struct moments *m = w->m;
    size_t across = 0;
    while ((across + 1) * (across + 2) / 2 <= item)
        across++;
    const size_t col = across * TILE, row = (item - across * (across + 1) / 2) * TILE;
    const size_t rows = tile_width(m, row), cols = tile_width(m, col);
    const int stride = (int)m->cols, depth = (int)w->tokens;
    float *p = m->product + (size_t)thread * TILE * TILE; /* rows x TILE */
    if (row == col)
        cblas_ssyrk(CblasRowMajor, CblasUpper, CblasTrans, (int)rows, depth, 1.0f, w->x + row,
                    stride, 0.0f, p, TILE);
    else
        cblas_sgemm(CblasRowMajor, CblasTrans, CblasNoTrans, (int)rows, (int)cols, depth, 1.0f,
                    w->x + row, stride, w->x + col, stride, 0.0f, p, TILE);
    for (size_t r = 0; r < rows; r++) {
        const size_t from = row == col ? r : 0; /* of the tile's columns */
        double *to = m->upper + triangle_at(m->cols, row + r, col + from);
        const float *product = p + r * TILE + from;
        for (size_t c = 0; c < cols - from; c++)
            to[c] += (double)product[c];
    }
}

bool moments_add(struct moments *m, const float *x, size_t tokens, struct err *err)
{
    struct work w = {m, x, tokens};
    const size_t n = tiles(m->cols);
    pool_for(m->pool, n, add_squares, &w);
    for (size_t c = 0; c < m->cols; c++)
        if (!isfinite(m->square[c]))
            return err_set(err, ERR_NUMERIC, "the activations of column %zu are not finite", c);
    if (m->upper)
        pool_for(m->pool, n * (n + 1) / 2, add_tile, &w);
    m->tokens += tokens;
    return true;
}

/* 1 / tokens; nothing seen has means of 0. */
static double share(const struct moments *m) { return m->tokens ? 1.0 / (double)m->tokens : 0.0; }

/* Of the product of two columns. */
static double factor(const struct moments *m, size_t row, size_t col)
{
    return m->scale ? share(m) * (double)m->scale[row] * (double)m->scale[col] : share(m);
}

static float mean_square(const struct moments *m, size_t col)
{
    return (float)(m->square[col] * factor(m, col, col));
}

void moments_mean_square(const struct moments *m, float *mean)
{
    for (size_t c = 0; c < m->cols; c++)
        mean[c] = mean_square(m, c);
}

static bool give_values(void *arg, size_t matrix, size_t first, size_t count, float *out,
                        struct err *err)
{
    const struct moments *m = arg;
    size_t row = 0, at = first;
    (void)matrix;
    (void)err;
    while (triangle_row(m->cols, row + 1) <= first)
        row++;
    for (; at < first + count; row++)
        for (size_t col = row + at - triangle_row(m->cols, row);
             col < m->cols && at < first + count; col++, at++)
            out[at - first] =
                col == row ? mean_square(m, col) : (float)(m->upper[at] * factor(m, row, col));
    return true;
}

struct calib_hessian moments_hessian(struct moments *m)
{
    return (struct calib_hessian){give_values, m};
}
