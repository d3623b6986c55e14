#include "calib/trial.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdlib.h>

/* One tensor in work; a slot a tile. */
struct job {
    const struct trial *t;
    struct produce_item item;
    struct plan_tensor plan;
    bool plain;
    size_t cols, rows, row_bytes, stride; /* stride: tiles from one to the next that is encoded */
    uint8_t *blocks;                      /* NULL: forgotten */
    struct tile {
        double loss;
        bool bad;
    } * tile;
    struct buffer {
        float *x, *y;
        uint8_t *bytes;
    } * buffer; /* a thread */
};

bool trial_possible(const struct trial *t, const struct tensor *tensor, enum dtype_id type)
{
    return t->kernels->encode[type] != NULL &&
           tensor_cols(tensor) % dtype_get(type)->block_elems == 0;
}

static void encode_plain(const struct job *j, const float *x, float *y, size_t rows, uint8_t *to,
                         double *loss)
{
    const struct kernels *k = j->t->kernels;
    const enum dtype_id id = j->item.dtype->id;
    for (size_t r = 0; r < rows; r++) {
        const float *row = x + r * j->cols;
        k->encode[id](to + r * j->row_bytes, row, j->item.importance, j->cols);
        k->decode[id](y, to + r * j->row_bytes, j->cols);
        for (size_t c = 0; c < j->cols; c++) {
            const double e = (double)row[c] - (double)y[c];
            *loss += e * e * (j->item.importance ? (double)j->item.importance[c] : 1.0);
        }
    }
}

static void encode_tile(size_t i, int thread, void *arg)
{
    const struct job *j = arg;
    const struct buffer *b = &j->buffer[thread];
    const size_t row = i * j->stride * GPTQ_ROWS, left = j->rows - row;
    const size_t rows = left < GPTQ_ROWS ? left : GPTQ_ROWS;
    uint8_t *to = j->blocks ? j->blocks + row * j->row_bytes : b->bytes;
    struct tile *tile = &j->tile[i];
    double plain_loss = 0.0;
    plan_read(&j->plan, j->t->kernels, row, rows, b->x);
    tile->bad = j->t->kernels->find_nonfinite(b->x, rows * j->cols) < rows * j->cols;
    if (tile->bad)
        return;
    if (j->plain)
        encode_plain(j, b->x, b->y, rows, to, &tile->loss);
    else
        j->item.encoder->rows(j->item.encoder->arg, row, b->x, rows, to, thread, &tile->loss,
                              &plain_loss);
}

static bool open_buffers(struct job *j, size_t tiles, struct err *err)
{
    const int threads = pool_threads(j->t->pool);
    j->tile = mem_alloc(tiles, sizeof *j->tile);
    j->buffer = mem_alloc((size_t)threads, sizeof *j->buffer);
    bool ok = j->tile && j->buffer;
    for (int i = 0; ok && i < threads; i++)
        ok = (j->buffer[i].x = mem_alloc(j->cols, GPTQ_ROWS * sizeof(float))) &&
             (j->buffer[i].y = mem_alloc(j->cols, sizeof(float))) &&
             (j->buffer[i].bytes = mem_alloc(j->row_bytes, GPTQ_ROWS));
    return ok || err_set(err, ERR_MEMORY, "rows of %zu columns", j->cols);
}

static void close_buffers(struct job *j)
{
    for (int i = 0; j->buffer && i < pool_threads(j->t->pool); i++) {
        free(j->buffer[i].x);
        free(j->buffer[i].y);
        free(j->buffer[i].bytes);
    }
    free(j->buffer);
    free(j->tile);
}

static bool run_tiles(struct job *j, size_t tiles, double *loss, struct err *err)
{
    const struct produce_encoder *encoder = j->item.encoder;
    j->plain = !encoder;
    if (encoder && !calibrated_begin_rows(j->t->calibrated, &j->item, &j->plain, err))
        return false;
    pool_for(j->t->pool, tiles, encode_tile, j);
    if (encoder)
        encoder->end(encoder->arg);
    *loss = 0.0;
    for (size_t i = 0; i < tiles; i++) {
        *loss += j->tile[i].loss;
        if (j->tile[i].bad)
            return err_set(err, ERR_NUMERIC, "tensor '%s': a weight is not finite",
                           j->plan.out.name);
    }
    return stop_check(err);
}

bool trial_run(const struct trial *t, const struct tensor *tensor, enum dtype_id type,
               size_t sample, uint8_t *blocks, double *loss, struct err *err)
{
    struct job j = {.t = t,
                    .plan = {.out = *tensor, .edit = PLAN_COPY, .source = tensor},
                    .item = {.dtype = dtype_get(type)},
                    .cols = (size_t)tensor_cols(tensor),
                    .rows = (size_t)tensor_rows(tensor),
                    .stride = 1,
                    .blocks = blocks};
    size_t tiles = (j.rows + GPTQ_ROWS - 1) / GPTQ_ROWS;
    j.item.tensor = &j.plan;
    if (!blocks && sample > 0 && tiles > sample) {
        j.stride = tiles / sample;
        tiles = sample;
    }
    calibrated_use(t->calibrated, &j.item);
    const bool ok = dtype_row_bytes(j.item.dtype, j.cols, &j.row_bytes, err) &&
                    open_buffers(&j, tiles, err) && run_tiles(&j, tiles, loss, err);
    close_buffers(&j);
    return ok;
}
