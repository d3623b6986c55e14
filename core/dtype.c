#include "core/dtype.h"

#include "core/block.h"

#include <inttypes.h>
#include <string.h>
#include <strings.h>

#define QUANTIZED(ID, name, gguf, elems, block)                                                    \
    [DTYPE_##ID] = {DTYPE_##ID, name, DTYPE_QUANTIZED, gguf, NULL, elems, sizeof(struct block)}
#define PLAIN(ID, name, class, gguf, safetensors, bytes)                                           \
    [DTYPE_##ID] = {DTYPE_##ID, name, class, gguf, safetensors, 1, bytes}

static const struct dtype table[DTYPE_COUNT] = {
    PLAIN(F32, "F32", DTYPE_FLOAT, 0, "F32", 4),
    PLAIN(F16, "F16", DTYPE_FLOAT, 1, "F16", 2),
    PLAIN(BF16, "BF16", DTYPE_FLOAT, 30, "BF16", 2),
    QUANTIZED(Q4_0, "Q4_0", 2, BLOCK_ELEMS, block_q4_0),
    QUANTIZED(Q4_1, "Q4_1", 3, BLOCK_ELEMS, block_q4_1),
    QUANTIZED(Q5_0, "Q5_0", 6, BLOCK_ELEMS, block_q5_0),
    QUANTIZED(Q5_1, "Q5_1", 7, BLOCK_ELEMS, block_q5_1),
    QUANTIZED(Q8_0, "Q8_0", 8, BLOCK_ELEMS, block_q8_0),
    QUANTIZED(Q2_K, "Q2_K", 10, SUPER_ELEMS, block_q2_k),
    QUANTIZED(Q3_K, "Q3_K", 11, SUPER_ELEMS, block_q3_k),
    QUANTIZED(Q4_K, "Q4_K", 12, SUPER_ELEMS, block_q4_k),
    QUANTIZED(Q5_K, "Q5_K", 13, SUPER_ELEMS, block_q5_k),
    QUANTIZED(Q6_K, "Q6_K", 14, SUPER_ELEMS, block_q6_k),
    QUANTIZED(IQ4_NL, "IQ4_NL", 20, BLOCK_ELEMS, block_iq4_nl),
    QUANTIZED(IQ4_XS, "IQ4_XS", 23, SUPER_ELEMS, block_iq4_xs),
    QUANTIZED(TQ1_0, "TQ1_0", 34, SUPER_ELEMS, block_tq1_0),
    QUANTIZED(TQ2_0, "TQ2_0", 35, SUPER_ELEMS, block_tq2_0),
    QUANTIZED(MXFP4, "MXFP4", 39, BLOCK_ELEMS, block_mxfp4),
    QUANTIZED(IQ2_XXS, "IQ2_XXS", 16, SUPER_ELEMS, block_iq2_xxs),
    QUANTIZED(IQ2_XS, "IQ2_XS", 17, SUPER_ELEMS, block_iq2_xs),
    QUANTIZED(IQ2_S, "IQ2_S", 22, SUPER_ELEMS, block_iq2_s),
    QUANTIZED(IQ3_XXS, "IQ3_XXS", 18, SUPER_ELEMS, block_iq3_xxs),
    QUANTIZED(IQ3_S, "IQ3_S", 21, SUPER_ELEMS, block_iq3_s),
    QUANTIZED(IQ1_S, "IQ1_S", 19, SUPER_ELEMS, block_iq1_s),
    QUANTIZED(IQ1_M, "IQ1_M", 29, SUPER_ELEMS, block_iq1_m),
    PLAIN(F64, "F64", DTYPE_FLOAT, 28, "F64", 8),
    PLAIN(I8, "I8", DTYPE_INTEGER, 24, "I8", 1),
    PLAIN(I16, "I16", DTYPE_INTEGER, 25, "I16", 2),
    PLAIN(I32, "I32", DTYPE_INTEGER, 26, "I32", 4),
    PLAIN(I64, "I64", DTYPE_INTEGER, 27, "I64", 8),
    PLAIN(U8, "U8", DTYPE_INTEGER, -1, "U8", 1),
    PLAIN(BOOL, "BOOL", DTYPE_INTEGER, -1, "BOOL", 1),
    PLAIN(F8_E4M3, "F8_E4M3", DTYPE_FLOAT, -1, "F8_E4M3", 1),
    PLAIN(F8_E5M2, "F8_E5M2", DTYPE_FLOAT, -1, "F8_E5M2", 1),
};

const struct dtype *dtype_get(enum dtype_id id) { return &table[id]; }

const struct dtype *dtype_find(const char *name)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (strcasecmp(table[i].name, name) == 0)
            return &table[i];
    return NULL;
}

const struct dtype *dtype_find_gguf(uint32_t number)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (table[i].gguf >= 0 && (uint32_t)table[i].gguf == number)
            return &table[i];
    return NULL;
}

const struct dtype *dtype_find_safetensors(const char *name)
{
    for (size_t i = 0; i < DTYPE_COUNT; i++)
        if (table[i].safetensors && strcmp(table[i].safetensors, name) == 0)
            return &table[i];
    return NULL;
}

double dtype_bits(const struct dtype *d)
{
    return 8.0 * (double)d->block_bytes / (double)d->block_elems;
}

bool dtype_row_bytes(const struct dtype *d, uint64_t cols, size_t *bytes, struct err *err)
{
    if (cols % d->block_elems != 0)
        return err_set(err, ERR_FORMAT, "%" PRIu64 " columns are not whole %s blocks of %zu", cols,
                       d->name, d->block_elems);
    const uint64_t blocks = cols / d->block_elems;
    if (blocks > SIZE_MAX / d->block_bytes)
        return err_set(err, ERR_FORMAT, "a row of %" PRIu64 " %s does not fit in memory", cols,
                       d->name);
    *bytes = (size_t)blocks * d->block_bytes;
    return true;
}
