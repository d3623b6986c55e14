/* dot_unpack_neon.h - a piece of 256 weights of each type, unpacked to NEON registers: what the
 * row kernels and the packers of panels begin with.
 *
 * core/block.h draws the blocks.  Codes come in the order of the weights, sixteen a vector, signed:
 * what the type takes off them is off. */
#ifndef QUANTIZE_DOT_UNPACK_NEON_H
#define QUANTIZE_DOT_UNPACK_NEON_H

#include "core/block.h"
#include "quantize/decode.h"
#include "quantize/dot_panel.h"
#include "quantize/value_table.h"

#include <arm_neon.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define FIELD(block, field) (at + offsetof(struct block, field))

/* Eight blocks of 32. */
struct blocks {
    int8x16_t u[16];
    float32x4_t d[2], m[2];
};

/* A super-block of sixteen groups, or of eight and then scale[1] and min[1] are not set.  Scales
 * come in the order of the groups, minima in the order of dot_super_input's sums. */
struct super {
    int8x16_t u[16];
    int16x8_t scale[2], min[2];
    float d, m;
};

INLINE uint32_t load_u32(const uint8_t *p)
{
    uint32_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE uint16_t load_u16(const uint8_t *p)
{
    uint16_t v;
    memcpy(&v, p, sizeof v);
    return v;
}

INLINE float load_half(const uint8_t *p)
{
    return vgetq_lane_f32(vcvt_f32_f16(vreinterpret_f16_u16(vdup_n_u16(load_u16(p)))), 0);
}

/* Eight halves that are `apart` bytes from each other. */
INLINE void load_halves(float32x4_t out[2], const uint8_t *p, size_t apart)
{
    uint16_t h[8];
    UNROLL
    for (size_t i = 0; i < 8; i++)
        h[i] = load_u16(p + i * apart);
    const float16x8_t all = vreinterpretq_f16_u16(vld1q_u16(h));
    out[0] = vcvt_f32_f16(vget_low_f16(all));
    out[1] = vcvt_high_f32_f16(all);
}

/* Bits `shift` and up of each byte, under a mask. */
INLINE uint8x16_t bits_at(uint8x16_t bytes, int shift, uint8_t mask)
{
    return vandq_u8(vshlq_u8(bytes, vdupq_n_s8((int8_t)-shift)), vdupq_n_u8(mask));
}

/* `value` where that bit is set in a byte, else zero. */
INLINE uint8x16_t where_bit(uint8x16_t bytes, int bit, uint8_t value)
{
    return vandq_u8(vtstq_u8(bytes, vdupq_n_u8((uint8_t)(1u << bit))), vdupq_n_u8(value));
}

/* What is left of unsigned codes, less than 64, without what was added to them. */
INLINE int8x16_t take_off(uint8x16_t codes, int8_t added)
{
    return vsubq_s8(vreinterpretq_s8_u8(codes), vdupq_n_s8(added));
}

/* Sixteen bytes of nibbles: the low ones, then the high ones. */
INLINE void nibbles(uint8x16_t out[2], const uint8_t *qs)
{
    const uint8x16_t both = vld1q_u8(qs);
    out[0] = vandq_u8(both, vdupq_n_u8(15));
    out[1] = vshrq_n_u8(both, 4);
}

/* The sixteen bits from qh on, to bytes that are 0 or 16. */
INLINE uint8x16_t fifth_bits(const uint8_t *qh)
{
    const uint8x16_t spread = vcombine_u8(vdup_n_u8(qh[0]), vdup_n_u8(qh[1]));
    const uint8x16_t bit = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201));
    return vandq_u8(vtstq_u8(spread, bit), vdupq_n_u8(16));
}

INLINE void unpack_nibbles(int8x16_t u[2], const uint8_t *qs, int8_t added)
{
    uint8x16_t q[2];
    nibbles(q, qs);
    u[0] = take_off(q[0], added);
    u[1] = take_off(q[1], added);
}

INLINE void unpack_five_bits(int8x16_t u[2], const uint8_t *qs, const uint8_t *qh, int8_t added)
{
    uint8x16_t q[2];
    nibbles(q, qs);
    u[0] = take_off(vorrq_u8(q[0], fifth_bits(qh)), added);
    u[1] = take_off(vorrq_u8(q[1], fifth_bits(qh + 2)), added);
}

INLINE void unpack_values(int8x16_t u[2], const uint8_t *qs, const int8_t values[16])
{
    const int8x16_t table = vld1q_s8(values);
    uint8x16_t q[2];
    nibbles(q, qs);
    u[0] = vqtbl1q_s8(table, q[0]);
    u[1] = vqtbl1q_s8(table, q[1]);
}

/* For every block, its start in `at` and its two vectors in u. */
#define EACH_BLOCK(block)                                                                          \
    const uint8_t *at = piece;                                                                     \
    int8x16_t *u = out->u;                                                                         \
    UNROLL                                                                                         \
    for (int b = 0; b < 8; b++, at += sizeof(struct block), u += 2)
#define HALVES(to, block, field)                                                                   \
    load_halves(to, piece + offsetof(struct block, field), sizeof(struct block))

INLINE void unpack_q4_0(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_q4_0)
    unpack_nibbles(u, FIELD(block_q4_0, qs), 8);
    HALVES(out->d, block_q4_0, d);
}

INLINE void unpack_q4_1(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_q4_1)
    unpack_nibbles(u, FIELD(block_q4_1, qs), 0);
    HALVES(out->d, block_q4_1, d);
    HALVES(out->m, block_q4_1, m);
}

INLINE void unpack_q5_0(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_q5_0)
    unpack_five_bits(u, FIELD(block_q5_0, qs), FIELD(block_q5_0, qh), 16);
    HALVES(out->d, block_q5_0, d);
}

INLINE void unpack_q5_1(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_q5_1)
    unpack_five_bits(u, FIELD(block_q5_1, qs), FIELD(block_q5_1, qh), 0);
    HALVES(out->d, block_q5_1, d);
    HALVES(out->m, block_q5_1, m);
}

INLINE void unpack_q8_0(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_q8_0)
    {
        u[0] = vreinterpretq_s8_u8(vld1q_u8(FIELD(block_q8_0, qs)));
        u[1] = vreinterpretq_s8_u8(vld1q_u8(FIELD(block_q8_0, qs) + 16));
    }
    HALVES(out->d, block_q8_0, d);
}

INLINE void unpack_iq4_nl(struct blocks *out, const uint8_t *piece)
{
    EACH_BLOCK(block_iq4_nl)
    unpack_values(u, FIELD(block_iq4_nl, qs), iq4_values);
    HALVES(out->d, block_iq4_nl, d);
}

INLINE void unpack_mxfp4(struct blocks *out, const uint8_t *piece)
{
    float d[8];
    EACH_BLOCK(block_mxfp4)
    {
        unpack_values(u, FIELD(block_mxfp4, qs), mxfp4_values);
        d[b] = mxfp4_scale(*FIELD(block_mxfp4, e));
    }
    out->d[0] = vld1q_f32(d);
    out->d[1] = vld1q_f32(d + 4);
}

/* Two bits and, if there are, a third: 32 h + j is group 4 h + s, at bits 2 s. */
INLINE void unpack_two_bits(int8x16_t u[16], const uint8_t *qs, const uint8_t *third, int8_t added)
{
    UNROLL
    for (int i = 0; i < 16; i++) {
        const int g = i / 2, half = 16 * (i % 2);
        uint8x16_t q = bits_at(vld1q_u8(qs + 32 * (g / 4) + half), 2 * (g % 4), 3);
        if (third)
            q = vorrq_u8(q, where_bit(vld1q_u8(third + half), g, 4));
        u[i] = take_off(q, added);
    }
}

INLINE void widen(int16x8_t out[2], int8x16_t bytes)
{
    out[0] = vmovl_s8(vget_low_s8(bytes));
    out[1] = vmovl_high_s8(bytes);
}

INLINE void unpack_q2_k(struct super *out, const uint8_t *at)
{
    uint8x16_t packed[2];
    nibbles(packed, FIELD(block_q2_k, scales));
    widen(out->scale, vreinterpretq_s8_u8(packed[0]));
    const int8x16_t min = vreinterpretq_s8_u8(packed[1]);
    out->min[0] = vmovl_s8(vget_low_s8(vuzp1q_s8(min, min)));
    out->min[1] = vmovl_s8(vget_low_s8(vuzp2q_s8(min, min)));
    unpack_two_bits(out->u, FIELD(block_q2_k, qs), NULL, 0);
    out->d = load_half(FIELD(block_q2_k, d));
    out->m = load_half(FIELD(block_q2_k, dmin));
}

/* The scales as quantize/decode.h draws them: low nibbles and the top two bits apart. */
INLINE void unpack_q3_k(struct super *out, const uint8_t *at)
{
    static const int32_t down[4] = {0, -2, -4, -6};
    const uint8_t *s = FIELD(block_q3_k, scales);
    const uint8x8_t both = vld1_u8(s);
    const uint8x16_t low = vcombine_u8(vand_u8(both, vdup_n_u8(15)), vshr_n_u8(both, 4));
    const uint32x4_t tops = vshlq_u32(vdupq_n_u32(load_u32(s + 8)), vld1q_s32(down));
    const uint8x16_t top = vandq_u8(vreinterpretq_u8_u32(tops), vdupq_n_u8(3));
    widen(out->scale, take_off(vorrq_u8(low, vshlq_n_u8(top, 4)), 32));
    unpack_two_bits(out->u, FIELD(block_q3_k, qs), FIELD(block_q3_k, hmask), 4);
    out->d = load_half(FIELD(block_q3_k, d));
}

/* Both sets of eight six-bit numbers that quantize/decode.h draws. */
INLINE void unpack_scales(struct super *out, const uint8_t *s)
{
    const uint32_t a = load_u32(s), b = load_u32(s + 4), low = load_u32(s + 8);
    const uint32_t six[4] = {a & 0x3f3f3f3f, (low & 0x0f0f0f0f) | (a >> 2 & 0x30303030),
                             b & 0x3f3f3f3f, (low >> 4 & 0x0f0f0f0f) | (b >> 2 & 0x30303030)};
    int16x8_t both[2];
    widen(both, vreinterpretq_s8_u32(vld1q_u32(six)));
    out->scale[0] = both[0];
    out->min[0] = both[1];
}

INLINE void unpack_q4_k(struct super *out, const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 16; i++) {
        const int g = i / 2;
        const uint8x16_t q = vld1q_u8(FIELD(block_q4_k, qs) + 32 * (g / 2) + 16 * (i % 2));
        out->u[i] = vreinterpretq_s8_u8(bits_at(q, 4 * (g % 2), 15));
    }
    unpack_scales(out, FIELD(block_q4_k, scales));
    out->d = load_half(FIELD(block_q4_k, d));
    out->m = load_half(FIELD(block_q4_k, dmin));
}

INLINE void unpack_q5_k(struct super *out, const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 16; i++) {
        const int g = i / 2, half = 16 * (i % 2);
        const uint8x16_t q = vld1q_u8(FIELD(block_q5_k, qs) + 32 * (g / 2) + half);
        const uint8x16_t high = where_bit(vld1q_u8(FIELD(block_q5_k, qh) + half), g, 16);
        out->u[i] = vreinterpretq_s8_u8(vorrq_u8(bits_at(q, 4 * (g % 2), 15), high));
    }
    unpack_scales(out, FIELD(block_q5_k, scales));
    out->d = load_half(FIELD(block_q5_k, d));
    out->m = load_half(FIELD(block_q5_k, dmin));
}

INLINE void unpack_q6_k(struct super *out, const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 16; i++) {
        const int h = i / 8, s = i / 2 % 4, half = 16 * (i % 2);
        const uint8x16_t low = vld1q_u8(FIELD(block_q6_k, ql) + 64 * h + 32 * (s % 2) + half);
        const uint8x16_t top = vld1q_u8(FIELD(block_q6_k, qh) + 32 * h + half);
        const uint8x16_t high = vshlq_n_u8(bits_at(top, 2 * s, 3), 4);
        out->u[i] = take_off(vorrq_u8(bits_at(low, 4 * (s / 2), 15), high), 32);
    }
    widen(out->scale, vreinterpretq_s8_u8(vld1q_u8(FIELD(block_q6_k, scales))));
    out->d = load_half(FIELD(block_q6_k, d));
}

INLINE void unpack_iq4_xs(struct super *out, const uint8_t *at)
{
    static const int16_t down[8] = {0, -2, -4, -6, -8, -10, -12, -14};
    UNROLL
    for (int g = 0; g < 8; g++)
        unpack_values(out->u + 2 * g, FIELD(block_iq4_xs, qs) + 16 * g, iq4_values);
    const uint8x8_t both = vreinterpret_u8_u32(vdup_n_u32(load_u32(FIELD(block_iq4_xs, scales_l))));
    const uint8x8_t low = vzip1_u8(vand_u8(both, vdup_n_u8(15)), vshr_n_u8(both, 4));
    const uint16x8_t tops =
        vshlq_u16(vdupq_n_u16(load_u16(FIELD(block_iq4_xs, scales_h))), vld1q_s16(down));
    const uint16x8_t high = vshlq_n_u16(vandq_u16(tops, vdupq_n_u16(3)), 4);
    const int16x8_t scale = vreinterpretq_s16_u16(vorrq_u16(vmovl_u8(low), high));
    out->scale[0] = vsubq_s16(scale, vdupq_n_s16(32));
    out->d = load_half(FIELD(block_iq4_xs, d));
}

/* The trit in front of the point of q * 3 / 256, less one. */
INLINE int8x16_t trit_of(uint8x16_t q)
{
    const uint8x16_t minus = vaddq_u8(vcgeq_u8(q, vdupq_n_u8(86)), vcgeq_u8(q, vdupq_n_u8(171)));
    return vreinterpretq_s8_u8(vmvnq_u8(minus));
}

/* That of planes 0 to 4: what is left behind the point goes on. */
INLINE void take_trits(int8x16_t *u, int apart, uint8x16_t q)
{
    UNROLL
    for (int k = 0; k < 5; k++) {
        u[k * apart] = trit_of(q);
        q = vaddq_u8(q, vaddq_u8(q, q));
    }
}

INLINE void unpack_tq1_0(struct super *out, const uint8_t *at)
{
    static const uint8_t planes[16] = {1, 1, 1, 1, 3, 3, 3, 3, 9, 9, 9, 9, 27, 27, 27, 27};
    take_trits(out->u, 2, vld1q_u8(FIELD(block_tq1_0, qs)));
    take_trits(out->u + 1, 2, vld1q_u8(FIELD(block_tq1_0, qs) + 16));
    take_trits(out->u + 10, 1, vld1q_u8(FIELD(block_tq1_0, qs) + 32));
    const uint32x4_t last = vdupq_n_u32(load_u32(FIELD(block_tq1_0, qh)));
    out->u[15] = trit_of(vmulq_u8(vreinterpretq_u8_u32(last), vld1q_u8(planes)));
    out->scale[0] = vdupq_n_s16(1);
    out->d = load_half(FIELD(block_tq1_0, d));
}

INLINE void unpack_tq2_0(struct super *out, const uint8_t *at)
{
    unpack_two_bits(out->u, FIELD(block_tq2_0, qs), NULL, 1);
    out->scale[0] = vdupq_n_s16(1);
    out->d = load_half(FIELD(block_tq2_0, d));
}

#endif
