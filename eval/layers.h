/* layers.h - where along its layers a model goes off its source.
 *
 * Both models read the same windows, and the residual streams are compared as they enter each
 * layer: the relative error |x - source's| / |source's| of every token, and its mean.
 */
#ifndef EVAL_LAYERS_H
#define EVAL_LAYERS_H

#include "eval/estimate.h"
#include "eval/score.h"

/* error[i]: of the stream as it enters layer i, for the model's layers + 1: as it leaves the last.
 * A few tokens at a time go through both models, which bounds the memory.  Fails with ERR_USAGE (no
 * base, models of other shapes, a token that is not in a vocabulary), ERR_MEMORY, ERR_STOPPED or
 * ERR_NUMERIC (a stream that is not finite). */
bool layers_compare(const struct score_options *o, const struct windows *w, struct estimate *error,
                    struct err *err);

#endif
