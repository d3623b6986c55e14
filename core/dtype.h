/* dtype.h - the element types a tensor can have in a file: one row each.
 *
 * This table knows names, numbers and sizes, so that a file can be walked and
 * copied; turning the bytes into numbers is quantize/codec.h.  To add a type:
 * its block in core/block.h, an id here, a row in dtype.c.
 */
#ifndef CORE_DTYPE_H
#define CORE_DTYPE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum dtype_id {
    DTYPE_F32,
    DTYPE_F16,
    DTYPE_BF16,
    DTYPE_Q4_0,
    DTYPE_Q4_1,
    DTYPE_Q5_0,
    DTYPE_Q5_1,
    DTYPE_Q8_0,
    DTYPE_Q2_K,
    DTYPE_Q3_K,
    DTYPE_Q4_K,
    DTYPE_Q5_K,
    DTYPE_Q6_K,
    DTYPE_IQ4_NL,
    DTYPE_IQ4_XS,
    DTYPE_TQ1_0,
    DTYPE_TQ2_0,
    DTYPE_MXFP4,
    DTYPE_IQ2_XXS,
    DTYPE_IQ2_XS,
    DTYPE_IQ2_S,
    DTYPE_IQ3_XXS,
    DTYPE_IQ3_S,
    DTYPE_IQ1_S,
    DTYPE_IQ1_M,
    DTYPE_F64,
    DTYPE_I8,
    DTYPE_I16,
    DTYPE_I32,
    DTYPE_I64,
    DTYPE_U8,
    DTYPE_BOOL,
    DTYPE_F8_E4M3,
    DTYPE_F8_E5M2,
    DTYPE_COUNT
};

enum dtype_class {
    DTYPE_FLOAT,     /* one element, a floating-point number */
    DTYPE_INTEGER,   /* one element, an integer */
    DTYPE_QUANTIZED, /* blocks */
};

struct dtype {
    enum dtype_id id;
    const char *name; /* as llama.cpp prints it: "Q4_K" */
    enum dtype_class class;
    int gguf;                /* its number in a GGUF file, or -1 */
    const char *safetensors; /* its name in a safetensors header, or NULL */
    size_t block_elems;      /* rows are whole blocks */
    size_t block_bytes;
};

/* The row of that id (always there), or by name in any case, or by the number
 * in a GGUF file, or by the name in a safetensors header; else NULL. */
const struct dtype *dtype_get(enum dtype_id id);
const struct dtype *dtype_find(const char *name);
const struct dtype *dtype_find_gguf(uint32_t number);
const struct dtype *dtype_find_safetensors(const char *name);

/* Bits a weight, scales included: 4.5 for Q4_K. */
double dtype_bits(const struct dtype *d);

/* Bytes of a row of `cols` elements.  Fails with ERR_FORMAT where cols is not
 * whole blocks or the bytes do not fit in a size_t. */
bool dtype_row_bytes(const struct dtype *d, uint64_t cols, size_t *bytes, struct err *err);

#endif
