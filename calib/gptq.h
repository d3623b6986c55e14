/* gptq.h - the codec that knows the inputs: blocks whose error is small where the inputs are.
 *
 * What is made small is, for every row w of a weight and its decoded values v, the loss
 * (v - w)' H (v - w): the mean square of the row's output error on the calibration text.  Columns
 * are rounded in order and the error of each is fed back into those that follow (GPTQ); scales and
 * minima of blocks are chosen inside that loop by the loss itself; coordinate descent under the
 * whole H follows (`best`).  docs/gptq.md tells the method and what each part of it is worth.
 *
 * Rows are independent of each other: any split of a tensor into calls, threads and tiles gives
 * the same bytes, and so does any instruction set, given the factor.
 */
#ifndef CALIB_GPTQ_H
#define CALIB_GPTQ_H

#include "calib/factor.h"
#include "core/dtype.h"
#include "core/err.h"
#include "quantize/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { GPTQ_ROWS = 32 }; /* the tile: calls with multiples of it waste nothing */

struct gptq_options {
    bool fast;       /* no descent: a third of the time, most of the gain */
    unsigned sweeps; /* of the descent; 0: GPTQ_SWEEPS, or one less from GPTQ_WIDE columns on,
                        where each costs more than it brings */
    unsigned cpu;    /* core/cpu.h */
};

enum { GPTQ_SWEEPS = 3, GPTQ_WIDE = 2048, GPTQ_PASSES = 2, GPTQ_TRIES = 3 };

struct gptq_shape;
struct gptq_engine;

/* What is shared by all rows of a tensor: read-only once open. */
struct gptq {
    const struct factor *factor;
    const struct gptq_shape *shape;
    const struct kernels *kernels;
    const struct dtype *dtype;
    const struct gptq_engine *engine;
    unsigned sweeps;    /* over the whole row, */
    unsigned passes;    /* over each chunk in each of them, */
    unsigned tries;     /* of d when it is rounded first */
    size_t span, chunk; /* columns of a super-block, of those worked on together */
    size_t blocks;      /* of a row */
    float *weight;      /* 1 / U[j][j]^2, a column */
    float *u;           /* the triangles of U within the blocks, block x block each, row-major */
    float *h, *inverse; /* H within the blocks, and its inverse ... */
    float *t;           /* ... as T' T, T upper */
    float *sum;         /* rows of H summed over a block, within its super-block: span each */
};

/* Work space of one thread. */
struct gptq_scratch {
    float *floats;
};

/* Sums over rows, in their order. */
struct gptq_sums {
    double loss;     /* in units of the factor's H */
    double rounding; /* the loss of plain rounding with the diagonal of H as importance */
    uint64_t rows;
    uint64_t kept; /* rows whose plain rounding was no worse, and stands */
};

/* The types it encodes to: Q4_0 ... Q8_0, Q2_K ... Q6_K, IQ4_NL, IQ4_XS. */
bool gptq_supports(enum dtype_id dtype);

/* The factor and the kernels must stay while g does.  Fails with ERR_UNSUPPORTED (type), ERR_FORMAT
 * (columns are not whole blocks), ERR_MEMORY or ERR_NUMERIC. */
bool gptq_open(struct gptq *g, const struct factor *f, enum dtype_id dtype,
               const struct gptq_options *options, const struct kernels *kernels, struct err *err);
void gptq_close(struct gptq *g);

/* Of an encoded row. */
size_t gptq_row_bytes(const struct gptq *g);

/* Space for gptq_rows with g. */
bool gptq_scratch_open(struct gptq_scratch *s, const struct gptq *g, struct err *err);
void gptq_scratch_close(struct gptq_scratch *s);

/* Encodes `rows` rows (row-major, finite) of factor->cols weights to `blocks`, one after another, and
 * adds to *sums (may be NULL).  No row is worse than plain rounding. */
void gptq_rows(const struct gptq *g, const float *w, size_t rows, uint8_t *blocks,
               struct gptq_scratch *s, struct gptq_sums *sums);

/* Seconds of a core that a row takes, about: for a progress alone. */
double gptq_row_seconds(const struct gptq_options *options, size_t cols);

#endif
