#include "quantize/lanes_neon.h"

#include "quantize/affine_impl.h"

void affine_init_neon(struct kernels *k) { affine_init(k); }
