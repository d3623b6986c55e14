/* plain_neon.c - plain.c in NEON: same bits. */
#include "quantize/kernels.h"

#include "core/half.h"
#include "quantize/error.h"

#include <arm_neon.h>
#include <string.h>

/* Rows of a file need no alignment: they are stored as bytes. */
static void encode_f16(void *restrict dst, const float *restrict src,
                       const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u8(at + 2 * i, vreinterpret_u8_f16(vcvt_f16_f32(vld1q_f32(src + i))));
    for (; i < n; i++) {
        const uint16_t h = half_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

static inline uint16x4_t bf16_lanes(float32x4_t x)
{
    const uint32x4_t b = vreinterpretq_u32_f32(x), high = vshrq_n_u32(b, 16);
    const uint32x4_t odd = vandq_u32(high, vdupq_n_u32(1));
    const uint32x4_t up = vaddq_u32(vaddq_u32(b, vdupq_n_u32(0x7fff)), odd);
    const uint32x4_t quiet = vorrq_u32(high, vdupq_n_u32(64));
    return vmovn_u32(vbslq_u32(vceqq_f32(x, x), vshrq_n_u32(up, 16), quiet));
}

static void encode_bf16(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    size_t i = 0;
    for (; i + 4 <= n; i += 4)
        vst1_u8(at + 2 * i, vreinterpret_u8_u16(bf16_lanes(vld1q_f32(src + i))));
    for (; i < n; i++) {
        const uint16_t h = bf16_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

/* Two lanes of the sums, in registers along a row. */
struct lanes2 {
    float64x2_t squared, weighted, importance, signal, stored, max_abs;
};

static inline struct lanes2 lanes_load(const struct error_sums *s, int at)
{
    return (struct lanes2){
        .squared = vld1q_f64(s->squared + at),
        .weighted = vld1q_f64(s->weighted + at),
        .importance = vld1q_f64(s->importance + at),
        .signal = vld1q_f64(s->signal + at),
        .stored = vld1q_f64(s->stored + at),
        .max_abs = vdupq_n_f64(s->max_abs),
    };
}

static inline void lanes_store(struct error_sums *s, int at, const struct lanes2 *l)
{
    vst1q_f64(s->squared + at, l->squared);
    vst1q_f64(s->weighted + at, l->weighted);
    vst1q_f64(s->importance + at, l->importance);
    vst1q_f64(s->signal + at, l->signal);
    vst1q_f64(s->stored + at, l->stored);
    const double a = vgetq_lane_f64(l->max_abs, 0), b = vgetq_lane_f64(l->max_abs, 1);
    s->max_abs = a > s->max_abs ? a : s->max_abs;
    s->max_abs = b > s->max_abs ? b : s->max_abs;
}

static inline float64x2_t to_doubles(const float *x) { return vcvt_f64_f32(vld1_f32(x)); }

static inline void lanes_add(struct lanes2 *l, const float *x, const float *y,
                             const float *importance)
{
    const float64x2_t a = to_doubles(x), b = to_doubles(y), e = vsubq_f64(a, b);
    const float64x2_t e2 = vmulq_f64(e, e), size = vabsq_f64(e);
    l->squared = vaddq_f64(l->squared, e2);
    l->signal = vaddq_f64(l->signal, vmulq_f64(a, a));
    l->stored = vaddq_f64(l->stored, vmulq_f64(b, b));
    l->max_abs = vbslq_f64(vcgtq_f64(size, l->max_abs), size, l->max_abs);
    if (importance) {
        const float64x2_t w = to_doubles(importance);
        l->weighted = vaddq_f64(l->weighted, vmulq_f64(w, e2));
        l->importance = vaddq_f64(l->importance, w);
    }
}

/* Two lanes of the eight along the whole row. */
static void add_error(struct error_sums *sums, const float *restrict x, const float *restrict y,
                      const float *restrict importance, size_t n)
{
    size_t i = n / 8 * 8;
    for (int at = 0; at < 8; at += 2) {
        struct lanes2 l = lanes_load(sums, at);
        if (importance)
            for (size_t j = (size_t)at; j < i; j += 8)
                lanes_add(&l, x + j, y + j, importance + j);
        else
            for (size_t j = (size_t)at; j < i; j += 8)
                lanes_add(&l, x + j, y + j, NULL);
        lanes_store(sums, at, &l);
    }
    for (; i < n; i++)
        error_add(sums, i, x, y, importance);
    sums->count += n;
}

static size_t find_nonfinite(const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 16 <= n; i += 16) {
        uint32x4_t most = vdupq_n_u32(0);
        for (size_t j = i; j < i + 16; j += 4)
            most = vmaxq_u32(most, vreinterpretq_u32_f32(vabsq_f32(vld1q_f32(x + j))));
        if (vmaxvq_u32(most) >= 0x7f800000)
            break;
    }
    for (; i < n; i++)
        if ((float_bits(x[i]) & 0x7f800000u) == 0x7f800000u)
            return i;
    return n;
}

void plain_init_neon(struct kernels *k)
{
    k->encode[DTYPE_F16] = encode_f16;
    k->encode[DTYPE_BF16] = encode_bf16;
    k->add_error = add_error;
    k->find_nonfinite = find_nonfinite;
}
