/* produce.h - carries out a plan: source rows to encoded rows to a GGUF file.
 *
 * One pass, tensor by tensor, a chunk of rows at a time over the pool: read, edit,
 * check, encode, decode again, measure, write.  Memory is a few hundred KB a thread (or
 * three rows where a row is larger), whatever the model's size.  Bytes and figures do
 * not depend on the pool.
 */
#ifndef MODEL_PRODUCE_H
#define MODEL_PRODUCE_H

#include "core/hash.h"
#include "core/pool.h"
#include "core/progress.h"
#include "formats/gguf_write.h"
#include "model/chunks.h"
#include "model/plan.h"
#include "model/resume.h"
#include "quantize/error.h"
#include "quantize/kernels.h"

#include <stdbool.h>

struct produce_item;
struct produce_result;

/* What a matrix takes, for the progress: before its first row, and each row; in bytes that the types'
 * own encoders would write in that time. */
struct produce_work {
    uint64_t begin, row;
};

/* An encoder that knows more of a matrix than its rows.  begin and end are called from one
 * thread, matrix by matrix in the order of the items; rows between them, from many.  What is found
 * does not depend on the split of rows into calls. */
struct produce_encoder {
    size_t step; /* calls have a multiple of it in rows, but for a matrix's last */
    /* *plain: the type's own encoder will do.  Notes what is to be told in *r. */
    bool (*begin)(void *arg, const struct produce_item *item, size_t matrix, bool *plain,
                  struct produce_result *r, struct err *err);
    /* Rows from `row` of the tensor on.  Adds to the loss that it made small, and to what the type's
     * own encoder would leave. */
    void (*rows)(void *arg, size_t row, const float *x, size_t rows, uint8_t *blocks, int thread,
                 double *loss, double *plain_loss);
    void (*end)(void *arg);
    struct produce_work (*work)(const void *arg, const struct produce_item *item);
    void *arg;
};

/* What one tensor becomes. */
struct produce_item {
    const struct plan_tensor *tensor;
    const struct dtype *dtype;
    const float *importance; /* matrices x columns, or NULL: rows are shared out evenly over them */
    size_t matrices;
    const struct produce_encoder *encoder; /* NULL: the type's own */
};

struct produce_result {
    bool copied;            /* the source's bytes, untouched or with rows moved */
    struct error_sums sums; /* all zero where copied */
    uint64_t nonfinite;     /* NaN and infinities: copied, or stored as 0 (allow_nan) */
    uint64_t kept_rows;     /* rows that blocks hold exactly: made of the type's values already */
    /* Of an encoder of the item's: zero without. */
    double loss, plain_loss;
    double damp;      /* the largest of its matrices */
    unsigned retries; /* steps of damping beyond the first */
    uint64_t dead;    /* columns that calibration never saw */
    uint64_t plain;   /* matrices that got the type's own encoder */
    double seconds;
};

struct produce_options {
    const struct checkpoint *source; /* that the plan was made of */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress; /* may be NULL; in bytes of output, or as if (produce_work) */
    bool allow_nan;
    bool force;         /* overwrite */
    const char *resume; /* NULL, or a hash of all that decides the data (core/hash.h): the work can
                           be stopped or killed, and goes on where the hash is the same */
};

/* A hash of the options that an item's bytes follow from, for produce_options.resume: of `about`
 * (what the caller knows of source, importance and encoders) and of the file's header. */
bool produce_key(const struct meta *meta, const struct produce_item *item, size_t items,
                 const char *about, char key[HASH_TEXT], struct err *err);

/* Writes `path` with these pairs and items; result[i] tells of item i.  Fails with what the writer
 * or the source say, ERR_NUMERIC (tensor and index of a NaN, an infinity, a value that F16 cannot
 * hold), ERR_STOPPED; no file is left then, but with `resume` what is done so far, for the next
 * run (ERR_STOPPED, ERR_IO). */
bool produce_gguf(const char *path, const struct meta *meta, const struct produce_item *item,
                  size_t items, const struct produce_options *options,
                  struct produce_result *result, struct err *err);

/* The same for one who chooses the order of the tensors. */
struct produce {
    const struct produce_item *item; /* the caller's, who may set importance until one is made */
    size_t items;
    const struct produce_options *options;
    struct produce_result *result;
    bool *done; /* owned */
    struct gguf_writer writer;
    struct chunks chunks;
    struct resume resume;
};

/* Opens the file; with `resume` done[] and result[] have what an earlier run left. */
bool produce_open(struct produce *p, const char *path, const struct meta *meta,
                  const struct produce_item *item, size_t items,
                  const struct produce_options *options, struct produce_result *result,
                  struct err *err);

/* Makes one tensor, unless it is done. */
bool produce_make(struct produce *p, size_t item, struct err *err);

/* Makes the file appear under its name. */
bool produce_commit(struct produce *p, struct err *err);

/* Gives up what was not committed; `keep`: with `resume` it is left for the next run.  A zeroed or
 * closed one is allowed. */
void produce_close(struct produce *p, bool keep);

/* Does what went wrong leave work to go on with? */
static inline bool produce_keeps(const struct err *why)
{
    return why->code == ERR_STOPPED || why->code == ERR_IO;
}

/* The bytes of the file that produce_gguf would write. */
bool produce_size(const struct meta *meta, const struct produce_item *item, size_t items,
                  uint64_t *bytes, struct err *err);

#endif
