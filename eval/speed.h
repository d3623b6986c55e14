/* speed.h - how fast a model runs, beside how fast this machine reads memory and multiplies.
 *
 * A pass takes some tokens of some sequences through the model, and gives logits for the last of
 * each: one token each is generation, many of one sequence are a prompt.  Times are medians by
 * the wall clock; the machine's rates are its best.  Since a machine that is shared reads faster at
 * one moment than at another, it is measured again in turn with each pass.
 */
#ifndef EVAL_SPEED_H
#define EVAL_SPEED_H

#include "core/pool.h"
#include "model/forward.h"

struct speed_machine {
    double read;     /* bytes a second of a plain sum over memory that no cache holds */
    double multiply; /* float operations a second of a matrix product in f32 (BLAS) */
    struct pool *pool;
    uint64_t *memory; /* that is read */
};

/* Measures with all threads of the pool.  Fails with ERR_MEMORY. */
bool speed_machine_open(struct speed_machine *m, struct pool *pool, struct err *err);
/* Frees the memory; the rates stay. */
void speed_machine_close(struct speed_machine *m);

struct speed_pass {
    size_t sequences, tokens; /* tokens of each sequence */
    size_t context;           /* tokens that are before them */
    double seconds;
    double read;       /* bytes a second that the machine reads meanwhile */
    double bytes;      /* weights and cache that are read */
    double operations; /* of the products with weights: two for a weight and token */
};

/* Measures one pass; its last four members are set.  Fails with ERR_MEMORY, ERR_STOPPED, or
 * ERR_USAGE (the cache's type). */
bool speed_of_pass(struct speed_pass *p, const struct speed_machine *m, struct forward *f,
                   enum dtype_id cache, struct err *err);

#endif
