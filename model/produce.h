/* produce.h - carries out a plan: source rows to encoded rows to a GGUF file.
 *
 * One pass, tensor by tensor, a chunk of rows at a time over the pool: read, edit,
 * check, encode, decode again, measure, write.  Memory is a few hundred KB a thread (or
 * three rows where a row is larger), whatever the model's size.  Bytes and figures do
 * not depend on the pool.
 */
#ifndef MODEL_PRODUCE_H
#define MODEL_PRODUCE_H

#include "core/pool.h"
#include "core/progress.h"
#include "model/plan.h"
#include "quantize/error.h"
#include "quantize/kernels.h"

#include <stdbool.h>

/* What one tensor becomes. */
struct produce_item {
    const struct plan_tensor *tensor;
    const struct dtype *dtype;
    const float *importance; /* matrices x columns, or NULL: rows are shared out evenly over them */
    size_t matrices;
};

struct produce_result {
    bool copied;            /* the source's bytes, untouched or with rows moved */
    struct error_sums sums; /* all zero where copied */
    uint64_t nonfinite;     /* NaN and infinities: copied, or stored as 0 (allow_nan) */
    uint64_t kept_rows;     /* rows that blocks hold exactly: made of the type's values already */
    double seconds;
};

struct produce_options {
    const struct checkpoint *source; /* that the plan was made of */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress; /* may be NULL; in bytes of output */
    bool allow_nan;
    bool force; /* overwrite */
};

/* Writes `path` with these pairs and items; result[i] tells of item i.  Fails with what the writer
 * or the source say, ERR_NUMERIC (tensor and index of a NaN, an infinity, a value that F16 cannot
 * hold), ERR_STOPPED; no file is left then. */
bool produce_gguf(const char *path, const struct meta *meta, const struct produce_item *item,
                  size_t items, const struct produce_options *options,
                  struct produce_result *result, struct err *err);

/* The bytes of the file that produce_gguf would write. */
bool produce_size(const struct meta *meta, const struct produce_item *item, size_t items,
                  uint64_t *bytes, struct err *err);

#endif
