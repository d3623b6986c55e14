/* kernels.h - the row kernels, one pointer a type, chosen once for this machine.
 *
 * Every kernel has a scalar reference, and every faster version gives the same
 * bytes as the reference: tests compare them with memcmp.  `n` is a number of
 * weights, whole blocks; rows do not overlap; blocks are encoded to an even address,
 * else no alignment is asked for; the weights are finite.  The table is built once,
 * const afterwards and passed down.
 *
 * To add a kernel: a static function in <family>.c, its pointer in that file's
 * *_init_scalar; a faster one in <family>_avx2.c, set in *_init_avx2, or
 * in <family>_neon.c.
 */
#ifndef QUANTIZE_KERNELS_H
#define QUANTIZE_KERNELS_H

#include "core/dtype.h"
#include "core/vector.h"

#include <stddef.h>

/* Encodes one row.  importance: one weight >= 0 a column, or NULL for all alike;
 * what is made small is the sum over columns of importance * (value - decoded)^2.
 * A block whose importance is all zero is encoded as if it were all one. */
typedef void (*encode_row_fn)(void *restrict dst, const float *restrict src,
                              const float *restrict importance, size_t n);
typedef void (*decode_row_fn)(float *restrict dst, const void *restrict src, size_t n);

struct error_sums;
struct dot_kernels;

struct kernels {
    const char *name;                  /* "scalar", "avx2", "neon": for logs and tables */
    encode_row_fn encode[DTYPE_COUNT]; /* NULL: a type that is only read */
    decode_row_fn decode[DTYPE_COUNT]; /* every type has one */

    /* Adds a row of n weights (any n) and their decoded values to *sums. */
    void (*add_error)(struct error_sums *sums, const float *restrict x, const float *restrict y,
                      const float *restrict importance, size_t n);
    /* How y = W x is computed (quantize/dot.h); NULL, as kernels_init leaves it: exactly, in f32. */
    const struct dot_kernels *dot;

    /* The index of the first NaN or infinity, or n. */
    size_t (*find_nonfinite)(const float *x, size_t n);

    struct vector_kernels vector; /* what there is to do between products */
};

/* Fills *k with the best kernels that the given cpu features (core/cpu.h) allow;
 * with cpu == 0, all of them are the reference. */
void kernels_init(struct kernels *k, unsigned cpu);

/* The families; each sets the pointers that it has. */
void decode_init_scalar(struct kernels *k);
void decode_init_avx2(struct kernels *k);
void decode_init_neon(struct kernels *k);
void plain_init_scalar(struct kernels *k); /* F32, F16, BF16, errors, the finite check */
void plain_init_avx2(struct kernels *k);
void plain_init_neon(struct kernels *k);
void affine_init_scalar(struct kernels *k); /* scale and min: Q4_1 Q5_1 Q2_K Q4_K Q5_K */
void affine_init_avx2(struct kernels *k);
void affine_init_neon(struct kernels *k);
void symmetric_init_scalar(struct kernels *k); /* scale alone: Q4_0 Q5_0 Q8_0 Q3_K Q6_K */
void symmetric_init_avx2(struct kernels *k);
void symmetric_init_neon(struct kernels *k);
void lookup_init_scalar(struct kernels *k); /* tables: IQ4_NL IQ4_XS MXFP4 TQ1_0 TQ2_0 */
void lookup_init_avx2(struct kernels *k);
void lookup_init_neon(struct kernels *k);

#endif
