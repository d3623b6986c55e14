/* trial.h - a tensor as it would come out of a type, without a file: its blocks, and their loss.
 *
 * Encoders are those that the file would be made with (calib/calibrated.h).  Loss is what they make
 * small: with a Hessian the mean square of the output's error, else the sum of squared errors.
 * The same for any pool.
 */
#ifndef CALIB_TRIAL_H
#define CALIB_TRIAL_H

#include "calib/calibrated.h"

struct trial {
    struct calibrated *calibrated;
    const struct kernels *kernels;
    struct pool *pool;
};

/* May the tensor be of that type: one that is written, and whole blocks in a row? */
bool trial_possible(const struct trial *t, const struct tensor *tensor, enum dtype_id type);

/* Encodes all rows to `blocks`, or where that is NULL `sample` tiles of GPTQ_ROWS rows (0: all),
 * evenly apart.  Fails with ERR_NUMERIC (a weight that is not finite), ERR_MEMORY, ERR_STOPPED and
 * what the store says. */
bool trial_run(const struct trial *t, const struct tensor *tensor, enum dtype_id type,
               size_t sample, uint8_t *blocks, double *loss, struct err *err);

#endif
