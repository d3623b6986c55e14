/* decode.c - blocks of 32 and the ternary types, read in plain C: the reference.
 * core/block.h draws the blocks.  A block is copied out before it is read, so a
 * row may start at any address. */
#include "quantize/decode.h"

#include "core/half.h"
#include "quantize/value_table.h"

#include <string.h>

static void decode_q4_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_q4_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)((b.qs[j] & 15) - 8);
            dst[j + 16] = d * (float)((b.qs[j] >> 4) - 8);
        }
    }
}

static void decode_q4_1(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_q4_1 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d), m = half_to_float(b.m);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)(b.qs[j] & 15) + m;
            dst[j + 16] = d * (float)(b.qs[j] >> 4) + m;
        }
    }
}

/* The fifth bit of weight j, in its place. */
static int fifth_bit(const uint8_t qh[4], int j) { return (qh[j / 8] >> (j % 8) & 1) << 4; }

static void decode_q5_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_q5_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)(((b.qs[j] & 15) | fifth_bit(b.qh, j)) - 16);
            dst[j + 16] = d * (float)(((b.qs[j] >> 4) | fifth_bit(b.qh, j + 16)) - 16);
        }
    }
}

static void decode_q5_1(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_q5_1 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d), m = half_to_float(b.m);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)((b.qs[j] & 15) | fifth_bit(b.qh, j)) + m;
            dst[j + 16] = d * (float)((b.qs[j] >> 4) | fifth_bit(b.qh, j + 16)) + m;
        }
    }
}

static void decode_q8_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_q8_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int j = 0; j < BLOCK_ELEMS; j++)
            dst[j] = d * (float)b.qs[j];
    }
}

static void decode_iq4_nl(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_iq4_nl b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)iq4_values[b.qs[j] & 15];
            dst[j + 16] = d * (float)iq4_values[b.qs[j] >> 4];
        }
    }
}

static void decode_mxfp4(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += BLOCK_ELEMS, dst += BLOCK_ELEMS) {
        struct block_mxfp4 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = mxfp4_scale(b.e);
        for (int j = 0; j < 16; j++) {
            dst[j] = d * (float)mxfp4_values[b.qs[j] & 15];
            dst[j + 16] = d * (float)mxfp4_values[b.qs[j] >> 4];
        }
    }
}

/* A byte holds t1..t5 as the fraction 0.t1 t2 t3 t4 t5 of base 3, times 256 and rounded up:
 * times 3^k brings trit k + 1 in front of the point, where times 3 and >> 8 reads it. */
static float *unpack_trits(float *dst, float d, const uint8_t *qs, int bytes, int planes)
{
    static const uint8_t power[] = {1, 3, 9, 27, 81};
    for (int k = 0; k < planes; k++)
        for (int j = 0; j < bytes; j++) {
            const uint8_t q = (uint8_t)(qs[j] * power[k]);
            *dst++ = d * (float)((q * 3 >> 8) - 1);
        }
    return dst;
}

static void decode_tq1_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_tq1_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        dst = unpack_trits(dst, d, b.qs, 32, 5);
        dst = unpack_trits(dst, d, b.qs + 32, 16, 5);
        dst = unpack_trits(dst, d, b.qh, 4, 4);
    }
}

static void decode_tq2_0(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS) {
        struct block_tq2_0 b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int h = 0; h < 2; h++)
            for (int s = 0; s < 4; s++)
                for (int j = 0; j < 32; j++)
                    *dst++ = d * (float)((b.qs[32 * h + j] >> (2 * s) & 3) - 1);
    }
}

static void decode_legacy_init(struct kernels *k)
{
    k->decode[DTYPE_Q4_0] = decode_q4_0;
    k->decode[DTYPE_Q4_1] = decode_q4_1;
    k->decode[DTYPE_Q5_0] = decode_q5_0;
    k->decode[DTYPE_Q5_1] = decode_q5_1;
    k->decode[DTYPE_Q8_0] = decode_q8_0;
    k->decode[DTYPE_IQ4_NL] = decode_iq4_nl;
    k->decode[DTYPE_MXFP4] = decode_mxfp4;
    k->decode[DTYPE_TQ1_0] = decode_tq1_0;
    k->decode[DTYPE_TQ2_0] = decode_tq2_0;
}

void decode_init_scalar(struct kernels *k)
{
    decode_plain_init(k);
    decode_legacy_init(k);
    decode_super_init(k);
    decode_codebook_init(k);
}
