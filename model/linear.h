/* linear.h - y = W x, most of the work of a transformer, for many x at once.
 *
 * A weight stays in its file, in its type.  Its rows are decoded to f32, a tile at a time, and
 * multiplied in f32 by BLAS.  Tiles are the items of the pool, so that decoding is shared out
 * with multiplying, and BLAS runs inside each in one thread: the tiles follow from the weight's
 * shape alone, and results are the same for any number of threads.  For that, opening an engine
 * sets OpenBLAS to one thread, for the whole process.
 *
 * The class of this kernel: a tolerance (f32 sums in BLAS's order), not bytes.
 */
#ifndef MODEL_LINEAR_H
#define MODEL_LINEAR_H

#include "core/err.h"
#include "core/pool.h"
#include "core/tensor.h"
#include "quantize/kernels.h"

#include <stdbool.h>
#include <stddef.h>

struct linear {
    const struct tensor *weight; /* rows x cols; NULL: there is none */
    const float *bias;           /* a float a row, or NULL */
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
    float *tile; /* of each thread */
    size_t tile_floats;
};

/* An engine for weights of up to max_cols columns.  Fails with ERR_MEMORY. */
bool linear_open(struct linear_engine *e, const struct kernels *k, struct pool *pool,
                 size_t max_cols, struct err *err);
void linear_close(struct linear_engine *e);

/* y = W x + bias for all `vectors` x (vectors x cols, row-major) and up to LINEAR_JOBS_MAX
 * weights of the same cols.  No y overlaps x or another y. */
void linear_run(struct linear_engine *e, const float *x, size_t vectors,
                const struct linear_job *job, size_t jobs);

#endif
