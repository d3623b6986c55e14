#include "calib/calibrated.h"

#include "core/mem.h"
#include "model/fold.h"

#include <stdlib.h>
#include <string.h>

/* Of floats, that a thread takes: of the encoder and of the chunks that it works on. */
enum { TILES = 10 };

static bool read_factor(struct calibrated *c, struct calibrated_factor *slot, struct err *err)
{
    const struct factor_options options = {.ridge = slot->tied ? FACTOR_RIDGE : 0.0};
    size_t values;
    float *upper = NULL;
    if (!calib_triangle(slot->group->cols, &values) || !(upper = mem_alloc(values, sizeof *upper)))
        return err_set(err, ERR_MEMORY, "a Hessian of %zu columns", slot->group->cols);
    bool ok = calib_store_hessian(c->store, slot->group, slot->matrix, upper, err);
    if (ok)
        fold_hessian(slot->by_col, slot->group->cols, upper);
    ok = ok && factor_open(&slot->factor, upper, slot->group->cols, &options, c->pool, err);
    free(upper);
    return ok;
}

const struct factor *calibrated_factor(struct calibrated *c, const struct calib_group *group,
                                       size_t matrix, const struct plan_tensor *tensor,
                                       struct err *err)
{
    const bool tied = strcmp(tensor->out.name, "token_embd.weight") == 0;
    const float *by_col = c->options.folded ? NULL : tensor->by_col;
    struct calibrated_factor *oldest = c->factor;
    for (struct calibrated_factor *f = c->factor; f < c->factor + CALIBRATED_FACTORS; f++) {
        if (f->group == group && f->matrix == matrix && f->tied == tied && f->by_col == by_col) {
            f->used = ++c->uses;
            return &f->factor;
        }
        if (f->used < oldest->used)
            oldest = f;
    }
    factor_close(&oldest->factor);
    *oldest = (struct calibrated_factor){group, matrix, tied, by_col, ++c->uses, {0}};
    if (read_factor(c, oldest, err))
        return &oldest->factor;
    *oldest = (struct calibrated_factor){0};
    return NULL;
}

static bool open_scratch(struct calibrated *c, struct err *err)
{
    for (int i = 0; i < pool_threads(c->pool); i++)
        if (!gptq_scratch_open(&c->scratch[i], &c->gptq, err))
            return false;
    return true;
}

static void end(void *arg)
{
    struct calibrated *c = arg;
    for (int i = 0; c->scratch && i < pool_threads(c->pool); i++)
        gptq_scratch_close(&c->scratch[i]);
    gptq_close(&c->gptq);
    free(c->blocks);
    c->blocks = NULL;
}

/* The weights in the order in which rows are rounded. */
struct reading {
    const struct calibrated *c;
    const struct produce_item *item;
    const struct gptq_matrix *matrix;
    float *w;
};

static void read_row(size_t i, int thread, void *arg)
{
    const struct reading *r = arg;
    (void)thread;
    plan_read(r->item->tensor, r->c->kernels, r->matrix->order[i], 1, r->w + i * r->matrix->cols);
}

/* Encodes all rows with feedback; c->blocks stays NULL where one is not finite (that is for the
 * caller to tell) or the gradients do not do. */
static bool encode_all(struct calibrated *c, const struct produce_item *item, const float *gradient,
                       struct produce_result *r, struct err *err)
{
    const size_t rows = (size_t)tensor_rows(&item->tensor->out);
    struct gptq_matrix m;
    struct gptq_sums sums = {0};
    bool usable;
    if (!gptq_matrix_open(&m, &c->gptq, c->scratch, c->pool, gradient, rows, &usable, err))
        return false;
    struct reading reading = {c, item, &m, mem_alloc(rows, m.cols * sizeof *reading.w)};
    bool ok = reading.w != NULL;
    if (ok)
        pool_for(c->pool, rows, read_row, &reading);
    else
        err_set(err, ERR_MEMORY, "%zu rows of %zu weights", rows, m.cols);
    if (ok && usable && c->kernels->find_nonfinite(reading.w, rows * m.cols) == rows * m.cols) {
        c->blocks = mem_alloc(rows, gptq_row_bytes(&c->gptq));
        ok = c->blocks ? gptq_matrix_run(&m, reading.w, c->blocks, &sums, err)
                       : err_set(err, ERR_MEMORY, "%zu rows of blocks", rows);
        r->loss += sums.loss * c->gptq.factor->mean;
        r->plain_loss += sums.rounding * c->gptq.factor->mean;
    }
    free(reading.w);
    gptq_matrix_close(&m);
    return ok;
}

static const struct calib_store *gradients_of(const struct calibrated *c)
{
    return c->options.gradients ? c->options.gradients : c->store;
}

/* Where the store knows what errors of the outputs cost. */
static bool encode_matrix(struct calibrated *c, const struct produce_item *item,
                          struct produce_result *r, struct err *err)
{
    const struct tensor *out = &item->tensor->out;
    const struct calib_store *gradients = gradients_of(c);
    const struct calib_group *g = calib_store_gradient(gradients, out->name);
    size_t values;
    float *gradient;
    if (!g || g->tokens[0] == 0 || item->matrices != 1 || g->cols != tensor_rows(out))
        return true;
    if (!calib_triangle(g->cols, &values) || !(gradient = mem_alloc(values, sizeof *gradient)))
        return err_set(err, ERR_MEMORY, "gradients of %zu outputs", g->cols);
    bool ok = calib_store_hessian(gradients, g, 0, gradient, err);
    if (ok)
        fold_hessian(item->tensor->by_row, g->cols, gradient);
    ok = ok && encode_all(c, item, gradient, r, err);
    free(gradient);
    return ok;
}

/* The factor, and what all rows need.  *plain: they need none. */
static bool open_matrix(struct calibrated *c, const struct produce_item *item, size_t matrix,
                        bool *plain, struct produce_result *r, struct err *err)
{
    struct err why = {0};
    const struct calib_group *group = calib_store_find(c->store, item->tensor->out.name);
    *plain = group->tokens[matrix] == 0;
    if (*plain)
        return true;
    const struct factor *f = calibrated_factor(c, group, matrix, item->tensor, &why);
    *plain = !f && why.code == ERR_NUMERIC;
    if (*plain)
        return true;
    if (!f)
        return err_set(err, why.code, "%s", why.text);
    r->damp = f->damp > r->damp ? f->damp : r->damp;
    r->retries += f->retries;
    r->dead += f->dead;
    if (gptq_open(&c->gptq, f, item->dtype->id, &c->options.gptq, c->kernels, err) &&
        open_scratch(c, err))
        return true;
    end(c);
    return false;
}

static bool begin(void *arg, const struct produce_item *item, size_t matrix, bool *plain,
                  struct produce_result *r, struct err *err)
{
    struct calibrated *c = arg;
    if (!open_matrix(c, item, matrix, plain, r, err))
        return false;
    if (*plain || encode_matrix(c, item, r, err))
        return true;
    end(c);
    return false;
}

bool calibrated_begin_rows(struct calibrated *c, const struct produce_item *item, bool *plain,
                           struct err *err)
{
    struct produce_result ignored = {0};
    return open_matrix(c, item, 0, plain, &ignored, err);
}

static void encode(void *arg, size_t row, const float *x, size_t rows, uint8_t *blocks, int thread,
                   double *loss, double *plain_loss)
{
    struct calibrated *c = arg;
    struct gptq_sums sums = {0};
    if (c->blocks) {
        const size_t bytes = gptq_row_bytes(&c->gptq);
        memcpy(blocks, c->blocks + row * bytes, rows * bytes);
        return;
    }
    gptq_rows(&c->gptq, x, rows, blocks, &c->scratch[thread], &sums);
    *loss += sums.loss * c->gptq.factor->mean;
    *plain_loss += sums.rounding * c->gptq.factor->mean;
}

/* A factor that several matrices share counts with each: it is little beside their rows. */
static struct produce_work work(const void *arg, const struct produce_item *item)
{
    enum { PLAIN_BYTES = 70000000 }; /* a second, of the types' own encoders */
    const struct calibrated *c = arg;
    const size_t cols = (size_t)tensor_cols(&item->tensor->out);
    return (struct produce_work){
        (uint64_t)(PLAIN_BYTES * factor_seconds(cols)),
        1 + (uint64_t)(PLAIN_BYTES * gptq_row_seconds(&c->options.gptq, cols))};
}

bool calibrated_open(struct calibrated *c, const struct calib_store *store,
                     const struct calibrated_options *options, const struct kernels *kernels,
                     struct pool *pool, struct err *err)
{
    *c = (struct calibrated){.store = store, .kernels = kernels, .pool = pool, .options = *options};
    c->encoder = (struct produce_encoder){GPTQ_ROWS, begin, encode, end, work, c};
    c->scratch = mem_alloc((size_t)pool_threads(pool), sizeof *c->scratch);
    return c->scratch || err_set(err, ERR_MEMORY, "scratch of %d threads", pool_threads(pool));
}

void calibrated_turn(struct calibrated *c, const struct calib_store *store)
{
    for (int i = 0; i < CALIBRATED_FACTORS; i++) {
        factor_close(&c->factor[i].factor);
        c->factor[i] = (struct calibrated_factor){0};
    }
    c->store = store;
}

void calibrated_close(struct calibrated *c)
{
    calibrated_turn(c, NULL);
    free(c->scratch);
    *c = (struct calibrated){0};
}

bool calibrated_prepare(struct calibrated *c, struct produce_item *item)
{
    if (c->options.importance_only || !gptq_supports(item->dtype->id))
        return false;
    item->encoder = &c->encoder;
    return true;
}

uint64_t calibrated_memory(const struct calibrated *c, const struct produce_item *item)
{
    const uint64_t rows = tensor_rows(&item->tensor->out), cols = tensor_cols(&item->tensor->out);
    const uint64_t tile = GPTQ_ROWS * cols * sizeof(float),
                   threads = (uint64_t)pool_threads(c->pool);
    const struct calib_store *gradients = gradients_of(c);
    const bool together = gradients && calib_store_gradient(gradients, item->tensor->out.name);
    return 8 * cols * cols + (threads + 1) * TILES * tile +
           (together ? 16 * rows * rows + rows * cols * (sizeof(float) + 2) : 0);
}

bool calibrated_use(struct calibrated *c, struct produce_item *item)
{
    const struct calib_group *group = calib_store_find(c->store, item->tensor->out.name);
    if (!group || item->dtype->class != DTYPE_QUANTIZED)
        return false;
    item->importance = group->mean_square;
    item->matrices = group->matrices;
    if (group->has_hessian)
        calibrated_prepare(c, item);
    return true;
}
