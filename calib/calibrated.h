/* calibrated.h - what calibration found, put to use: importance, and an encoder, for a plan's tensors.
 *
 * Every tensor that the store knows is encoded with the mean squares of its inputs for importance
 * and, where Hessians are asked for and there, by GPTQ (calib/gptq.h); where the store has
 * gradients of its outputs, with feedback between rows (calib/gptq_matrix.h: that takes its weights
 * in f32).  At most two factors are in memory: tensors of a group share theirs, and of two groups
 * the one used last stays.  A matrix that calibration never reached, or whose Hessian no damping
 * makes positive definite, is encoded plainly and counted (struct produce_result).
 */
#ifndef CALIB_CALIBRATED_H
#define CALIB_CALIBRATED_H

#include "calib/gptq_matrix.h"
#include "core/pool.h"
#include "formats/calib_store.h"
#include "model/produce.h"

enum { CALIBRATED_FACTORS = 2 };

struct calibrated_options {
    bool importance_only; /* no GPTQ: plain search with importance */
    struct gptq_options gptq;
    bool folded; /* stores are of what the folded model's linears are fed (model/fold.h) */
    const struct calib_store *gradients; /* where those of outputs are; NULL: in the store */
};

/* A factor and whose it is. */
struct calibrated_factor {
    const struct calib_group *group; /* NULL: none */
    size_t matrix;
    bool tied;
    const float *by_col; /* the fold of the inputs (model/fold.h), or NULL */
    unsigned long used;  /* the larger, the later */
    struct factor factor;
};

struct calibrated {
    const struct calib_store *store;
    const struct kernels *kernels;
    struct pool *pool;
    struct calibrated_options options;
    struct produce_encoder encoder; /* that the items point to */
    struct calibrated_factor factor[CALIBRATED_FACTORS];
    unsigned long uses;
    struct gptq gptq; /* of the matrix in work */
    struct gptq_scratch *scratch;
    uint8_t *blocks; /* the matrix in work, where rows were encoded together; else NULL */
};

/* The store must stay open, and *c where it is.  Fails with ERR_MEMORY. */
bool calibrated_open(struct calibrated *c, const struct calib_store *store,
                     const struct calibrated_options *options, const struct kernels *kernels,
                     struct pool *pool, struct err *err);
void calibrated_close(struct calibrated *c);

/* From here on that store counts, and the one before, which may be NULL, need not stay. */
void calibrated_turn(struct calibrated *c, const struct calib_store *store);

/* The encoder, for an item that gets the rest later, with its store; false where it has none for the
 * item's type. */
bool calibrated_prepare(struct calibrated *c, struct produce_item *item);

/* Bytes that encoding an item of the encoder's takes, at most. */
uint64_t calibrated_memory(const struct calibrated *c, const struct produce_item *item);

/* Gives the item what the store has for it.  False where that is nothing, and where the item's type
 * is no quantized one. */
bool calibrated_use(struct calibrated *c, struct produce_item *item);

/* In place of the encoder's begin, for an item of one matrix: where a caller wants some of its rows
 * alone, there is no feedback between rows. */
bool calibrated_begin_rows(struct calibrated *c, const struct produce_item *item, bool *plain,
                           struct err *err);

/* The factor of a matrix of the group that the tensor is of, its Hessian read, folded as the tensor is
 * and damped if it is not at hand; it stays until the next but one.  An embedding, which serves
 * two ends, gets a ridge.  Fails with ERR_NUMERIC (no damping helps), ERR_FORMAT, ERR_IO or
 * ERR_MEMORY. */
const struct factor *calibrated_factor(struct calibrated *c, const struct calib_group *group,
                                       size_t matrix, const struct plan_tensor *tensor,
                                       struct err *err);

#endif
