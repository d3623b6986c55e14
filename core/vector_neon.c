/* vector_neon.c - rows of floats in NEON. */
#include "core/vector.h"

#include "core/inline.h"
#include "core/vector_exp.h"

#include <arm_neon.h>
#include <math.h>
#include <string.h>

enum { VL = 4, ROWS = 6, WIDE = 4 };

typedef float32x4_t vf;
typedef float64x2_t vd;

INLINE vf vf_set(float a) { return vdupq_n_f32(a); }
INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE vf vf_load_f32(const void *p) { return vf_load(p); }
INLINE vf vf_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }
INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf vf_sub(vf a, vf b) { return vsubq_f32(a, b); }
INLINE vf vf_mul(vf a, vf b) { return vmulq_f32(a, b); }
INLINE vf vf_div(vf a, vf b) { return vdivq_f32(a, b); }
INLINE vf vf_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }

INLINE vf vf_load_i8(const int8_t *p)
{
    int32_t four;
    memcpy(&four, p, sizeof four);
    const int16x8_t wide = vmovl_s8(vreinterpret_s8_s32(vdup_n_s32(four)));
    return vcvtq_f32_s32(vmovl_s16(vget_low_s16(wide)));
}

INLINE vf vf_scale(vf p, vf sum)
{
    const uint32x4_t power = vshlq_n_u32(vreinterpretq_u32_f32(sum), 23);
    return vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(p), power));
}

INLINE vf vf_clamp(vf y, vf x)
{
    y = vbslq_f32(vcltq_f32(x, vf_set(exp_least)), vf_set(0.0f), y);
    return vbslq_f32(vcgtq_f32(x, vf_set(exp_most)), vf_set(INFINITY), y);
}

INLINE vd vd_set(double a) { return vdupq_n_f64(a); }
INLINE vd vd_add(vd a, vd b) { return vaddq_f64(a, b); }
INLINE vd vd_mul(vd a, vd b) { return vmulq_f64(a, b); }
INLINE vd vd_low(vf a) { return vcvt_f64_f32(vget_low_f32(a)); }
INLINE vd vd_high(vf a) { return vcvt_high_f64_f32(a); }

INLINE float vf_max_across(vf a)
{
    const float32x2_t low = vget_low_f32(a), high = vget_high_f32(a);
    const float32x2_t most = vbsl_f32(vcgt_f32(high, low), high, low);
    const float x = vget_lane_f32(most, 0), y = vget_lane_f32(most, 1);
    return y > x ? y : x;
}

INLINE double vd_add_across(vd a) { return vgetq_lane_f64(a, 0) + vgetq_lane_f64(a, 1); }

#include "core/vector_impl.h"

void vector_init_neon(struct vector_kernels *v) { init(v); }
