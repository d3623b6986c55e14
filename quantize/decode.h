/* decode.h - what the decoders' files share: their init functions, and how the
 * six-bit scales of the K types are packed.
 *
 * A decoder turns one row of blocks into floats; kernels.h has its contract.
 * Every product of a scale, its integers and a code is exact in a float, so the
 * order of the factors does not matter and all builds give the same bits.
 */
#ifndef QUANTIZE_DECODE_H
#define QUANTIZE_DECODE_H

#include "quantize/kernels.h"

#include "core/block.h"
#include "core/half.h"

#include <stdint.h>

void decode_plain_init(struct kernels *k);    /* one element, one number */
void decode_super_init(struct kernels *k);    /* Q2_K to Q6_K, IQ4_XS */
void decode_codebook_init(struct kernels *k); /* IQ1, IQ2, IQ3 */

/* Q4_K, Q5_K: eight scales a..h (capitals: low bits) and eight minima, in twelve bytes.
 *   byte 0..3   ee AAAAAA   scales 0..3, above them the top two bits of scales 4..7
 *   byte 4..7   EE aaaaaa   the same of the minima
 *   byte 8..11  mmmm ssss   low four bits of minima (high) and scales (low) 4..7 */
static inline void unpack_scales_mins(uint8_t scale[8], uint8_t min[8], const uint8_t *packed)
{
    for (int i = 0; i < 4; i++) {
        const uint8_t s = packed[i], m = packed[i + 4], low = packed[i + 8];
        scale[i] = s & 63;
        min[i] = m & 63;
        scale[i + 4] = (uint8_t)((low & 15) | (s >> 6 << 4));
        min[i + 4] = (uint8_t)((low >> 4) | (m >> 6 << 4));
    }
}

/* Q3_K: sixteen scales, stored + 32.  Low four bits of scale i < 8 in byte i low, of
 * i >= 8 in byte i - 8 high; the top two at bits 2 (i / 4) of byte 8 + i % 4. */
static inline void unpack_scales_q3(int8_t scale[16], const uint8_t *packed)
{
    for (int i = 0; i < 16; i++) {
        const int low = i < 8 ? packed[i] & 15 : packed[i - 8] >> 4;
        const int high = packed[8 + i % 4] >> (2 * (i / 4)) & 3;
        scale[i] = (int8_t)((low | high << 4) - 32);
    }
}

/* IQ4_XS: eight scales, stored + 32: low four bits two a byte, top two in scales_h. */
static inline void unpack_scales_iq4(int8_t scale[8], const struct block_iq4_xs *b)
{
    for (int i = 0; i < 8; i++) {
        const int low = b->scales_l[i / 2] >> (4 * (i % 2)) & 15;
        const int high = b->scales_h >> (2 * i) & 3;
        scale[i] = (int8_t)((low | high << 4) - 32);
    }
}

/* MXFP4: half of 2^(e - 127), for its values are stored doubled.  Exact: subnormal for e < 2. */
static inline float mxfp4_scale(uint8_t e)
{
    return float_from_bits(e < 2 ? 0x00200000u << e : (uint32_t)(e - 1) << 23);
}

#endif
