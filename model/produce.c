#include "model/produce.h"

#include "core/clock.h"
#include "core/half.h"
#include "core/mem.h"
#include "formats/source_guard.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RELEASE_BYTES = 4 << 20 };

struct job {
    const struct produce_item *item;
    const struct produce_options *o;
    const struct gguf_writer *writer;
    size_t index, cols, rows, row_bytes;
    size_t first;                          /* the row that the matrix in work begins with */
    const struct produce_encoder *encoder; /* of it, or NULL */
    bool copy;
};

/* Rows of the source come as bytes where only their order changes. */
static bool can_copy(const struct produce_item *item)
{
    const struct plan_tensor *t = item->tensor;
    return t->source && t->source->dtype == item->dtype && tensor_rows(&t->out) > 0 &&
           plan_row(t, 0) != NULL;
}

/* Names the first NaN or infinity of rows that start at row `row`, or sets all to 0. */
static bool check_finite(const struct job *j, float *x, size_t n, size_t row,
                         struct chunk_part *part)
{
    for (size_t i = 0; (i += j->o->kernels->find_nonfinite(x + i, n - i)) < n; i++) {
        if (!j->o->allow_nan)
            return err_set(&part->err, ERR_NUMERIC,
                           "%s at row %zu, column %zu; --allow-nan lets it through",
                           isnan(x[i]) ? "NaN" : "infinity", row + i / j->cols, i % j->cols);
        part->nonfinite++;
        x[i] = 0.0f;
    }
    return true;
}

/* A value that the type cannot hold shows in the sum of errors; then it is looked for. */
static bool check_decoded(const struct job *j, const float *x, const float *y, size_t row,
                          struct chunk_part *part)
{
    double sum = 0.0;
    for (int i = 0; i < 8; i++)
        sum += part->sums.squared[i];
    if (isfinite(sum))
        return true;
    const size_t i = j->o->kernels->find_nonfinite(y, j->cols);
    return i == j->cols ||
           err_set(&part->err, ERR_NUMERIC, "%g at row %zu, column %zu does not fit %s",
                   (double)x[i], row, i, j->item->dtype->name);
}

static const float *importance_of(const struct job *j, size_t row)
{
    if (!j->item->importance)
        return NULL;
    return j->item->importance + row / (j->rows / j->item->matrices) * j->cols;
}

/* Do the blocks hold the source's values, up to the rounding of the file they came in?  Then it
 * was trained for them, and they are exact. */
static bool is_kept(const float *x, const float *y, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (x[i] != y[i] && x[i] != half_to_float(half_from_float(y[i])) &&
            x[i] != bf16_to_float(bf16_from_float(y[i])))
            return false;
    return true;
}

static bool read_rows(const struct job *j, size_t row, size_t rows, float *x,
                      struct chunk_part *part)
{
    plan_read(j->item->tensor, j->o->kernels, row, rows, x);
    return check_finite(j, x, rows * j->cols, row, part);
}

/* What the bytes of a row lost. */
static bool measure_row(const struct job *j, size_t row, const float *x, float *y,
                        const uint8_t *bytes, struct chunk_part *part)
{
    const struct kernels *k = j->o->kernels;
    k->decode[j->item->dtype->id](y, bytes, j->cols);
    k->add_error(&part->sums, x, y, importance_of(j, row), j->cols);
    if (j->item->dtype->class == DTYPE_QUANTIZED && is_kept(x, y, j->cols))
        part->kept_rows++;
    return check_decoded(j, x, y, row, part);
}

static bool encode_together(const struct job *j, size_t row, size_t rows,
                            const struct chunk_scratch *s, struct chunk_part *part)
{
    if (!read_rows(j, row, rows, s->x, part))
        return false;
    j->encoder->rows(j->encoder->arg, row, s->x, rows, s->bytes, s->thread, &part->loss,
                     &part->plain_loss);
    for (size_t r = 0; r < rows; r++)
        if (!measure_row(j, row + r, s->x + r * j->cols, s->y, s->bytes + r * j->row_bytes, part))
            return false;
    return true;
}

/* A row goes through all steps while it is in the first cache. */
static bool encode_rows(const struct job *j, size_t row, size_t rows, const struct chunk_scratch *s,
                        struct chunk_part *part)
{
    const encode_row_fn encode = j->o->kernels->encode[j->item->dtype->id];
    uint8_t *to = s->bytes;
    for (size_t r = row; r < row + rows; r++, to += j->row_bytes) {
        if (!read_rows(j, r, 1, s->x, part))
            return false;
        if (j->copy) {
            memcpy(to, plan_row(j->item->tensor, r), j->row_bytes);
            continue;
        }
        encode(to, s->x, importance_of(j, r), j->cols);
        if (!measure_row(j, r, s->x, s->y, to, part))
            return false;
    }
    return true;
}

/* Where rows pass the end of a stretch of the source it is given back, by many threads at once: at
 * the end one would take long over the whole file. */
static void release_rows(const struct job *j, const struct tensor *source, size_t from, size_t to)
{
    const uint64_t row_bytes = source->bytes / j->rows;
    const uint64_t stretch = to * row_bytes / RELEASE_BYTES;
    struct tensor part = *source;
    if (stretch == from * row_bytes / RELEASE_BYTES)
        return;
    part.data += (stretch - 1) * RELEASE_BYTES;
    part.bytes = RELEASE_BYTES;
    checkpoint_release(j->o->source, &part);
}

static void produce_rows(void *arg, size_t in_matrix, size_t rows, const struct chunk_scratch *s,
                         struct chunk_part *part)
{
    const struct job *j = arg;
    const size_t row = j->first + in_matrix;
    if (j->encoder ? encode_together(j, row, rows, s, part) : encode_rows(j, row, rows, s, part))
        gguf_write_data(j->writer, j->index, (uint64_t)row * j->row_bytes, s->bytes,
                        rows * j->row_bytes, &part->err);
    if (j->item->tensor->source)
        release_rows(j, j->item->tensor->source, row, row + rows);
}

/* With an encoder a matrix, else the whole tensor. */
static struct produce_work work_of(const struct produce_item *item)
{
    const struct tensor *out = &item->tensor->out;
    size_t row = 0;
    if (item->encoder && !can_copy(item))
        return item->encoder->work(item->encoder->arg, item);
    dtype_row_bytes(item->dtype, tensor_cols(out), &row, NULL);
    return (struct produce_work){0, row};
}

/* All rows at once, or with an encoder of the item's matrix by matrix. */
static bool produce_matrices(struct job *j, struct chunks *chunks, struct chunk_part *total,
                             struct produce_result *r, struct err *err)
{
    const struct produce_encoder *encoder = j->copy ? NULL : j->item->encoder;
    const size_t matrices = encoder ? j->item->matrices : 1, rows = j->rows / matrices;
    const uint64_t place = gguf_write_place(j->writer, j->index);
    const struct produce_work work = work_of(j->item);
    bool ok = true;
    for (size_t m = 0; ok && m < matrices; m++) {
        bool plain = !encoder;
        j->first = m * rows;
        if (encoder && !encoder->begin(encoder->arg, j->item, m, &plain, r, err))
            return false;
        j->encoder = plain ? NULL : encoder;
        r->plain += encoder && plain;
        progress_step(j->o->progress, j->item->tensor->out.name, work.begin);
        const struct chunk_rows all = {
            .name = j->item->tensor->out.name,
            .rows = rows,
            .cols = j->cols,
            .row_bytes = j->row_bytes,
            .work = work.row,
            .place = j->encoder ? 0 : place + (uint64_t)j->first * j->row_bytes,
        };
        ok = chunks_for(chunks, &all, produce_rows, j, j->o->progress, total, err);
        if (encoder)
            encoder->end(encoder->arg);
    }
    return ok;
}

static bool produce_tensor(struct job *j, struct chunks *chunks, struct produce_result *r,
                           struct err *err)
{
    const struct tensor *out = &j->item->tensor->out;
    const double start = clock_seconds();
    struct chunk_part total = {0};
    *r = (struct produce_result){0};
    j->cols = (size_t)tensor_cols(out);
    j->rows = (size_t)tensor_rows(out);
    j->copy = can_copy(j->item);
    if (!dtype_row_bytes(j->item->dtype, j->cols, &j->row_bytes, err) ||
        !produce_matrices(j, chunks, &total, r, err))
        return err_wrap(err, "tensor '%s'", out->name);
    if (j->item->tensor->source)
        checkpoint_release(j->o->source, j->item->tensor->source);
    r->sums = total.sums;
    r->copied = j->copy;
    r->nonfinite = total.nonfinite;
    r->kept_rows = total.kept_rows;
    r->loss += total.loss;
    r->plain_loss += total.plain_loss;
    r->seconds = clock_seconds() - start;
    return true;
}

static uint64_t widest(const struct produce_item *item, size_t items)
{
    uint64_t cols = 0;
    for (size_t i = 0; i < items; i++)
        if (tensor_cols(&item[i].tensor->out) > cols)
            cols = tensor_cols(&item[i].tensor->out);
    return cols;
}

/* A multiple of the rows that any item's encoder wants: there is one encoder, or none. */
static size_t step_of(const struct produce_item *item, size_t items)
{
    for (size_t i = 0; i < items; i++)
        if (item[i].encoder)
            return item[i].encoder->step;
    return 1;
}

/* The writer's view of the items: their tensors with the types they become. */
static const struct tensor **output_tensors(const struct produce_item *item, size_t items,
                                            struct tensor *own)
{
    const struct tensor **list = own ? mem_alloc(items, sizeof *list) : NULL;
    for (size_t i = 0; list && i < items; i++) {
        own[i] = item[i].tensor->out;
        own[i].dtype = item[i].dtype;
        list[i] = &own[i];
    }
    return list;
}

bool produce_size(const struct meta *meta, const struct produce_item *item, size_t items,
                  uint64_t *bytes, struct err *err)
{
    struct tensor *own = mem_alloc(items, sizeof *own);
    const struct tensor **list = output_tensors(item, items, own);
    const bool ok = list ? gguf_write_size(meta, list, items, bytes, err)
                         : err_set(err, ERR_MEMORY, "no memory for %zu tensors", items);
    free(list);
    free(own);
    return ok;
}

bool produce_key(const struct meta *meta, const struct produce_item *item, size_t items,
                 const char *about, char key[HASH_TEXT], struct err *err)
{
    struct tensor *own = mem_alloc(items, sizeof *own);
    const struct tensor **list = output_tensors(item, items, own);
    struct hash h;
    const bool ok = list ? gguf_write_digest(meta, list, items, key, err)
                         : err_set(err, ERR_MEMORY, "no memory for %zu tensors", items);
    if (ok) {
        hash_init(&h);
        hash_add_text(&h, key, strlen(key));
        hash_add_text(&h, about, strlen(about));
        hash_text(&h, key);
    }
    free(list);
    free(own);
    return ok;
}

/* The file, and with options->resume the journal. */
static bool open_output(struct produce *p, const char *path, const struct meta *meta,
                        const struct tensor *const *list, struct err *err)
{
    const struct produce_options *o = p->options;
    bool found = false;
    size_t done;
    if (!o->resume)
        return gguf_write_open(&p->writer, path, o->force, meta, list, p->items, err);
    return (resume_look(path, o->resume, &done) == RESUME_SAME
                ? gguf_write_resume(&p->writer, path, o->force, meta, list, p->items, &found, err)
                : gguf_write_open(&p->writer, path, o->force, meta, list, p->items, err)) &&
           resume_open(&p->resume, path, o->resume, found, p->result, p->done, p->items, err);
}

/* Of the progress. */
static uint64_t work_of_all(const struct produce_item *item)
{
    const struct produce_work w = work_of(item);
    return w.begin * (item->matrices ? item->matrices : 1) +
           w.row * tensor_rows(&item->tensor->out);
}

bool produce_open(struct produce *p, const char *path, const struct meta *meta,
                  const struct produce_item *item, size_t items,
                  const struct produce_options *options, struct produce_result *result,
                  struct err *err)
{
    struct tensor *own = mem_alloc(items, sizeof *own);
    const struct tensor **list = output_tensors(item, items, own);
    *p = (struct produce){.item = item, .items = items, .options = options, .result = result};
    p->done = mem_alloc(items, sizeof *p->done);
    bool ok = (list && p->done) || err_set(err, ERR_MEMORY, "no memory for %zu tensors", items);
    ok = ok && source_guard(options->source, path, err) &&
         chunks_open(&p->chunks, options->pool, widest(item, items), step_of(item, items), err) &&
         open_output(p, path, meta, list, err);
    free(list);
    free(own);
    if (!ok) {
        produce_close(p, produce_keeps(err));
        return false;
    }
    if (options->progress) {
        options->progress->total = options->progress->done = 0;
        for (size_t i = 0; i < items; i++) {
            options->progress->total += work_of_all(&item[i]);
            options->progress->done += p->done[i] ? work_of_all(&item[i]) : 0;
        }
    }
    return true;
}

bool produce_make(struct produce *p, size_t item, struct err *err)
{
    struct job j = {.item = &p->item[item], .o = p->options, .writer = &p->writer, .index = item};
    if (p->done[item])
        return true;
    p->done[item] = produce_tensor(&j, &p->chunks, &p->result[item], err) &&
                    (!p->resume.open || (sink_sync(&p->writer.sink, err) &&
                                         resume_add(&p->resume, item, &p->result[item], err)));
    return p->done[item];
}

bool produce_commit(struct produce *p, struct err *err)
{
    return gguf_write_commit(&p->writer, err);
}

void produce_close(struct produce *p, bool keep)
{
    keep = keep && p->resume.open;
    if (keep)
        gguf_write_leave(&p->writer);
    else
        gguf_write_close(&p->writer);
    resume_close(&p->resume, keep);
    chunks_close(&p->chunks);
    free(p->done);
    *p = (struct produce){0};
}

bool produce_gguf(const char *path, const struct meta *meta, const struct produce_item *item,
                  size_t items, const struct produce_options *options,
                  struct produce_result *result, struct err *err)
{
    struct produce p;
    bool ok = produce_open(&p, path, meta, item, items, options, result, err);
    for (size_t i = 0; ok && i < items; i++)
        ok = produce_make(&p, i, err);
    ok = ok && produce_commit(&p, err);
    produce_close(&p, !ok && produce_keeps(err));
    return ok;
}
