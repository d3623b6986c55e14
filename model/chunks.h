/* chunks.h - a tensor's rows, worked on in chunks over the pool, summed in order.
 *
 * A chunk is about 64 Ki elements, at least `step` rows: its buffers stay in a core's cache, and
 * memory does not grow with the tensor.  Rows that are written to a file come in chunks of about 64
 * KiB of it or more, which end where its pages do.  Chunks are the same for any number of threads
 * and what they find is merged in their order, so figures do not depend on the pool.
 */
#ifndef MODEL_CHUNKS_H
#define MODEL_CHUNKS_H

#include "core/err.h"
#include "core/pool.h"
#include "core/progress.h"
#include "quantize/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A thread's buffers, large enough for 64 Ki elements or `step` rows: rows as floats, twice, and as
 * bytes (up to 8 an element). */
struct chunk_scratch {
    float *x, *y;
    uint8_t *bytes;
    int thread;
};

/* What a chunk finds; chunks_for merges them (counts are added, the first position kept). */
struct chunk_part {
    struct error_sums sums;
    uint64_t nonfinite;               /* NaN and infinities */
    uint64_t kept_rows;               /* rows that blocks hold exactly */
    double loss, plain_loss;          /* of an encoder that makes it small */
    uint64_t different;               /* elements that are not what they should be */
    uint64_t first_row, first_column; /* of the first different one, if any */
    struct err err;                   /* a fault ends the work */
};

/* Rows [row, row + rows) of the tensor in work. */
typedef void (*chunk_fn)(void *arg, size_t row, size_t rows, const struct chunk_scratch *scratch,
                         struct chunk_part *part);

struct chunks {
    struct pool *pool;
    struct chunk_scratch *scratch; /* one a thread */
    struct chunk_part *part;       /* one a chunk of a batch */
    size_t max_cols, step;
};

/* Buffers for tensors of up to max_cols columns; a chunk has a multiple of `step` rows, but for a
 * tensor's last.  Fails with ERR_MEMORY. */
bool chunks_open(struct chunks *c, struct pool *pool, uint64_t max_cols, size_t step,
                 struct err *err);
void chunks_close(struct chunks *c);

/* The rows to work on. */
struct chunk_rows {
    const char *name; /* for the progress, */
    size_t rows, cols, row_bytes;
    uint64_t work;  /* of a row, for the progress; 0: its bytes */
    uint64_t place; /* where in a file they are written to, or 0: one by one, then, for a chunk may
                       have more than the buffers for floats hold */
};

/* Calls work for all rows and merges what it found into *total (which the caller zeroes).
 * Fails with the first chunk's err, or ERR_STOPPED. */
bool chunks_for(struct chunks *c, const struct chunk_rows *all, chunk_fn work, void *arg,
                struct progress *progress, struct chunk_part *total, struct err *err);

#endif
