/* pack.h - codes and whole scales of one block to the bits of a file (core/block.h draws them).
 *
 * Codes count from 0 and stand in the order of their weights.
 */
#ifndef QUANTIZE_PACK_H
#define QUANTIZE_PACK_H

#include "core/block.h"

#include <stdint.h>
#include <string.h>

/* The 32-element types: weight j low, weight j + 16 high. */
static inline void pack_nibbles32(uint8_t qs[16], const uint8_t *codes)
{
    for (int j = 0; j < 16; j++)
        qs[j] = (uint8_t)((codes[j] & 15) | (codes[j + 16] & 15) << 4);
}

/* Bit i of qh is bit 4 of weight i. */
static inline void pack_fifth_bits32(uint8_t qh[4], const uint8_t *codes)
{
    uint32_t bits = 0;
    for (int i = 0; i < 32; i++)
        bits |= (uint32_t)(codes[i] >> 4 & 1) << i;
    for (int i = 0; i < 4; i++)
        qh[i] = (uint8_t)(bits >> 8 * i);
}

/* The low two bits of 256 codes: Q2_K, Q3_K. */
static inline void pack_two_bits256(uint8_t qs[64], const uint8_t *codes)
{
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *q = codes + 128 * h + j;
            qs[32 * h + j] =
                (uint8_t)((q[0] & 3) | (q[32] & 3) << 2 | (q[64] & 3) << 4 | (q[96] & 3) << 6);
        }
}

/* The low four bits of 256 codes: Q4_K, Q5_K, IQ4_XS' order is that of pack_nibbles32. */
static inline void pack_nibbles256(uint8_t qs[128], const uint8_t *codes)
{
    for (int p = 0; p < 4; p++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *q = codes + 64 * p + j;
            qs[32 * p + j] = (uint8_t)((q[0] & 15) | (q[32] & 15) << 4);
        }
}

/* Bit b of byte j is bit `shift` of weight 32 b + j: Q3_K's hmask, Q5_K's qh. */
static inline void pack_plane256(uint8_t plane[32], const uint8_t *codes, int shift)
{
    for (int j = 0; j < 32; j++) {
        int bits = 0;
        for (int b = 7; b >= 0; b--)
            bits = bits << 1 | (codes[32 * b + j] >> shift & 1);
        plane[j] = (uint8_t)bits;
    }
}

/* Q6_K: low nibbles and upper pairs. */
static inline void pack_six_bits256(struct block_q6_k *dst, const uint8_t *codes)
{
    for (int h = 0; h < 2; h++)
        for (int j = 0; j < 32; j++) {
            const uint8_t *q = codes + 128 * h + j;
            dst->ql[64 * h + j] = (uint8_t)((q[0] & 15) | (q[64] & 15) << 4);
            dst->ql[64 * h + 32 + j] = (uint8_t)((q[32] & 15) | (q[96] & 15) << 4);
            dst->qh[32 * h + j] =
                (uint8_t)(q[0] >> 4 | q[32] >> 4 << 2 | q[64] >> 4 << 4 | q[96] >> 4 << 6);
        }
}

/* Q4_K, Q5_K: | sc 0..3 | m 0..3 | sc, m 4..7 as nibbles |, the top bits of the latter on the
 * former. */
static inline void pack_scales_mins(uint8_t dst[K_SCALE_BYTES], const uint8_t sc[8],
                                    const uint8_t m[8])
{
    for (int b = 0; b < 4; b++) {
        dst[b] = (uint8_t)(sc[b] | (sc[b + 4] & 0x30) << 2);
        dst[b + 4] = (uint8_t)(m[b] | (m[b + 4] & 0x30) << 2);
        dst[b + 8] = (uint8_t)((sc[b + 4] & 15) | (m[b + 4] & 15) << 4);
    }
}

/* Q3_K, scales stored + 32: four bits low and two bits high: byte i % 8, nibble i / 8; byte
 * 8 + i % 4, bits 2 (i / 4). */
static inline void pack_scales_q3(uint8_t packed[K_SCALE_BYTES], const int8_t scale[16])
{
    memset(packed, 0, K_SCALE_BYTES);
    for (int i = 0; i < 16; i++) {
        const int v = scale[i] + 32;
        packed[i % 8] |= (uint8_t)((v & 15) << (4 * (i / 8)));
        packed[8 + i % 4] |= (uint8_t)((v >> 4) << (2 * (i / 4)));
    }
}

/* IQ4_XS, scales stored + 32. */
static inline void pack_scales_iq4(struct block_iq4_xs *b, const int8_t scale[8])
{
    b->scales_h = 0;
    memset(b->scales_l, 0, sizeof b->scales_l);
    for (int i = 0; i < 8; i++) {
        const int v = scale[i] + 32;
        b->scales_l[i / 2] |= (uint8_t)((v & 15) << (4 * (i % 2)));
        b->scales_h |= (uint16_t)(v >> 4 << (2 * i));
    }
}

#endif
