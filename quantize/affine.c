#include "quantize/lanes_scalar.h"

#include "quantize/affine_impl.h"

void affine_init_scalar(struct kernels *k) { affine_init(k); }
