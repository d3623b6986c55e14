#include "model/chunks.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdlib.h>

enum {
    CHUNK_ELEMS = 64 * 1024,
    BATCH_CHUNKS = 128, /* between two looks at the stop flag and the progress bar; */
    SLOW_CHUNKS = 8,    /* a thread, where rows come together and take long */
    ELEM_BYTES_MAX = 8, /* F64 */
    STRETCH_MIN = 64 * 1024,
};

struct batch {
    struct chunks *c;
    const struct chunk_rows *all;
    chunk_fn work;
    void *arg;
    size_t first, chunks;
    size_t chunk_rows; /* of each chunk, or 0: */
    size_t stretch; /* of the file: a chunk has the rows from before its start to before its end */
};

static size_t rows_of_chunk(size_t cols, size_t step)
{
    const size_t steps = cols > 0 ? CHUNK_ELEMS / cols / step : 0;
    return (steps > 0 ? steps : 1) * step;
}

/* A power of two near the bytes of a chunk's elements: a system keeps such stretches of a file in
 * large pages if they are written at once.  0 where rows are too long. */
static size_t stretch_of(const struct chunk_rows *all)
{
    size_t stretch = STRETCH_MIN;
    while (stretch < CHUNK_ELEMS * ELEM_BYTES_MAX / 2 &&
           2 * stretch / all->row_bytes * all->cols <= CHUNK_ELEMS)
        stretch *= 2;
    return all->row_bytes <= stretch ? stretch : 0;
}

static size_t first_row(const struct batch *b, size_t chunk)
{
    const struct chunk_rows *all = b->all;
    if (chunk == b->chunks)
        return all->rows;
    if (b->chunk_rows)
        return chunk * b->chunk_rows;
    const uint64_t start = (all->place / b->stretch + chunk) * b->stretch;
    return start <= all->place ? 0 : (size_t)((start - all->place) / all->row_bytes);
}

static void split(struct batch *b)
{
    const struct chunk_rows *all = b->all;
    b->stretch = all->place && b->c->step == 1 ? stretch_of(all) : 0;
    if (b->stretch) {
        const uint64_t last = all->place + (uint64_t)all->rows * all->row_bytes - 1;
        b->chunks = (size_t)(last / b->stretch - all->place / b->stretch) + 1;
    } else {
        b->chunk_rows = rows_of_chunk(all->cols, b->c->step);
        b->chunks = all->rows / b->chunk_rows + (all->rows % b->chunk_rows != 0);
    }
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
    const size_t row = first_row(b, b->first + i), end = first_row(b, b->first + i + 1);
    b->c->part[i] = (struct chunk_part){0};
    b->work(b->arg, row, end - row, &b->c->scratch[thread], &b->c->part[i]);
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

bool chunks_for(struct chunks *c, const struct chunk_rows *all, chunk_fn work, void *arg,
                struct progress *progress, struct chunk_part *total, struct err *err)
{
    if (all->cols == 0 || all->rows == 0) /* a file may claim any number of empty rows */
        return true;
    struct batch b = {.c = c, .all = all, .work = work, .arg = arg};
    const size_t slow = SLOW_CHUNKS * (size_t)pool_threads(c->pool);
    const size_t most = c->step != 1 && slow < BATCH_CHUNKS ? slow : BATCH_CHUNKS;
    split(&b);
    for (; b.first < b.chunks; b.first += most) {
        const size_t left = b.chunks - b.first, n = left < most ? left : most;
        if (!stop_check(err))
            return false;
        if (n == 1) /* no need to wake a thread */
            work_chunk(0, 0, &b);
        else
            pool_for(c->pool, n, work_chunk, &b);
        for (size_t i = 0; i < n; i++)
            if (!merge(total, &c->part[i], err))
                return false;
        const size_t rows = first_row(&b, b.first + n) - first_row(&b, b.first);
        progress_step(progress, all->name, rows * (all->work ? all->work : all->row_bytes));
    }
    return true;
}
