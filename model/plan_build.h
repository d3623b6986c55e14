/* plan_build.h - what the files that make a plan share; for them alone. */
#ifndef MODEL_PLAN_BUILD_H
#define MODEL_PLAN_BUILD_H

#include "model/plan.h"

/* Fill in a plan whose checkpoint is set: arch, hparams, meta, tensors in any order. */
bool plan_from_folder(struct plan *p, const struct plan_options *options, struct err *err);
bool plan_from_gguf(struct plan *p, const struct plan_options *options, struct err *err);

/* Room for `count` tensors.  Fails with ERR_MEMORY. */
bool plan_reserve(struct plan *p, size_t count, struct err *err);

/* Adds a sentence for the person. */
void plan_note(struct plan *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Does this output tensor keep its type in every recipe: one row, a norm, a router ...? */
bool plan_keeps(const char *name, int dims);

/* Fails with ERR_UNSUPPORTED where config.json says that the weights are quantized in a way that
 * cannot be read; *fp8_rows and *fp8_cols are the blocks of its FP8 scales, 0 where not said. */
bool plan_check_quantization(const json_t *config, uint64_t *fp8_rows, uint64_t *fp8_cols,
                             struct err *err);

#endif
