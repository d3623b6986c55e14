/* gptq_part.h - what the engine's builds for each instruction set have in common.
 *
 * The engine works on one tile of rows at a time (calib/gptq.h has what it computes).
 */
#ifndef CALIB_GPTQ_PART_H
#define CALIB_GPTQ_PART_H

#include "calib/gptq.h"

#include <stddef.h>

/* A tile: up to GPTQ_ROWS rows in, their codes and scales out; all row-major. */
struct gptq_part {
    size_t rows;
    const float *w;
    float *q;        /* rows x cols; may be w */
    float *sc, *m;   /* rows x blocks */
    float *d, *dmin; /* rows x super-blocks */
    float *loss;     /* rows */
    float *room;     /* gptq_room() floats, aligned to 64 bytes */
};

/* Floats of room for a tile. */
size_t gptq_room(const struct gptq *g);

/* loss[r] = x H x' of the r-th of up to GPTQ_ROWS rows of x. */
typedef void (*gptq_loss_fn)(const struct gptq *g, const float *x, size_t rows, float *loss,
                             float *room);

struct gptq_engine {
    const char *name;
    void (*run)(const struct gptq *g, const struct gptq_part *part);
    gptq_loss_fn loss;
};

extern const struct gptq_engine gptq_engine_scalar, gptq_engine_avx2, gptq_engine_avx512,
    gptq_engine_neon;

#endif
