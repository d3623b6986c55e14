/* lanes_neon.h - the operations of lanes_scalar.h in NEON: eight lanes are two vectors of four. */
#ifndef QUANTIZE_LANES_NEON_H
#define QUANTIZE_LANES_NEON_H

#include <arm_neon.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANES = 8 };

typedef struct {
    float32x4_t low, high;
} f8;

typedef struct {
    uint32x4_t low, high;
} m8;

typedef struct {
    uint32x4_t low, high;
} i8;

static inline float32x4_t f4_min(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcltq_f32(a, b), a, b); /* the instruction for it thinks of NaN and of -0 */
}

static inline float32x4_t f4_max(float32x4_t a, float32x4_t b)
{
    return vbslq_f32(vcgtq_f32(a, b), a, b);
}

static inline float32x4_t f4_round(float32x4_t a)
{
    const float32x4_t big = vdupq_n_f32(12582912.0f);
    return vsubq_f32(vaddq_f32(a, big), big);
}

static inline float32x4_t f4_through_half(float32x4_t a) { return vcvt_f32_f16(vcvt_f16_f32(a)); }

static inline float32x4_t f4_power(float32x4_t a)
{
    return vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a), vdupq_n_u32(0x7f800000)));
}

static inline float32x4_t f4_through_bf16(float32x4_t a)
{
    const uint32x4_t bits = vreinterpretq_u32_f32(a);
    const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    return vreinterpretq_f32_u32(vandq_u32(up, vdupq_n_u32(0xffff0000)));
}

/* An operation on vectors of four, on both halves. */
#define LANES_ONE(name, op)                                                                        \
    static inline f8 name(f8 a) { return (f8){op(a.low), op(a.high)}; }
#define LANES_TWO(to, name, from, op)                                                              \
    static inline to name(from a, from b) { return (to){op(a.low, b.low), op(a.high, b.high)}; }

LANES_TWO(f8, f8_add, f8, vaddq_f32)
LANES_TWO(f8, f8_sub, f8, vsubq_f32)
LANES_TWO(f8, f8_mul, f8, vmulq_f32)
LANES_TWO(f8, f8_div, f8, vdivq_f32)
LANES_TWO(f8, f8_min, f8, f4_min)
LANES_TWO(f8, f8_max, f8, f4_max)
LANES_ONE(f8_sqrt, vsqrtq_f32)
LANES_ONE(f8_abs, vabsq_f32)
LANES_ONE(f8_neg, vnegq_f32)
LANES_ONE(f8_round, f4_round)
LANES_ONE(f8_round_positive, vrndnq_f32)
LANES_ONE(f8_through_half, f4_through_half)
LANES_ONE(f8_through_bf16, f4_through_bf16)
LANES_ONE(f8_power, f4_power)
LANES_TWO(m8, f8_lt, f8, vcltq_f32)
LANES_TWO(m8, f8_le, f8, vcleq_f32)
LANES_TWO(m8, f8_eq, f8, vceqq_f32)
LANES_TWO(m8, m8_and, m8, vandq_u32)
LANES_TWO(m8, m8_or, m8, vorrq_u32)

#undef LANES_ONE
#undef LANES_TWO

static inline f8 f8_set1(float x) { return (f8){vdupq_n_f32(x), vdupq_n_f32(x)}; }
static inline f8 f8_load(const float *p) { return (f8){vld1q_f32(p), vld1q_f32(p + 4)}; }

static inline void f8_store(float *p, f8 a)
{
    vst1q_f32(p, a.low);
    vst1q_f32(p + 4, a.high);
}

static inline m8 m8_andnot(m8 a, m8 b)
{
    return (m8){vbicq_u32(b.low, a.low), vbicq_u32(b.high, a.high)};
}

static inline bool m8_any(m8 a) { return vmaxvq_u32(vorrq_u32(a.low, a.high)) != 0; }
static inline bool m8_all(m8 a) { return vminvq_u32(vandq_u32(a.low, a.high)) != 0; }

static inline f8 f8_select(m8 m, f8 a, f8 b)
{
    return (f8){vbslq_f32(m.low, a.low, b.low), vbslq_f32(m.high, a.high, b.high)};
}

/* Rows to columns. */
static inline void f4_transpose(float32x4_t out[4], float32x4_t a, float32x4_t b, float32x4_t c,
                                float32x4_t d)
{
    const float32x4x2_t ac = vzipq_f32(a, c), bd = vzipq_f32(b, d);
    const float32x4x2_t low = vzipq_f32(ac.val[0], bd.val[0]);
    const float32x4x2_t high = vzipq_f32(ac.val[1], bd.val[1]);
    out[0] = low.val[0];
    out[1] = low.val[1];
    out[2] = high.val[0];
    out[3] = high.val[1];
}

static inline void f8_transpose(f8 row[LANES])
{
    float32x4_t a[4], b[4], c[4], d[4]; /* the quarters: a b above, c d below */
    f4_transpose(a, row[0].low, row[1].low, row[2].low, row[3].low);
    f4_transpose(b, row[0].high, row[1].high, row[2].high, row[3].high);
    f4_transpose(c, row[4].low, row[5].low, row[6].low, row[7].low);
    f4_transpose(d, row[4].high, row[5].high, row[6].high, row[7].high);
    for (int i = 0; i < 4; i++) {
        row[i] = (f8){a[i], c[i]};
        row[4 + i] = (f8){b[i], d[i]};
    }
}

static inline void f8_load_columns(f8 out[LANES], const float *p, size_t stride)
{
    for (size_t l = 0; l < LANES; l++)
        out[l] = f8_load(p + l * stride);
    f8_transpose(out);
}

static inline void f8_store_half(uint16_t out[LANES], f8 a)
{
    vst1_u16(out, vreinterpret_u16_f16(vcvt_f16_f32(a.low)));
    vst1_u16(out + 4, vreinterpret_u16_f16(vcvt_f16_f32(a.high)));
}

/* The lower bytes of whole numbers. */
static inline uint8x8_t f8_bytes(f8 a)
{
    const int16x4_t low = vmovn_s32(vcvtq_s32_f32(a.low));
    const int16x4_t high = vmovn_s32(vcvtq_s32_f32(a.high));
    return vreinterpret_u8_s8(vmovn_s16(vcombine_s16(low, high)));
}

static inline void f8_store_bytes(uint8_t out[LANES][4], f8 a, f8 b, f8 c, f8 d)
{
    const uint8x8x4_t all = {{f8_bytes(a), f8_bytes(b), f8_bytes(c), f8_bytes(d)}};
    vst4_u8(out[0], all);
}

static inline void f8_store_uint8(uint8_t out[LANES], f8 a) { vst1_u8(out, f8_bytes(a)); }

static inline void f8_store_int8(int8_t out[4 * LANES], f8 a, f8 b, f8 c, f8 d)
{
    vst1q_s8(out, vreinterpretq_s8_u8(vcombine_u8(f8_bytes(a), f8_bytes(b))));
    vst1q_s8(out + 2 * LANES, vreinterpretq_s8_u8(vcombine_u8(f8_bytes(c), f8_bytes(d))));
}

static inline float f8_largest(f8 a) { return vmaxvq_f32(f4_max(a.low, a.high)); }

static inline float f8_sum(f8 a)
{
    float v[LANES], sum = 0.0f;
    f8_store(v, a);
    for (int l = 0; l < LANES; l++)
        sum += v[l];
    return sum;
}

/* Where the floats of these indices have their bytes in a table. */
static inline uint8x16_t bytes_of(uint32x4_t index)
{
    const uint32x4_t first = vmulq_n_u32(index, 0x04040404);
    return vreinterpretq_u8_u32(vaddq_u32(first, vdupq_n_u32(0x03020100)));
}

static inline uint8x16_t table4(float a, float b, float c, float d)
{
    const float v[4] = {a, b, c, d};
    return vreinterpretq_u8_f32(vld1q_f32(v));
}

/* Four comparisons, each with the limit that halves what is left. */
static inline uint32x4_t f4_rank16(float32x4_t a, const float limit[15])
{
    const uint8x16_t quarters = table4(limit[1], limit[5], limit[9], limit[13]);
    const uint8x16x2_t eighths = {{table4(limit[0], limit[2], limit[4], limit[6]),
                                   table4(limit[8], limit[10], limit[12], limit[14])}};
    uint32x4_t above = vcgtq_f32(a, vdupq_n_f32(limit[7])); /* all ones: minus one */
    uint32x4_t rank = vshrq_n_u32(above, 31);
    above = vcgtq_f32(a, vbslq_f32(above, vdupq_n_f32(limit[11]), vdupq_n_f32(limit[3])));
    rank = vsubq_u32(vaddq_u32(rank, rank), above);
    above = vcgtq_f32(a, vreinterpretq_f32_u8(vqtbl1q_u8(quarters, bytes_of(rank))));
    rank = vsubq_u32(vaddq_u32(rank, rank), above);
    above = vcgtq_f32(a, vreinterpretq_f32_u8(vqtbl2q_u8(eighths, bytes_of(rank))));
    return vsubq_u32(vaddq_u32(rank, rank), above);
}

static inline i8 f8_rank16(f8 a, const float limit[15])
{
    return (i8){f4_rank16(a.low, limit), f4_rank16(a.high, limit)};
}

static inline f8 f8_pick16(const float table[16], i8 index)
{
    uint8x16x4_t all;
    for (int i = 0; i < 4; i++)
        all.val[i] = vreinterpretq_u8_f32(vld1q_f32(table + 4 * i));
    return (f8){vreinterpretq_f32_u8(vqtbl4q_u8(all, bytes_of(index.low))),
                vreinterpretq_f32_u8(vqtbl4q_u8(all, bytes_of(index.high)))};
}

#endif
