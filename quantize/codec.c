#include "quantize/codec.h"

#include <stddef.h>

static const struct codec table[] = {
    {DTYPE_F32, "32-bit float, exact", false, 0.0},
    {DTYPE_F16, "16-bit float, to 65504", false, 2.2e-4},
    {DTYPE_BF16, "16-bit float with the range of 32", false, 1.72e-3},
    {DTYPE_Q4_0, "4-bit, a scale per 32", false, 0.083},
    {DTYPE_Q4_1, "4-bit, a scale and a minimum per 32", false, 0.073},
    {DTYPE_Q5_0, "5-bit, a scale per 32", false, 0.0415},
    {DTYPE_Q5_1, "5-bit, a scale and a minimum per 32", false, 0.035},
    {DTYPE_Q8_0, "8-bit, a scale per 32", false, 0.0055},
    {DTYPE_Q2_K, "2-bit, scale and minimum per 16 in super-blocks", true, 0.27},
    {DTYPE_Q3_K, "3-bit, a scale per 16 in super-blocks", true, 0.147},
    {DTYPE_Q4_K, "4-bit, scale and minimum per 32 in super-blocks", false, 0.073},
    {DTYPE_Q5_K, "5-bit, scale and minimum per 32 in super-blocks", false, 0.0355},
    {DTYPE_Q6_K, "6-bit, a scale per 16 in super-blocks", false, 0.018},
    {DTYPE_IQ4_NL, "4-bit, sixteen non-linear values, a scale per 32", false, 0.076},
    {DTYPE_IQ4_XS, "4-bit, sixteen non-linear values in super-blocks", false, 0.0765},
    {DTYPE_TQ1_0, "ternary in base 3, a scale per 256: for ternary models", false, 0.45},
    {DTYPE_TQ2_0, "ternary in two bits, a scale per 256: for ternary models", false, 0.45},
    {DTYPE_MXFP4, "4-bit float, a power of two per 32 (OCP MX)", false, 0.116},
};

const struct codec *codec_find(enum dtype_id dtype)
{
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)); i++)
        if (c->dtype == dtype)
            return c;
    return NULL;
}

const struct codec *codec_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}
