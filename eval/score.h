/* score.h - what one model, or two side by side, make of each token of a text.
 *
 * A window at a time goes through the models, and its logits are looked at a few positions at a
 * time: memory is that of one window.  Scores do not depend on
 * the pool.
 */
#ifndef EVAL_SCORE_H
#define EVAL_SCORE_H

#include "core/dtype.h"
#include "core/pool.h"
#include "core/progress.h"
#include "eval/base_file.h"
#include "eval/windows.h"
#include "model/weights.h"
#include "quantize/kernels.h"

/* Of one token, in nats.  What compares with the base is 0 where there is none. */
struct score {
    double loss;       /* -log p: of the token that came, after those before it */
    double base_loss;  /* the same, of the base */
    double divergence; /* KL(base || model) of the next token's distribution */
    bool same_top;     /* both hold the same token for the likeliest */
};

struct score_options {
    const struct weights *model;
    const struct weights *base;       /* what it is compared with, or NULL */
    const struct base_file *recorded; /* or its predictions on file: of these windows */
    struct sink *record;              /* gets the model's rows, after base_file_begin; or NULL */
    enum dtype_id cache;              /* of keys and values */
    const struct kernels *kernels;
    const struct kernels
        *base_kernels; /* of the base, with base_cache; NULL: both as the model's */
    enum dtype_id base_cache;
    struct pool *pool;
    struct progress *progress; /* in tokens; may be NULL */
    const char *label;         /* beside the progress; NULL: the perplexity so far */
};

/* The scores of windows->count x windows->scored tokens, in order.  Fails with ERR_MEMORY,
 * ERR_STOPPED, ERR_IO, ERR_USAGE (a token that is not in a vocabulary, other vocabularies) or
 * ERR_NUMERIC (logits that are not finite). */
bool score_windows(const struct score_options *o, const struct windows *w, struct score *score,
                   struct err *err);

/* Fails with ERR_USAGE, saying what differs, where the two do not have the same tokens. */
bool score_check_vocabularies(const struct weights *model, const struct weights *base,
                              struct err *err);

#endif
