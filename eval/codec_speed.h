/* codec_speed.h - how fast weights are encoded and decoded, beside what this machine reads.
 *
 * Rows of normal weights in F32 go to a type and back, from memory to memory, with all threads of
 * the pool; they are more than most caches hold.  Speeds are the best of several runs by the wall
 * clock, as those of the machine (eval/speed.h).
 */
#ifndef EVAL_CODEC_SPEED_H
#define EVAL_CODEC_SPEED_H

#include "core/dtype.h"
#include "core/pool.h"
#include "quantize/kernels.h"

enum { CODEC_SPEED_COLS = 4096, CODEC_SPEED_ROWS = 4096 }; /* 64 MiB of weights */

/* What one measurement after another works on; everything is from codec_speed_open. */
struct codec_speed {
    const struct kernels *kernels;
    struct pool *pool;
    size_t rows;
    float *weights, *decoded;
    uint8_t *blocks;
};

/* Weights a second; no encoder: 0. */
struct codec_rates {
    double encode, decode;
};

/* Fails with ERR_MEMORY. */
bool codec_speed_open(struct codec_speed *c, size_t rows, const struct kernels *k,
                      struct pool *pool, struct err *err);
void codec_speed_close(struct codec_speed *c);

/* A type without an encoder decodes random bytes.  Fails with ERR_STOPPED. */
bool codec_speed_measure(struct codec_speed *c, enum dtype_id type, struct codec_rates *rates,
                         struct err *err);

/* Bytes that a weight takes on its way: four of F32, and those of the type. */
double codec_speed_bytes(enum dtype_id type);

#endif
