/* gptq_neon.c - gptq_scalar.c in NEON: same bytes. */
#include "quantize/lanes_neon.h"

#include "calib/gptq_impl.h"

const struct gptq_engine gptq_engine_neon = {"neon", engine_run, engine_loss};
