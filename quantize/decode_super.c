/* decode_super.c - the super-blocks of 256 (Q2_K to Q6_K, IQ4_XS) in plain C: the
 * reference.  core/block.h draws the blocks. */
#include "quantize/decode.h"

#include "core/half.h"
#include "quantize/value_table.h"

#include <string.h>

static void decode_q2_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_q2_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 16;
            const int scale = b.scales[block] & 15, min = b.scales[block] >> 4;
            const int q = b.qs[32 * (j / 128) + j % 32] >> (2 * (j / 32 % 4)) & 3;
            dst[j] = d * (float)scale * (float)q - dmin * (float)min;
        }
    }
}

static void decode_q3_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_q3_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        int8_t scale[16];
        unpack_scales_q3(scale, b.scales);
        const float d = half_to_float(b.d);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 16;
            const int low = b.qs[32 * (j / 128) + j % 32] >> (2 * (j / 32 % 4)) & 3;
            const int high = b.hmask[j % 32] >> (j / 32) & 1;
            dst[j] = d * (float)scale[block] * (float)((low | high << 2) - 4);
        }
    }
}

static void decode_q4_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_q4_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        uint8_t scale[8], min[8];
        unpack_scales_mins(scale, min, b.scales);
        const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 32;
            const int q = b.qs[32 * (j / 64) + j % 32] >> (4 * (block % 2)) & 15;
            dst[j] = d * (float)scale[block] * (float)q - dmin * (float)min[block];
        }
    }
}

static void decode_q5_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_q5_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        uint8_t scale[8], min[8];
        unpack_scales_mins(scale, min, b.scales);
        const float d = half_to_float(b.d), dmin = half_to_float(b.dmin);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 32;
            const int low = b.qs[32 * (j / 64) + j % 32] >> (4 * (block % 2)) & 15;
            const int high = b.qh[j % 32] >> (j / 32) & 1;
            dst[j] = d * (float)scale[block] * (float)(low | high << 4) - dmin * (float)min[block];
        }
    }
}

static void decode_q6_k(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_q6_k b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        const float d = half_to_float(b.d);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 16;
            const int h = j / 128;
            const int low = b.ql[64 * h + j % 64] >> (4 * (j / 64 % 2)) & 15;
            const int high = b.qh[32 * h + j % 32] >> (2 * (j / 32 % 4)) & 3;
            dst[j] = d * (float)b.scales[block] * (float)((low | high << 4) - 32);
        }
    }
}

static void decode_iq4_xs(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    for (size_t i = 0; i < n; i += SUPER_ELEMS, dst += SUPER_ELEMS) {
        struct block_iq4_xs b;
        memcpy(&b, at, sizeof b);
        at += sizeof b;
        int8_t scale[8];
        unpack_scales_iq4(scale, &b);
        const float d = half_to_float(b.d);
        for (int j = 0; j < SUPER_ELEMS; j++) {
            const int block = j / 32;
            const int q = b.qs[16 * (j / 32) + j % 16] >> (4 * (j / 16 % 2)) & 15;
            dst[j] = d * (float)scale[block] * (float)iq4_values[q];
        }
    }
}

void decode_super_init(struct kernels *k)
{
    k->decode[DTYPE_Q2_K] = decode_q2_k;
    k->decode[DTYPE_Q3_K] = decode_q3_k;
    k->decode[DTYPE_Q4_K] = decode_q4_k;
    k->decode[DTYPE_Q5_K] = decode_q5_k;
    k->decode[DTYPE_Q6_K] = decode_q6_k;
    k->decode[DTYPE_IQ4_XS] = decode_iq4_xs;
}
