/* linear.h - y = W x, most of the work of a transformer, for many x at once.
 *
 * A weight stays in its file, in its type.  There are two ways to multiply with it:
 *
 *   fast   quantize/dot.h: x is quantized to eight bits (for float weights it stays as it is)
 *          and multiplied with the blocks; for generation the weights stream through once
 *   exact  rows are decoded to f32, a tile at a time, and multiplied in f32 by BLAS: the yardstick
 *
 * Rows are shared out over the pool: exact ones in tiles that follow from the weight's shape alone,
 * fast ones anyhow, so results are the same for any number of threads.  BLAS runs inside an item in
 * one thread: opening an engine sets OpenBLAS to one thread, for the whole process.
 */
#ifndef MODEL_LINEAR_H
#define MODEL_LINEAR_H

#include "core/err.h"
#include "core/pool.h"
#include "core/tensor.h"
#include "quantize/dot.h"
#include "quantize/kernels.h"

#include <stdbool.h>
#include <stddef.h>

struct linear {
    const struct tensor *weight; /* rows x cols; NULL: there is none */
    const float *bias;           /* a float a row, or NULL */
    const uint8_t *laid;         /* fast: the weight laid out (quantize/dot_laid.h), or NULL */
};

/* One product of an x: y gets vectors x rows floats. */
struct linear_job {
    const struct linear *linear;
    float *y;
};

enum { LINEAR_JOBS_MAX = 4 };

struct linear_engine {
    const struct kernels *kernels;
    struct pool *pool;
    uint8_t *scratch; /* of each thread */
    size_t scratch_bytes;
    uint8_t *input; /* fast: a piece of x as dot.h wants it */
};

/* An engine for weights of up to max_cols columns: a fast one where k->dot is set.  Fails with
 * ERR_MEMORY. */
bool linear_open(struct linear_engine *e, const struct kernels *k, struct pool *pool,
                 size_t max_cols, struct err *err);
void linear_close(struct linear_engine *e);

/* y = W x + bias for all `vectors` x (vectors x cols, row-major) and up to LINEAR_JOBS_MAX
 * weights of the same cols.  No y overlaps x or another y. */
void linear_run(struct linear_engine *e, const float *x, size_t vectors,
                const struct linear_job *job, size_t jobs);

#endif
