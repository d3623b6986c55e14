#include "calib/gptq_matrix.h"

#include "core/mem.h"
#include "core/stop.h"
#include "core/triangle.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>
#include <string.h>

enum { COLUMNS = 128, LADDER = 4 };

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* Block b takes every blocks-th row from b on. */
static bool set_order(struct gptq_matrix *m)
{
    const size_t share = m->rows / GPTQ_MATRIX_BLOCKS, step = GPTQ_MATRIX_ROWS;
    const size_t wanted = (share + step - 1) / step * step;
    const size_t most = wanted < 2 * step ? 2 * step : wanted;
    size_t at = 0;
    m->blocks = (m->rows + most - 1) / most;
    m->first = mem_alloc(m->blocks + 1, sizeof *m->first);
    m->order = mem_alloc(m->rows, sizeof *m->order);
    if (!m->first || !m->order)
        return false;
    for (size_t b = 0; b < m->blocks; b++) {
        m->first[b] = at;
        for (size_t row = b; row < m->rows; row += m->blocks)
            m->order[at++] = row;
    }
    m->first[m->blocks] = at;
    return true;
}

/* a = G + damp, by positions from the last to the first: its lower Cholesky factor, turned round, is
 * upper triangular U with G = U U'.  (What is lower by rows is upper by columns.) */
static bool factorize(const struct gptq_matrix *m, const float *gradient, double damp, double *a)
{
    const size_t n = m->rows;
    double mean = 0.0;
    for (size_t i = 0; i < n; i++)
        mean += (double)gradient[triangle_row(n, i)] / (double)n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j <= i; j++)
            a[i * n + j] =
                (double)gradient[triangle_at(n, m->order[n - 1 - i], m->order[n - 1 - j])] +
                (i == j ? damp * mean : 0.0);
    return mean > 0.0 &&
           LAPACKE_dpotrf(LAPACK_COL_MAJOR, 'U', (lapack_int)n, a, (lapack_int)n) == 0;
}

bool gptq_matrix_open(struct gptq_matrix *m, const struct gptq *g, struct gptq_scratch *scratch,
                      struct pool *pool, const float *gradient, size_t rows, bool *usable,
                      struct err *err)
{
    *m = (struct gptq_matrix){.gptq = g,
                              .scratch = scratch,
                              .pool = pool,
                              .rows = rows,
                              .cols = g->factor->cols,
                              .damp = GPTQ_MATRIX_DAMP};
    double *a = mem_alloc(rows, rows * sizeof *a);
    if (!a || !set_order(m) || !(m->feedback = mem_alloc(rows, rows * sizeof *m->feedback))) {
        free(a);
        gptq_matrix_close(m);
        return err_set(err, ERR_MEMORY, "feedback between %zu rows", rows);
    }
    int step = 0;
    while (!(*usable = factorize(m, gradient, m->damp, a)) && ++step < LADDER)
        m->damp *= 10.0;
    for (size_t j = 0; *usable && j < rows; j++)
        for (size_t k = 0; k <= j; k++)
            m->feedback[j * rows + k] =
                (float)(a[(rows - 1 - k) * rows + rows - 1 - j] / a[(rows - 1 - j) * (rows + 1)]);
    free(a);
    return true;
}

void gptq_matrix_close(struct gptq_matrix *m)
{
    free(m->first);
    free(m->order);
    free(m->feedback);
    *m = (struct gptq_matrix){0};
}

/* A block in work. */
struct work {
    const struct gptq_matrix *m;
    float *w;               /* errors before `first`, weights from it on */
    float *target;          /* rows x cols */
    uint8_t *encoded;       /* of the block's rows, by position */
    float *decoded;         /* GPTQ_MATRIX_ROWS x cols a thread */
    struct gptq_sums *sums; /* one an item */
    size_t first, rows, row_bytes;
    uint8_t *blocks;
};

/* What the block's rows should make up for, in some columns. */
static void aim(size_t i, int thread, void *arg)
{
    const struct work *t = arg;
    const struct gptq_matrix *m = t->m;
    const size_t col = i * COLUMNS, n = m->cols;
    const int cols = (int)least(n - col, COLUMNS), stride = (int)n, rows = (int)m->rows;
    const float *feedback = m->feedback + t->first * m->rows;
    const float *own = t->w + t->first * n + col;
    float *target = t->target + col;
    (void)thread;
    if (t->first > 0) {
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)t->rows, cols, (int)t->first,
                    -1.0f, feedback, rows, t->w + col, stride, 0.0f, target, stride);
        cblas_strsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasUnit, (int)t->rows,
                    cols, 1.0f, feedback + t->first, rows, target, stride);
    }
    for (size_t r = 0; r < t->rows; r++)
        for (size_t c = 0; c < (size_t)cols; c++)
            target[r * n + c] += own[r * n + c];
}

static void encode(size_t i, int thread, void *arg)
{
    const struct work *t = arg;
    const struct gptq_matrix *m = t->m;
    const struct gptq *g = m->gptq;
    const size_t at = i * GPTQ_MATRIX_ROWS, rows = least(t->rows - at, GPTQ_MATRIX_ROWS);
    float *v = t->decoded + (size_t)thread * GPTQ_MATRIX_ROWS * m->cols;
    uint8_t *to = t->encoded + at * t->row_bytes;
    t->sums[i] = (struct gptq_sums){0};
    gptq_rows(g, t->target + at * m->cols, rows, to, &m->scratch[thread], &t->sums[i]);
    g->kernels->decode[g->dtype->id](v, to, rows * m->cols);
    for (size_t r = 0; r < rows; r++) {
        const size_t position = t->first + at + r;
        float *w = t->w + position * m->cols;
        for (size_t c = 0; c < m->cols; c++)
            w[c] = v[r * m->cols + c] - w[c];
        memcpy(t->blocks + m->order[position] * t->row_bytes, to + r * t->row_bytes, t->row_bytes);
    }
}

bool gptq_matrix_run(const struct gptq_matrix *m, float *w, uint8_t *blocks, struct gptq_sums *sums,
                     struct err *err)
{
    const size_t most = m->first[1], items = (most + GPTQ_MATRIX_ROWS - 1) / GPTQ_MATRIX_ROWS;
    const size_t threads = (size_t)pool_threads(m->pool);
    struct work t = {.m = m, .w = w, .blocks = blocks};
    t.row_bytes = gptq_row_bytes(m->gptq);
    t.target = mem_alloc(most, m->cols * sizeof *t.target);
    t.encoded = mem_alloc(most, t.row_bytes);
    t.decoded = mem_alloc(threads * GPTQ_MATRIX_ROWS, m->cols * sizeof *t.decoded);
    t.sums = mem_alloc(items, sizeof *t.sums);
    bool ok = t.target && t.encoded && t.decoded && t.sums;
    if (!ok)
        err_set(err, ERR_MEMORY, "blocks of %zu rows", most);
    for (size_t b = 0; ok && b < m->blocks; b++) {
        t.first = m->first[b];
        t.rows = m->first[b + 1] - t.first;
        if (t.first == 0)
            memset(t.target, 0, most * m->cols * sizeof *t.target);
        const size_t count = (t.rows + GPTQ_MATRIX_ROWS - 1) / GPTQ_MATRIX_ROWS;
        pool_for(m->pool, (m->cols + COLUMNS - 1) / COLUMNS, aim, &t);
        pool_for(m->pool, count, encode, &t);
        for (size_t i = 0; i < count; i++) {
            sums->loss += t.sums[i].loss;
            sums->rounding += t.sums[i].rounding;
            sums->rows += t.sums[i].rows;
            sums->kept += t.sums[i].kept;
        }
        ok = stop_check(err);
    }
    free(t.target);
    free(t.encoded);
    free(t.decoded);
    free(t.sums);
    return ok;
}
