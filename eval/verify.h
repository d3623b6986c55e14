/* verify.h - does a GGUF hold what its source says?  Every tensor, through the plan's edits.
 *
 * The plan says what each tensor should be; the file's bytes are compared with that:
 * bit for bit where the type can hold the source's values, else as the type's error.  Where a file
 * says that it is folded (model/fold.h), it is compared with the source folded in the same way.
 */
#ifndef EVAL_VERIFY_H
#define EVAL_VERIFY_H

#include "core/pool.h"
#include "core/progress.h"
#include "model/plan.h"
#include "quantize/error.h"

enum verify_status {
    VERIFY_EXACT,     /* the source's values, every bit */
    VERIFY_ROUNDED,   /* a float type of fewer bits: each value is the source's, rounded to it */
    VERIFY_QUANTIZED, /* blocks: see the figures */
    VERIFY_DIFFERENT, /* not the source's values; blocks: an error over 0.9 of the signal */
    VERIFY_SHAPE,     /* another shape than the plan's */
    VERIFY_MISSING,   /* the plan has it, the file does not */
    VERIFY_EXTRA,     /* the file has it, the plan does not */
};

struct verify_result {
    const char *name;
    enum verify_status status;
    const struct tensor *file;        /* NULL: missing */
    const struct plan_tensor *source; /* NULL: extra */
    struct error_sums sums;
    uint64_t different;   /* values, in float types */
    uint64_t row, column; /* of the first */
};

/* "exact", "rounded", ... */
const char *verify_status_name(enum verify_status status);

/* True for the first three. */
bool verify_status_good(enum verify_status status);

/* Compares all.  *result gets plan->tensors + extra rows (the caller frees it), *results their
 * number.  Fails with ERR_MEMORY, ERR_STOPPED, or ERR_FORMAT (a fold that is none of this model); a
 * difference is not a failure. */
bool verify_gguf(const struct plan *plan, const struct checkpoint *gguf, const struct kernels *k,
                 struct pool *pool, struct progress *progress, struct verify_result **result,
                 size_t *results, struct err *err);

#endif
