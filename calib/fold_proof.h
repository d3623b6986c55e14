/* fold_proof.h - a folded plan computes what the plan without its folds does: proved on tokens.
 *
 * Both run in f32 through the forward pass, over the same windows of tokens, half a layer at a
 * time.  What folding changes is the last bit of each product; anything else is a fault, of a
 * fold or of an architecture that the folds do not know.
 */
#ifndef CALIB_FOLD_PROOF_H
#define CALIB_FOLD_PROOF_H

#include "core/pool.h"
#include "model/plan.h"

#include <stdbool.h>

#define FOLD_PROOF_BOUND 1e-5

/* *error: of the logits, relative to their size: the root of the sums of squares over all tokens.
 * *memory: bytes that it took, beside two forward passes.  Fails with ERR_NUMERIC where it
 * is not below FOLD_PROOF_BOUND, and with what opening the model says. */
bool fold_proof(const struct plan *p, const struct kernels *k, struct pool *pool, double *error,
                uint64_t *memory, struct err *err);

#endif
