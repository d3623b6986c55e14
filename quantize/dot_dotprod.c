/* dot_dotprod.c - dot products in NEON with sdot: what dot_neon.c has, of the same panels. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"

#include <arm_neon.h>

#define dot4      vdotq_s32
#define dot4_lane vdotq_laneq_s32

#include "quantize/dot_neon_impl.h"

void dot_init_dotprod(struct dot_kernels *k) { init_integers(k); }
