#include "eval/verify.h"

#include "core/half.h"
#include "core/mem.h"
#include "model/chunks.h"
#include "model/fold.h"

#include <stdlib.h>
#include <string.h>

/* Relative error of a quantized tensor from which on it is not the source's: unrelated weights
 * of equal size have 1.41, the poorest type on its worst weights 0.6. */
static const double UNLIKE = 0.9;

struct job {
    const struct plan_tensor *source;
    const struct tensor *file;
    const struct kernels *k;
    size_t cols, row_bytes;
};

const char *verify_status_name(enum verify_status status)
{
    static const char *const name[] = {"exact",       "rounded", "quantized", "DIFFERENT",
                                       "OTHER SHAPE", "MISSING", "EXTRA"};
    return name[status];
}

bool verify_status_good(enum verify_status status) { return status <= VERIFY_QUANTIZED; }

/* Bits, so that NaN equals itself and 0 is not -0. */
static void count_different(const float *x, const float *y, size_t n, size_t cols, size_t row,
                            struct chunk_part *part)
{
    for (size_t i = 0; i < n; i++) {
        if (float_bits(x[i]) == float_bits(y[i]))
            continue;
        if (part->different++ == 0) {
            part->first_row = row + i / cols;
            part->first_column = i % cols;
        }
    }
}

static void compare_rows(void *arg, size_t row, size_t rows, const struct chunk_scratch *s,
                         struct chunk_part *part)
{
    const struct job *j = arg;
    const struct dtype *d = j->file->dtype;
    const uint8_t *data = j->file->data + (uint64_t)row * j->row_bytes;
    plan_read(j->source, j->k, row, rows, s->x);
    for (size_t r = 0; r < rows; r++)
        j->k->decode[d->id](s->y + r * j->cols, data + r * j->row_bytes, j->cols);
    for (size_t r = 0; r < rows; r++)
        j->k->add_error(&part->sums, s->x + r * j->cols, s->y + r * j->cols, NULL, j->cols);
    if (d->class == DTYPE_QUANTIZED)
        return;
    if (d->class == DTYPE_FLOAT && j->k->encode[d->id]) /* what the type makes of the source */
        for (size_t r = 0; r < rows; r++) {
            j->k->encode[d->id](s->bytes, s->x + r * j->cols, NULL, j->cols);
            j->k->decode[d->id](s->x + r * j->cols, s->bytes, j->cols);
        }
    count_different(s->x, s->y, rows * j->cols, j->cols, row, part);
}

static bool same_shape(const struct tensor *a, const struct tensor *b)
{
    return a->dims == b->dims &&
           memcmp(a->shape, b->shape, (size_t)a->dims * sizeof a->shape[0]) == 0;
}

static enum verify_status judge(const struct job *j, const struct chunk_part *total)
{
    double signal = 0.0, squared = 0.0;
    for (int i = 0; i < 8; i++) {
        signal += total->sums.signal[i];
        squared += total->sums.squared[i];
    }
    if (total->different > 0 || squared > UNLIKE * UNLIKE * signal)
        return VERIFY_DIFFERENT;
    if (squared == 0.0)
        return VERIFY_EXACT;
    return j->file->dtype->class == DTYPE_QUANTIZED ? VERIFY_QUANTIZED : VERIFY_ROUNDED;
}

static bool verify_tensor(const struct kernels *k, struct chunks *chunks, struct progress *progress,
                          struct verify_result *r, struct err *err)
{
    struct job j = {
        .source = r->source, .file = r->file, .k = k, .cols = (size_t)tensor_cols(r->file)};
    struct chunk_part total = {0};
    if (!dtype_row_bytes(r->file->dtype, j.cols, &j.row_bytes, err))
        return false;
    const struct chunk_rows all = {.name = r->name,
                                   .rows = (size_t)tensor_rows(r->file),
                                   .cols = j.cols,
                                   .row_bytes = j.row_bytes};
    if (!chunks_for(chunks, &all, compare_rows, &j, progress, &total, err))
        return false;
    r->sums = total.sums;
    r->different = total.different;
    r->row = total.first_row;
    r->column = total.first_column;
    r->status = judge(&j, &total);
    return true;
}

static const struct plan_tensor *planned(const struct plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->tensors; i++)
        if (strcmp(plan->tensor[i].out.name, name) == 0)
            return &plan->tensor[i];
    return NULL;
}

/* One row a tensor of the plan, then the file's own that the plan does not have. */
static size_t pair_up(const struct plan *plan, const struct checkpoint *gguf,
                      struct verify_result *r)
{
    size_t n = 0;
    for (size_t i = 0; i < plan->tensors; i++, n++) {
        const struct plan_tensor *t = &plan->tensor[i];
        r[n] = (struct verify_result){.name = t->out.name, .source = t};
        r[n].file = checkpoint_find(gguf, t->out.name);
        r[n].status = !r[n].file                       ? VERIFY_MISSING
                      : same_shape(&t->out, r[n].file) ? VERIFY_EXACT
                                                       : VERIFY_SHAPE;
    }
    for (size_t i = 0; i < gguf->tensors; i++)
        if (!planned(plan, gguf->tensor[i].name))
            r[n++] = (struct verify_result){
                .name = gguf->tensor[i].name, .file = &gguf->tensor[i], .status = VERIFY_EXTRA};
    return n;
}

static bool verify_all(const struct plan *plan, const struct checkpoint *gguf,
                       const struct kernels *k, struct pool *pool, struct progress *progress,
                       struct verify_result *r, size_t *results, struct err *err)
{
    struct chunks chunks = {0};
    uint64_t cols = 0, bytes = 0;
    const size_t n = pair_up(plan, gguf, r);
    for (size_t i = 0; i < gguf->tensors; i++) {
        bytes += gguf->tensor[i].bytes;
        cols = tensor_cols(&gguf->tensor[i]) > cols ? tensor_cols(&gguf->tensor[i]) : cols;
    }
    if (progress) {
        progress->done = 0;
        progress->total = bytes;
    }
    bool ok = chunks_open(&chunks, pool, cols, 1, err);
    for (size_t i = 0; ok && i < n; i++)
        if (r[i].file && r[i].source && r[i].status == VERIFY_EXACT)
            ok = verify_tensor(k, &chunks, progress, &r[i], err);
    chunks_close(&chunks);
    *results = n;
    return ok;
}

bool verify_gguf(const struct plan *plan, const struct checkpoint *gguf, const struct kernels *k,
                 struct pool *pool, struct progress *progress, struct verify_result **result,
                 size_t *results, struct err *err)
{
    struct fold fold = {0};
    struct plan own = *plan; /* folded as the file says it is */
    struct verify_result *r = mem_alloc(plan->tensors + gguf->tensors, sizeof *r);
    own.tensor = mem_alloc(plan->tensors, sizeof *own.tensor);
    bool ok = r && own.tensor;
    if (!ok) {
        err_set(err, ERR_MEMORY, "no memory for %zu results", plan->tensors + gguf->tensors);
    } else {
        memcpy(own.tensor, plan->tensor, plan->tensors * sizeof *own.tensor);
        ok = fold_read(&fold, &own, &gguf->meta, err) || err_wrap(err, "%s", gguf->path);
        ok = ok && verify_all(&own, gguf, k, pool, progress, r, results, err);
    }
    for (size_t i = 0; ok && i < *results; i++)
        if (r[i].source)
            r[i].source = plan->tensor + (r[i].source - own.tensor);
    fold_close(&fold);
    free(own.tensor);
    if (!ok) {
        free(r);
        return false;
    }
    *result = r;
    return true;
}
