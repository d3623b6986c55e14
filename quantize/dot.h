/* dot.h - y = W x on the blocks of a file, for one x or for many.
 *
 * x is quantized once, to the form that the weight's type multiplies with:
 *
 *   DOT_BLOCK  eight bits, a scale per 32       Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 IQ4_NL MXFP4
 *   DOT_SUPER  eight bits, a scale per 256      Q2_K to Q6_K, IQ4_XS, TQ1_0, TQ2_0
 *   DOT_FLOAT  as it is                         floats, integers and the codebook types
 *
 * Every version gives the bytes of the reference (dot_scalar.c), for any number of x, rows or
 * threads, because sums have one order.  With q the eight-bit x, dx its scale and d, m, scale,
 * min, u those of the weight (core/block.h), a row is summed over its blocks or columns i:
 *
 *   DOT_BLOCK  lane[i % 8] += (d * (sum of u q) + m * (sum of q)) * dx
 *   DOT_SUPER  lane[0] += (d * (sum of scale u q) - m * (sum of min q)) * dx
 *   DOT_FLOAT  lane[i % 16] = fma(w, x, lane[i % 16])
 *
 * Lanes begin at zero; in the end those 8, 4, 2 and 1 apart are added.  The inner sums are exact
 * integers, then floats; the rest are single float operations, the terms of m only where the type
 * has one.  A block of x under 2^-100 counts as zero, and one that is not finite makes its
 * products NaN.  Rows need no alignment and may hold any bytes.
 */
#ifndef QUANTIZE_DOT_H
#define QUANTIZE_DOT_H

#include "core/dtype.h"
#include "quantize/kernels.h"

#include <assert.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dot_form { DOT_FLOAT, DOT_BLOCK, DOT_SUPER, DOT_FORMS };

/* Both integer forms come in pieces of 256 columns, the last filled up with zeros. */
enum { DOT_PIECE = 256, DOT_BLOCKS = 8, DOT_LANES = 16, DOT_PANEL_ROWS = 32, DOT_GROUP = 24 };

struct dot_block_input {
    int8_t q[DOT_PIECE];
    float d[8];
    int32_t sum[8]; /* of the q of a block */
};
static_assert(sizeof(struct dot_block_input) == 320, "whole cache lines");

struct dot_super_input {
    int8_t q[DOT_PIECE];
    int16_t sum[16];  /* of sixteen q: 0, 2, .. 14 and then 1, 3, .. 15 */
    int16_t sum32[8]; /* of 32 */
    float d;
    uint8_t zero[12];
};
static_assert(sizeof(struct dot_super_input) == 320, "whole cache lines");

struct dot_kernels;

/* W[row] . x of one type; n columns, whole blocks. */
typedef float (*dot_row_fn)(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,
                            const void *x, size_t n);

/* A few x, for which a row is unpacked once: y[v * stride].  Of DOT_FLOAT n is a multiple of
 * DOT_LANES. */
typedef void (*dot_few_fn)(float *y, size_t stride, const uint8_t *row, const void *x,
                           size_t vectors, size_t n);

/* Many x.  A panel is up to DOT_PANEL_ROWS rows unpacked and laid side by side: pack writes it (the
 * rows that are missing as zeros), multiply reads it, with up to DOT_GROUP x: y[v * stride + row].
 * What follows those x in memory is read next. */
typedef void (*dot_pack_fn)(const struct dot_kernels *k, enum dtype_id type, void *panel,
                            const uint8_t *first, size_t row_bytes, size_t rows, size_t n);
typedef void (*dot_multiply_fn)(float *y, size_t stride, const void *panel, size_t rows,
                                const void *x, size_t vectors, size_t n);

/* Rows that are laid out (quantize/dot_laid.h), from the first of a group on: times one x, y[row],
 * and a group to a panel. */
typedef void (*dot_laid_multiply_fn)(float *y, const uint8_t *laid, size_t rows, const void *x,
                                     size_t n);
typedef void (*dot_laid_pack_fn)(void *panel, const uint8_t *laid, size_t n);

struct dot_kernels {
    const char *name;             /* "scalar", "avx2", "avx512", "neon", "dotprod" */
    const struct kernels *codecs; /* the decoders */
    void (*quantize[DOT_FORMS])(void *restrict x8, const float *restrict x, size_t n);
    dot_row_fn row[DTYPE_COUNT];
    dot_few_fn few[DTYPE_COUNT]; /* NULL: with one x after the other */
    dot_pack_fn pack[DTYPE_COUNT];
    dot_multiply_fn multiply[DTYPE_COUNT];           /* NULL: rows are multiplied one by one */
    dot_laid_multiply_fn laid_multiply[DTYPE_COUNT]; /* NULL: they stay as they are */
    dot_laid_pack_fn laid_pack[DTYPE_COUNT];
    /* Sixteen lanes += w * x; n a multiple of 16. */
    void (*add_float)(float lane[DOT_LANES], const float *w, const float *x, size_t n);
};

/* The best that the cpu features allow; `codecs` stays the caller's and must outlive *k. */
void dot_init(struct dot_kernels *k, const struct kernels *codecs, unsigned cpu);

enum dot_form dot_form(enum dtype_id type);

/* Bytes of one x of n columns in that form, a multiple of 64; x are stored one after another, from
 * a 64-byte boundary unless they are floats.  dot_quantize writes one. */
size_t dot_input_bytes(enum dot_form form, size_t n);
void dot_quantize(const struct dot_kernels *k, enum dot_form form, void *restrict x8,
                  const float *restrict x, size_t n);

/* Rows as a file has them, or laid out. */
struct dot_weight {
    enum dtype_id type;
    const uint8_t *data;
    size_t row_bytes, cols;
    bool laid;
};

/* Bytes of so many rows laid out, for a type that k has kernels for and whole pieces; else 0. */
size_t dot_laid_bytes(const struct dot_kernels *k, enum dtype_id type, size_t rows, size_t cols);

/* Bytes of scratch (aligned to 64) that dot_multiply wants for weights of up to max_cols. */
size_t dot_scratch_bytes(size_t max_cols);

/* y[v * stride + row] = W[row] . x[v], for rows [first, first + rows) and all x.  Rows are best
 * asked for in multiples of DOT_PANEL_ROWS; laid out, they begin at one. */
void dot_multiply(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                  size_t rows, const void *x, size_t vectors, float *y, size_t stride,
                  void *scratch);

/* The families. */
void dot_init_scalar(struct dot_kernels *k);
void dot_init_avx2(struct dot_kernels *k);
void dot_panel_init_avx2(struct dot_kernels *k);
void dot_input_init_avx2(struct dot_kernels *k);
void dot_float_init_avx2(struct dot_kernels *k);
void dot_init_avx512(struct dot_kernels *k);
void dot_row_init_avx512(struct dot_kernels *k);
void dot_laid_init_avx512(struct dot_kernels *k);
void dot_laid_block_init_avx512(struct dot_kernels *k);
void dot_float_init_avx512(struct dot_kernels *k);
void dot_init_neon(struct dot_kernels *k);
void dot_pack_init_neon(struct dot_kernels *k);
void dot_input_init_neon(struct dot_kernels *k);
void dot_float_init_neon(struct dot_kernels *k);
void dot_init_dotprod(struct dot_kernels *k);

/* What their files share: rows of DOT_FLOAT, and the end of a sum. */
float dot_row_float(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,
                    const void *x, size_t n);
float dot_add_lanes(float *lane, int lanes);

#endif
