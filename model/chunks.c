#include "model/chunks.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdlib.h>

enum {
    CHUNK_ELEMS = 64 * 1024,
    BATCH_CHUNKS = 128, /* between two looks at the stop flag and the progress bar */
    ELEM_BYTES_MAX = 8, /* F64 */
};

struct batch {
    struct chunks *c;
    chunk_fn work;
    void *arg;
    size_t first, rows, chunk_rows;
};

static size_t rows_of_chunk(size_t cols, size_t step)
{
    const size_t steps = cols > 0 ? CHUNK_ELEMS / cols / step : 0;
    return (steps > 0 ? steps : 1) * step;
}

bool chunks_open(struct chunks *c, struct pool *pool, uint64_t max_cols, size_t step,
                 struct err *err)
{
    const size_t threads = (size_t)pool_threads(pool);
    const size_t elems =
        max_cols > CHUNK_ELEMS / step ? (size_t)max_cols * step : (size_t)CHUNK_ELEMS;
    *c = (struct chunks){.pool = pool, .max_cols = (size_t)max_cols, .step = step};
    c->scratch = mem_alloc(threads, sizeof *c->scratch);
    c->part = mem_alloc(BATCH_CHUNKS, sizeof *c->part);
    bool ok = c->scratch && c->part;
    for (size_t i = 0; ok && i < threads; i++) {
        struct chunk_scratch *s = &c->scratch[i];
        s->thread = (int)i;
        ok = (s->x = mem_alloc(elems, sizeof(float))) && (s->y = mem_alloc(elems, sizeof(float))) &&
             (s->bytes = mem_alloc(elems, ELEM_BYTES_MAX));
    }
    if (!ok) {
        chunks_close(c);
        return err_set(err, ERR_MEMORY, "no memory for rows of %zu columns on %zu threads", elems,
                       threads);
    }
    return true;
}

void chunks_close(struct chunks *c)
{
    for (int i = 0; c->scratch && i < pool_threads(c->pool); i++) {
        free(c->scratch[i].x);
        free(c->scratch[i].y);
        free(c->scratch[i].bytes);
    }
    free(c->scratch);
    free(c->part);
    *c = (struct chunks){0};
}

static void work_chunk(size_t i, int thread, void *arg)
{
    const struct batch *b = arg;
    const size_t row = (b->first + i) * b->chunk_rows, left = b->rows - row;
    b->c->part[i] = (struct chunk_part){0};
    b->work(b->arg, row, left < b->chunk_rows ? left : b->chunk_rows, &b->c->scratch[thread],
            &b->c->part[i]);
}

static bool merge(struct chunk_part *total, const struct chunk_part *part, struct err *err)
{
    if (part->err.code != ERR_NONE) {
        if (err)
            *err = part->err;
        return false;
    }
    if (total->different == 0) {
        total->first_row = part->first_row;
        total->first_column = part->first_column;
    }
    error_merge(&total->sums, &part->sums);
    total->nonfinite += part->nonfinite;
    total->kept_rows += part->kept_rows;
    total->loss += part->loss;
    total->plain_loss += part->plain_loss;
    total->different += part->different;
    return true;
}

bool chunks_for(struct chunks *c, size_t rows, size_t cols, chunk_fn work, void *arg,
                struct progress *progress, const char *name, size_t row_bytes,
                struct chunk_part *total, struct err *err)
{
    if (cols == 0) /* a file may claim any number of empty rows */
        return true;
    struct batch b = {c, work, arg, 0, rows, rows_of_chunk(cols, c->step)};
    const size_t chunks = rows / b.chunk_rows + (rows % b.chunk_rows != 0);
    for (; b.first < chunks; b.first += BATCH_CHUNKS) {
        const size_t left = chunks - b.first, n = left < BATCH_CHUNKS ? left : BATCH_CHUNKS;
        if (!stop_check(err))
            return false;
        pool_for(c->pool, n, work_chunk, &b);
        for (size_t i = 0; i < n; i++)
            if (!merge(total, &c->part[i], err))
                return false;
        const size_t from = b.first * b.chunk_rows, to = from + n * b.chunk_rows;
        progress_step(progress, name, (uint64_t)((to < rows ? to : rows) - from) * row_bytes);
    }
    return true;
}
