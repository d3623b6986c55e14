/* gptq_avx2.c - gptq_scalar.c in AVX2: same bytes. */
#include "quantize/lanes_avx2.h"

#include "calib/gptq_impl.h"

const struct gptq_engine gptq_engine_avx2 = {"avx2", engine_run, engine_loss};
