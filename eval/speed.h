/* speed.h - how fast a model runs, beside how fast this machine reads memory and multiplies.
 *
 * A pass takes some tokens of some sequences through the model, and gives logits for the last of
 * each: one token each is generation, many of one sequence are a prompt.  Times are medians by
 * the wall clock; the machine's rates are its best.
 */
#ifndef EVAL_SPEED_H
#define EVAL_SPEED_H

#include "core/pool.h"
#include "model/forward.h"

struct speed_machine {
    double read;     /* bytes a second of a plain sum over memory that no cache holds */
    double multiply; /* float operations a second of a matrix product in f32 (BLAS) */
};

/* With all threads of the pool.  Fails with ERR_MEMORY. */
bool speed_of_machine(struct speed_machine *m, struct pool *pool, struct err *err);

struct speed_pass {
    size_t sequences, tokens; /* tokens of each sequence */
    size_t context;           /* tokens that are before them */
    double seconds;
    double bytes;      /* weights and cache that are read */
    double operations; /* of the products with weights: two for a weight and token */
};

/* Measures one pass; its last three members are set.  Fails with ERR_MEMORY, ERR_STOPPED, or
 * ERR_USAGE (the cache's type). */
bool speed_of_pass(struct speed_pass *p, struct forward *f, enum dtype_id cache, struct err *err);

#endif
