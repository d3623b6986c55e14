/* dot_float_neon.c - float products in NEON. */
#include "quantize/dot.h"

#include "core/inline.h"

#include <arm_neon.h>
#include <string.h>

enum { VL = 4, COLUMNS = 4, CHUNK = 1024 };

typedef float32x4_t vf;

INLINE vf vf_zero(void) { return vdupq_n_f32(0.0f); }
INLINE vf vf_load(const float *p) { return vld1q_f32(p); }
INLINE void vf_store(float *p, vf a) { vst1q_f32(p, a); }
INLINE vf vf_add(vf a, vf b) { return vaddq_f32(a, b); }
INLINE vf vf_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }

/* Rows of a file need no alignment: they are loaded as bytes. */
INLINE vf vf_load_f32(const void *p) { return vreinterpretq_f32_u8(vld1q_u8(p)); }
INLINE vf vf_load_f16(const void *p) { return vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(p))); }

INLINE vf vf_load_bf16(const void *p)
{
    return vreinterpretq_f32_u32(vshll_n_u16(vreinterpret_u16_u8(vld1_u8(p)), 16));
}

#include "quantize/dot_float_impl.h"

/* The halves of a added, then those of b. */
INLINE vf add_halves(vf a, vf b)
{
    return vcombine_f32(vadd_f32(vget_low_f32(a), vget_high_f32(a)),
                        vadd_f32(vget_low_f32(b), vget_high_f32(b)));
}

INLINE void put_sums(float *y, size_t stride, vf lane[COLUMNS][TILE], int columns)
{
    UNROLL
    for (int c = 0; c < columns; c++)
        vst1q_f32(y + (size_t)c * stride, vpaddq_f32(add_halves(lane[c][0], lane[c][1]),
                                                     add_halves(lane[c][2], lane[c][3])));
}

#include "quantize/dot_float_panel_impl.h"

void dot_float_init_neon(struct dot_kernels *k) { init_float(k); }
