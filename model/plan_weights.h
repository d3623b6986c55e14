/* plan_weights.h - a plan's tensors as the weights of a forward pass, in f32, before any file is made
 * of them.
 *
 * Vectors are there when it is open; a matrix has its values while it is loaded, so that a caller
 * takes the model through its layers half by half with room for half a layer.  A matrix whose
 * rows the plan only copies stays in its file, in its type, and is always there.
 */
#ifndef MODEL_PLAN_WEIGHTS_H
#define MODEL_PLAN_WEIGHTS_H

#include "core/pool.h"
#include "model/plan.h"
#include "model/weights.h"

struct plan_weights {
    const struct plan *plan;
    const struct kernels *kernels;
    struct checkpoint checkpoint; /* tensor i is the plan's, as f32 */
    struct weights weights;
};

/* The plan must stay, as it is folded.  Fails with what weights_open says, or ERR_MEMORY. */
bool plan_weights_open(struct plan_weights *w, const struct plan *p, const struct kernels *k,
                       struct err *err);
void plan_weights_close(struct plan_weights *w);

/* Floats that loading this matrix takes: 0 where it is there. */
size_t plan_weights_room(const struct plan_weights *w, const struct tensor *t);

/* Reads a matrix of w->weights into `room`, where it stays until it is read elsewhere. */
void plan_weights_load(struct plan_weights *w, const struct tensor *t, struct pool *pool,
                       float *room);

#endif
