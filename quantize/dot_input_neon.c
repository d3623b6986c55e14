/* dot_input_neon.c - activations to eight bits in NEON; same bytes as the reference. */
#include "quantize/dot.h"

#include "core/block.h"
#include "quantize/dot_panel.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

/* The largest magnitude of 32 numbers, as bits: above all numbers for a NaN. */
INLINE uint32x4_t top_bits(const float *x)
{
    uint32x4_t top = vdupq_n_u32(0);
    UNROLL
    for (int i = 0; i < 32; i += 4)
        top = vmaxq_u32(top, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + i))));
    return top;
}

/* The scale that the codes of numbers with these largest magnitudes have, and its inverse, or no
 * inverse. */
INLINE float scale_of(uint32x4_t tops, float *inverse)
{
    const float top = vgetq_lane_f32(vreinterpretq_f32_u32(vdupq_n_u32(vmaxvq_u32(tops))), 0);
    *inverse = 0.0f;
    if (!(top < INFINITY))
        return NAN;
    if (top < 0x1p-100f)
        return 0.0f;
    *inverse = 127.0f / top;
    return top / 127.0f;
}

INLINE int16x8_t words_of(const float *x, float32x4_t inverse)
{
    const int32x4_t low = vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x), inverse));
    const int32x4_t high = vcvtnq_s32_f32(vmulq_f32(vld1q_f32(x + 4), inverse));
    return vcombine_s16(vmovn_s32(low), vmovn_s32(high));
}

/* Sixteen codes, all zero where there is no inverse, and their sum. */
INLINE int put_codes(int8_t *q, const float *x, float inverse)
{
    int8x16_t codes = vdupq_n_s8(0);
    if (inverse != 0.0f) {
        const float32x4_t by = vdupq_n_f32(inverse);
        codes = vcombine_s8(vmovn_s16(words_of(x, by)), vmovn_s16(words_of(x + 8, by)));
    }
    vst1q_s8(q, codes);
    return vaddlvq_s8(codes);
}

static void quantize_block(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_block_input *out = x8;
    if (n % DOT_PIECE != 0)
        memset(&out[n / DOT_PIECE], 0, sizeof *out);
    for (size_t i = 0; i < n / BLOCK_ELEMS; i++, x += BLOCK_ELEMS) {
        struct dot_block_input *piece = &out[i / 8];
        int8_t *q = piece->q + BLOCK_ELEMS * (i % 8);
        float inverse;
        piece->d[i % 8] = scale_of(top_bits(x), &inverse);
        piece->sum[i % 8] = put_codes(q, x, inverse);
        piece->sum[i % 8] += put_codes(q + 16, x + 16, inverse);
    }
}

static void quantize_super(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_super_input *out = x8;
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, x += SUPER_ELEMS, out++) {
        uint32x4_t top = vdupq_n_u32(0);
        float inverse;
        for (size_t g = 0; g < SUPER_ELEMS; g += 32)
            top = vmaxq_u32(top, top_bits(x + g));
        out->d = scale_of(top, &inverse);
        memset(out->zero, 0, sizeof out->zero);
        for (size_t g = 0; g < 8; g++) {
            const int a = put_codes(out->q + 32 * g, x + 32 * g, inverse);
            const int b = put_codes(out->q + 32 * g + 16, x + 32 * g + 16, inverse);
            out->sum[g] = (int16_t)a;
            out->sum[8 + g] = (int16_t)b;
            out->sum32[g] = (int16_t)(a + b);
        }
    }
}

void dot_input_init_neon(struct dot_kernels *k)
{
    k->quantize[DOT_BLOCK] = quantize_block;
    k->quantize[DOT_SUPER] = quantize_super;
}
