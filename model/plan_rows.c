#include "model/plan.h"

#include <assert.h>

/* Which row of the source (of a bias: which element) is row `row` of the output.  In a head of
 * n rows, output row 2 pair + half is source row half n/2 + pair. */
static uint64_t source_row(const struct plan_tensor *t, uint64_t row)
{
    if (t->edit != PLAN_PERMUTE)
        return row;
    const uint64_t rows = t->source->shape[0] / t->heads;
    const uint64_t head = row / rows, r = row % rows;
    return head * rows + r % 2 * (rows / 2) + r / 2;
}

static size_t row_bytes(const struct tensor *t)
{
    return (size_t)(tensor_cols(t) / t->dtype->block_elems) * t->dtype->block_bytes;
}

const uint8_t *plan_row(const struct plan_tensor *t, uint64_t row)
{
    if (t->edit == PLAN_COMPUTED || t->scale || t->by_row || t->by_col ||
        (t->edit == PLAN_PERMUTE && t->source->dims < 2))
        return NULL;
    return t->source->data + source_row(t, row) * row_bytes(t->source);
}

/* One row of factors, each for scale_cols columns. */
static void apply_scale(const struct plan_tensor *t, const struct kernels *k, uint64_t row,
                        float *dst)
{
    const struct dtype *dtype = t->scale->dtype;
    const uint64_t cols = tensor_cols(t->source);
    const uint64_t across = (cols - 1) / t->scale_cols + 1;
    const uint8_t *factor = t->scale->data + row / t->scale_rows * across * dtype->block_bytes;
    for (uint64_t c = 0; c < cols; factor += dtype->block_bytes) {
        const uint64_t end = cols - c > t->scale_cols ? c + t->scale_cols : cols;
        float by;
        k->decode[dtype->id](&by, factor, 1);
        for (; c < end; c++)
            dst[c] *= by;
    }
}

static void read_row(const struct plan_tensor *t, const struct kernels *k, uint64_t row, float *dst)
{
    const struct tensor *s = t->source;
    const decode_row_fn decode = k->decode[s->dtype->id];
    const size_t cols = (size_t)tensor_cols(s);
    if (t->edit == PLAN_PERMUTE && s->dims < 2) {
        for (size_t i = 0; i < cols; i++)
            decode(dst + i, s->data + source_row(t, i) * s->dtype->block_bytes, 1);
        return;
    }
    decode(dst, s->data + source_row(t, row) * row_bytes(s), cols);
    if (t->scale)
        apply_scale(t, k, source_row(t, row), dst);
}

static void apply_fold(const struct plan_tensor *t, uint64_t row, size_t cols, float *dst)
{
    for (size_t c = 0; t->by_col && c < cols; c++)
        dst[c] *= t->by_col[c];
    for (size_t c = 0; t->by_row && c < cols; c++)
        dst[c] *= t->by_row[row];
}

void plan_read(const struct plan_tensor *t, const struct kernels *k, uint64_t row, size_t rows,
               float *dst)
{
    const size_t cols = (size_t)tensor_cols(&t->out);
    assert(row + rows <= tensor_rows(&t->out));
    for (size_t r = 0; r < rows; r++, dst += cols) {
        if (t->edit == PLAN_COMPUTED)
            for (size_t c = 0; c < cols; c++)
                dst[c] = t->computed[(row + r) * cols + c];
        else
            read_row(t, k, row + r, dst);
        apply_fold(t, row + r, cols, dst);
    }
}
