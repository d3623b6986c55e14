/* dot_neon.c - dot products in the NEON that every AArch64 has. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <arm_neon.h>

/* Two products fit in sixteen bits, for x is never -128: 2 * 128 * 127. */
INLINE int32x4_t dot4(int32x4_t sum, int8x16_t w, int8x16_t x)
{
    const int16x8_t low = vmull_s8(vget_low_s8(w), vget_low_s8(x));
    return vpadalq_s16(sum, vpaddq_s16(low, vmull_high_s8(w, x)));
}

#define dot4_lane(sum, w, x, lane)                                                                 \
    dot4(sum, w, vreinterpretq_s8_s32(vdupq_laneq_s32(vreinterpretq_s32_s8(x), lane)))

#include "quantize/dot_neon_impl.h"

void dot_init_neon(struct dot_kernels *k)
{
    init_integers(k);
    dot_pack_init_neon(k);
    dot_input_init_neon(k);
    dot_float_init_neon(k);
}
