/* gptq_scalar.c - the GPTQ engine in plain C: the reference. */
#include "quantize/lanes_scalar.h"

#include "calib/gptq_impl.h"

const struct gptq_engine gptq_engine_scalar = {"scalar", engine_run, engine_loss};
