#include "model/linear.h"

#include "core/mem.h"
#include "model/ops.h"

#include <assert.h>
#include <cblas.h>
#include <stdlib.h>

/* A tile is about 1 MiB of floats, so that it stays in a core's cache, and at least so many rows
 * that packing x again for each does not weigh much. */
enum { TILE_FLOATS = 256 * 1024, TILE_ROWS_MIN = 64, TILE_ROWS_MAX = 512 };

static size_t tile_rows(size_t cols)
{
    const size_t rows = TILE_FLOATS / cols;
    return rows < TILE_ROWS_MIN ? TILE_ROWS_MIN : rows > TILE_ROWS_MAX ? TILE_ROWS_MAX : rows;
}

bool linear_open(struct linear_engine *e, const struct kernels *k, struct pool *pool,
                 size_t max_cols, struct err *err)
{
    const size_t floats =
        TILE_ROWS_MIN * max_cols > TILE_FLOATS ? TILE_ROWS_MIN * max_cols : (size_t)TILE_FLOATS;
    *e = (struct linear_engine){.kernels = k, .pool = pool, .tile_floats = floats};
    e->tile = mem_alloc((size_t)pool_threads(pool), floats * sizeof *e->tile);
    if (!e->tile)
        return err_set(err, ERR_MEMORY, "tiles of %zu floats", floats);
    openblas_set_num_threads(1);
    return true;
}

void linear_close(struct linear_engine *e)
{
    free(e->tile);
    *e = (struct linear_engine){0};
}

struct work {
    const struct linear_engine *engine;
    const float *x;
    size_t vectors;
    const struct linear_job *job;
    size_t end[LINEAR_JOBS_MAX]; /* the tile behind each job's last */
};

static void multiply_tile(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    size_t j = 0;
    while (item >= w->end[j])
        j++;
    const struct linear *l = w->job[j].linear;
    const struct tensor *t = l->weight;
    const size_t rows = (size_t)tensor_rows(t), cols = (size_t)tensor_cols(t);
    const size_t first = (item - (j ? w->end[j - 1] : 0)) * tile_rows(cols);
    const size_t count = rows - first < tile_rows(cols) ? rows - first : tile_rows(cols);

    float *tile = w->engine->tile + (size_t)thread * w->engine->tile_floats;
    float *y = w->job[j].y + first;
    w->engine->kernels->decode[t->dtype->id](tile, t->data + t->bytes / rows * first, count * cols);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)w->vectors, (int)count, (int)cols,
                1.0f, w->x, (int)cols, tile, (int)cols, 0.0f, y, (int)rows);
    for (size_t v = 0; l->bias && v < w->vectors; v++)
        ops_add(y + v * rows, l->bias + first, count);
}

void linear_run(struct linear_engine *e, const float *x, size_t vectors,
                const struct linear_job *job, size_t jobs)
{
    struct work w = {.engine = e, .x = x, .vectors = vectors, .job = job};
    size_t tiles = 0;
    assert(jobs <= LINEAR_JOBS_MAX);
    for (size_t j = 0; j < jobs; j++) {
        const struct tensor *t = job[j].linear->weight;
        const size_t rows = (size_t)tensor_rows(t), tall = tile_rows((size_t)tensor_cols(t));
        tiles += (rows + tall - 1) / tall;
        w.end[j] = tiles;
    }
    if (vectors > 0)
        pool_for(e->pool, tiles, multiply_tile, &w);
}
