/* sequential.h - a file whose linears are quantized for what the quantized ones before feed them.
 *
 * Stage by stage (what goes into q, k and v; into o; into gate and up; into down; layer by layer,
 * and last into the output) the text's windows go through the model as far as it is made: through
 * the decoded values of the file's own blocks, in f32.  What the stage's linears are fed is summed
 * up, they are quantized on that (calib/calibrated.h), and the next stage's windows go through
 * what they became.  Where the model ties them the embedding is the output, made last, and tokens
 * are looked up in the source's; an embedding of its own is made first, as all that is no linear.
 *
 * A pass goes through a half layer, which is made, to the first input of the next, or from there to
 * the second: about twice a forward pass in all.  One stage's Hessian is in memory.  A run that
 * was stopped or killed goes on where it was: tensors that are made stay in the file, streams
 * and the sums of the stage in work in OUT.work.  Same bytes for any pool, however often it was
 * stopped.
 */
#ifndef CALIB_SEQUENTIAL_H
#define CALIB_SEQUENTIAL_H

#include "calib/calibrated.h"
#include "calib/collect.h"
#include "calib/parts.h"
#include "calib/pass.h"
#include "core/map.h"

struct sequential_options {
    const struct collect_options *collect; /* the model, its corpus and what runs it */
    struct weights *weights;       /* those of `collect`: matrices that are made take their place */
    struct calibrated *calibrated; /* the encoder; its stores are the stages' */
};

struct sequential {
    const struct sequential_options *o;
    struct produce_item *item; /* the caller's */
    size_t items, stages;
    size_t *stage;          /* of each item; `stages`: none, it is made first */
    size_t linears;         /* items that have one */
    struct tensor *made;    /* items, as they stand in the file */
    struct map map;         /* of the file */
    struct kernels kernels; /* exact */
    struct pass_options options;
    struct pass pass;
    struct parts parts;
    struct produce produce;
    struct progress tokens, bytes; /* of the passes, of the file: together the caller's */
    uint64_t encoding;             /* tokens that all bytes count for */
    size_t found;                  /* stages that an earlier run has done */
};

/* Finds the stages and gives the items their encoder; importance they get when their stage comes.
 * The options and items must stay.  Fails with ERR_FORMAT (a linear that is none of the items) or
 * ERR_MEMORY; *s is then closed. */
bool sequential_open(struct sequential *s, const struct sequential_options *o,
                     struct produce_item *item, size_t items, struct err *err);
void sequential_close(struct sequential *s);

/* What it will take, at most. */
struct collect_needs sequential_needs(const struct sequential *s);

/* As produce_gguf; options->resume must be there. */
bool sequential_gguf(struct sequential *s, const char *path, const struct meta *meta,
                     const struct produce_options *options, struct produce_result *result,
                     struct err *err);

#endif
