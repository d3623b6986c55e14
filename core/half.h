/* half.h - the small floats of model files, to and from float, exact in C alone.
 *
 * To fp16 and bf16: round to nearest even, as F16C and AVX512-BF16 do; a NaN
 * stays a (quiet) NaN.  The FP8 formats (OCP 8-bit floating point
 * specification) are only read.
 */
#ifndef CORE_HALF_H
#define CORE_HALF_H

#include <stdint.h>
#include <string.h>

static inline uint32_t float_bits(float f)
{
    uint32_t b;
    memcpy(&b, &f, sizeof b);
    return b;
}

static inline float float_from_bits(uint32_t b)
{
    float f;
    memcpy(&f, &b, sizeof f);
    return f;
}

static inline uint16_t half_from_float(float f)
{
    uint32_t b = float_bits(f);
    const uint32_t sign = b >> 16 & 0x8000u;
    b &= 0x7fffffffu;
    if (b >= 0x7f800000u) /* inf, nan (kept quiet) */
        return (uint16_t)(sign | 0x7c00u | (b > 0x7f800000u ? 0x200u | (b >> 13 & 0x3ffu) : 0));
    if (b >= 0x477ff000u) /* rounds to or past 65520: inf */
        return (uint16_t)(sign | 0x7c00u);
    if (b < 0x38800000u) /* subnormal half: let the float unit round it */
        return (uint16_t)(sign | (float_bits(float_from_bits(b) + 0.5f) - 0x3f000000u));
    b += 0xc8000fffu + (b >> 13 & 1u);
    return (uint16_t)(sign | b >> 13);
}

static inline float half_to_float(uint16_t h)
{
    const uint32_t sign = (uint32_t)(h & 0x8000u) << 16;
    const uint32_t exp = h >> 10 & 0x1fu, man = h & 0x3ffu;
    if (exp == 0)
        return float_from_bits(float_bits((float)man * 0x1p-24f) | sign);
    return float_from_bits(sign | (exp == 31 ? 0x7f800000u : (exp + 112) << 23) | man << 13);
}

static inline uint16_t bf16_from_float(float f)
{
    const uint32_t b = float_bits(f);
    if ((b & 0x7fffffffu) > 0x7f800000u)
        return (uint16_t)(b >> 16 | 64u);
    return (uint16_t)((b + 0x7fffu + (b >> 16 & 1u)) >> 16);
}

static inline float bf16_to_float(uint16_t h) { return float_from_bits((uint32_t)h << 16); }

/* 1 sign, 4 exponent (bias 7), 3 mantissa bits; no infinity, S.1111.111 is NaN. */
static inline float e4m3_to_float(uint8_t v)
{
    const uint32_t sign = (uint32_t)(v & 0x80u) << 24;
    const uint32_t exp = v >> 3 & 15u, man = v & 7u;
    if (exp == 15 && man == 7)
        return float_from_bits(sign | 0x7fc00000u);
    if (exp == 0)
        return float_from_bits(float_bits((float)man * 0x1p-9f) | sign);
    return float_from_bits(sign | (exp + 120) << 23 | man << 20);
}

/* 1 sign, 5 exponent, 2 mantissa bits: the upper byte of an fp16. */
static inline float e5m2_to_float(uint8_t v) { return half_to_float((uint16_t)(v << 8)); }

#endif
