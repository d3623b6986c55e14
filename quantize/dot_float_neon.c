/* dot_float_neon.c - float products in NEON. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <arm_neon.h>
#include <string.h>

enum { VL = 4, COLUMNS = 4 };

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

INLINE void v4_transpose(v4 v[4])
{
    const float32x4x2_t a = vzipq_f32(v[0], v[2]), b = vzipq_f32(v[1], v[3]);
    const float32x4x2_t low = vzipq_f32(a.val[0], b.val[0]), high = vzipq_f32(a.val[1], b.val[1]);
    v[0] = low.val[0];
    v[1] = low.val[1];
    v[2] = high.val[0];
    v[3] = high.val[1];
}

#include "quantize/dot_float_impl.h"

void dot_float_init_neon(struct dot_kernels *k) { init_float(k); }
