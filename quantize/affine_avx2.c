#include "quantize/lanes_avx2.h"

#include "quantize/affine_impl.h"

void affine_init_avx2(struct kernels *k) { affine_init(k); }
