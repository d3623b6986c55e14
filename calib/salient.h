/* salient.h - tensors whose few important columns carry much get more bits.
 *
 * A column's weight in the output is its input's mean square times the squares of its weights.
 * Blocks cannot keep single columns apart, tensors can: those whose most important columns (a
 * part of them, say 1%) hold the largest share of the output are raised to the next type of their
 * family, in order, while they are no more than a part of all weights.
 */
#ifndef CALIB_SALIENT_H
#define CALIB_SALIENT_H

#include "core/pool.h"
#include "formats/calib_store.h"
#include "model/plan.h"

#include <stdbool.h>

struct salient_options {
    double columns; /* the part of a tensor's columns that counts: 0 to 1, at least one */
    double weights; /* the part of all weights that may be raised: 0 to 1 */
    const struct kernels *kernels;
    struct pool *pool;
};

/* Of a tensor of the plan. */
struct salient {
    double share; /* of the output that those columns hold; 0 where the store knows nothing */
    bool raised;
};

/* Fills salient[i] for each of the plan's tensors and raises dtype[i].  Tensors that the store does
 * not know, experts and types without a next one stay.  Fails with ERR_USAGE (a part out of range),
 * ERR_FORMAT (columns that differ from the store's), ERR_MEMORY or ERR_STOPPED. */
bool salient_raise(const struct plan *p, const struct calib_store *store,
                   const struct salient_options *o, const struct dtype **dtype,
                   struct salient *salient, struct err *err);

/* The type above in the same family, or NULL. */
const struct dtype *salient_next(const struct dtype *d);

#endif
