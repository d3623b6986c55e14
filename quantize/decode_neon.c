/* decode_neon.c - the common decoders in NEON; same bits as the reference. */
#include "quantize/decode.h"

#include "quantize/dot_unpack_neon.h"

/* Four numbers from 32-bit integers: d * q, or d * q + m. */
INLINE void put4(float *dst, int32x4_t q, float d, float m, bool min)
{
    const float32x4_t x = vmulq_n_f32(vcvtq_f32_s32(q), d);
    vst1q_f32(dst, min ? vaddq_f32(x, vdupq_n_f32(m)) : x);
}

INLINE void put16(float *dst, int8x16_t u, float d, float m, bool min)
{
    const int16x8_t low = vmovl_s8(vget_low_s8(u)), high = vmovl_high_s8(u);
    put4(dst, vmovl_s16(vget_low_s16(low)), d, m, min);
    put4(dst + 4, vmovl_high_s16(low), d, m, min);
    put4(dst + 8, vmovl_s16(vget_low_s16(high)), d, m, min);
    put4(dst + 12, vmovl_high_s16(high), d, m, min);
}

INLINE void put_blocks(float *dst, const uint8_t *piece,
                       void (*unpack)(struct blocks *, const uint8_t *), bool min)
{
    struct blocks w;
    float d[8], m[8] = {0};
    unpack(&w, piece);
    UNROLL
    for (size_t h = 0; h < 2; h++) {
        vst1q_f32(d + 4 * h, w.d[h]);
        if (min)
            vst1q_f32(m + 4 * h, w.m[h]);
    }
    UNROLL
    for (size_t i = 0; i < 16; i++)
        put16(dst + 16 * i, w.u[i], d[i / 2], m[i / 2], min);
}

/* The last piece may have fewer than eight blocks. */
INLINE void decode_blocks(float *dst, const uint8_t *row, size_t n, size_t bytes,
                          void (*unpack)(struct blocks *, const uint8_t *), bool min)
{
    for (; n >= DOT_PIECE; n -= DOT_PIECE, dst += DOT_PIECE, row += 8 * bytes)
        put_blocks(dst, row, unpack, min);
    if (n > 0) {
        uint8_t last[8 * sizeof(struct block_q8_0)] = {0};
        float x[DOT_PIECE];
        memcpy(last, row, n / BLOCK_ELEMS * bytes);
        put_blocks(x, last, unpack, min);
        memcpy(dst, x, n * sizeof *dst);
    }
}

/* out[j] = d * q[j]. */
INLINE void factors(float out[8], int16x8_t q, float d)
{
    put4(out, vmovl_s16(vget_low_s16(q)), d, 0.0f, false);
    put4(out + 4, vmovl_high_s16(q), d, 0.0f, false);
}

INLINE void decode_supers(float *dst, const uint8_t *row, size_t n, size_t bytes,
                          void (*unpack)(struct super *, const uint8_t *), bool min, size_t groups)
{
    for (; n > 0; n -= SUPER_ELEMS, dst += SUPER_ELEMS, row += bytes) {
        struct super w;
        float d[16], m[16] = {0};
        unpack(&w, row);
        UNROLL
        for (size_t h = 0; h < groups / 8; h++) {
            factors(d + 8 * h, w.scale[h], w.d);
            if (min)
                factors(m + 8 * h, w.min[h], -w.m);
        }
        UNROLL
        for (size_t i = 0; i < 16; i++) {
            const size_t g = i * groups / 16, at = groups == 16 ? g / 2 + 8 * (g % 2) : g;
            put16(dst + 16 * i, w.u[i], d[g], m[at], min);
        }
    }
}

#define DECODE(name, form, ...)                                                                    \
    static void decode_##name(float *restrict dst, const void *restrict src, size_t n)             \
    {                                                                                              \
        decode_##form(dst, src, n, sizeof(struct block_##name), unpack_##name, __VA_ARGS__);       \
    }
#define BLOCKS(ID, name, codes)         DECODE(name, blocks, (codes) == CODES_MIN)
#define SUPERS(ID, name, codes, groups) DECODE(name, supers, (codes) == CODES_MIN, groups)
PANEL_TYPES(BLOCKS, SUPERS)

static void decode_f16(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1q_f32(dst + i, vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(at + 2 * i))));
    for (; i < n; i++)
        dst[i] = half_to_float(load_u16(at + 2 * i));
}

static void decode_bf16(float *restrict dst, const void *restrict src, size_t n)
{
    const uint8_t *at = src;
    size_t i = 0;
    for (; i + 4 <= n; i += 4) {
        const uint32x4_t bits = vshll_n_u16(vreinterpret_u16_u8(vld1_u8(at + 2 * i)), 16);
        vst1q_f32(dst + i, vreinterpretq_f32_u32(bits));
    }
    for (; i < n; i++)
        dst[i] = bf16_to_float(load_u16(at + 2 * i));
}

void decode_init_neon(struct kernels *k)
{
    k->decode[DTYPE_F16] = decode_f16;
    k->decode[DTYPE_BF16] = decode_bf16;
#define SET(ID, name, ...) k->decode[DTYPE_##ID] = decode_##name;
    PANEL_TYPES(SET, SET)
}
