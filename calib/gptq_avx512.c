/* gptq_avx512.c - gptq_scalar.c in AVX-512: same bytes. */
#include "quantize/lanes_avx512.h"

#include "calib/gptq_impl.h"

const struct gptq_engine gptq_engine_avx512 = {"avx512", engine_run, engine_loss};
