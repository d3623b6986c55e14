/* dot_float_neon.c - float products in NEON. */
#include "quantize/dot.h"

#include "core/inline.h"

#include <arm_neon.h>
#include <string.h>

enum { VL = 4, COLUMNS = 4, CHUNK = 1024 };

typedef float32x4_t vf, v4;

INLINE vf vf_zero(void) { return vdupq_n_f32(0.0f); }
INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }

/* Rows of a file need no alignment: they are loaded as bytes. */
INLINE vf vf_load_f32(const void *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
INLINE vf vf_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }

INLINE vf vf_load_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

INLINE v4 v4_load(const float *p) { return vld1q_f32(p); }
INLINE void v4_store(float *p, v4 a) { vst1q_f32(p, a); }
INLINE v4 v4_add(v4 a, v4 b) { return vaddq_f32(a, b); }

#include "quantize/dot_float_impl.h"

INLINE v4 vf_add_lanes(vf lane[PARTS][TILE])
{
    vf s[TILE];
    UNROLL
    for (int r = 0; r < TILE; r++)
        s[r] = vaddq_f32(vaddq_f32(lane[0][r], lane[2][r]), vaddq_f32(lane[1][r], lane[3][r]));
    const vf pairs01 = vcombine_f32(vadd_f32(vget_low_f32(s[0]), vget_high_f32(s[0])),
                                    vadd_f32(vget_low_f32(s[1]), vget_high_f32(s[1])));
    const vf pairs23 = vcombine_f32(vadd_f32(vget_low_f32(s[2]), vget_high_f32(s[2])),
                                    vadd_f32(vget_low_f32(s[3]), vget_high_f32(s[3])));
    return vpaddq_f32(pairs01, pairs23);
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_neon(struct dot_kernels *k) { init_float(k); }
