/* pass.h - all windows of a corpus through a part of a model, and what its linears are fed.
 *
 * A model is gone through half a layer at a time: half 2 n is the attention of layer n, 2 n + 1 its
 * feed-forward, and the last the output's norm.  Between passes all windows' residual
 * streams lie in scratch files (calib/stream_file.h).  What the linears of a half are multiplied
 * with, its inputs, is summed up (calib/moments.h).  In memory there are the sums and a window.
 */
#ifndef CALIB_PASS_H
#define CALIB_PASS_H

#include "calib/corpus.h"
#include "calib/moments.h"
#include "calib/parts.h"
#include "calib/stream_file.h"
#include "core/progress.h"
#include "model/forward.h"
#include "model/plan.h"

enum { PASS_INPUTS = 2, PASS_LINEARS = 3, PASS_NAME = 64 };

struct pass_options {
    const struct weights *weights;
    const struct corpus *corpus;
    bool hessians; /* or mean squares alone */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress;   /* in tokens; may be NULL */
    const struct plan *unfolded; /* with the fold that the weights have (model/fold.h): sums are of
                                    the inputs as they were without; NULL: there is none */
};

/* What a half's linears are multiplied with, and which these are. */
struct pass_input {
    char name[PASS_NAME]; /* "blk.0.attn_in" */
    const struct tensor *linear[PASS_LINEARS];
    size_t linears;
    struct moments moments; /* open while it is summed up, */
    bool summed;            /* which this says */
};

/* From the streams as they enter half `begin` to those that enter `end`; the inputs of `half` are
 * summed up, those that sum[] says, on the way or, where half == end, by going into it. */
struct pass_step {
    size_t begin, half, end;
    bool sum[PASS_INPUTS];
};

struct pass {
    const struct pass_options *o;
    const struct pass_step *step;
    struct stream_file stream[2]; /* those that enter half h are in h % 2 */
    struct forward forward;
    struct kv_cache cache;
    float *x, *states; /* a window, and a piece of it as it leaves the model */
    size_t at;         /* the half in work */
    struct pass_input input[PASS_INPUTS];
    size_t inputs;
    double forward_seconds, sums_seconds, write_seconds; /* so far */
    struct err *err;                                     /* of the probe */
    bool failed;
};

size_t pass_halves(const struct weights *w);

/* The inputs of a half, in the order in which they come: how many.  Their sums are not open. */
size_t pass_inputs(const struct weights *w, size_t half, struct pass_input input[PASS_INPUTS]);

static inline size_t pass_cols(const struct pass_input *in)
{
    return (size_t)tensor_cols(in->linear[0]);
}

/* Bytes of activations that pass_open takes; that the program itself and its libraries take, with the
 * tiles of the threads; and of the scratch files. */
uint64_t pass_memory(const struct pass_options *o);
uint64_t pass_program(const struct pass_options *o);
uint64_t pass_disk(const struct pass_options *o);

/* Scratch files are in `folder`; with `keep` they stay.  Fails with ERR_IO or ERR_MEMORY.  A zeroed
 * pass may be closed. */
bool pass_open(struct pass *p, const struct pass_options *o, const char *folder, struct err *err);
void pass_close(struct pass *p, bool keep);

/* Takes a step, and writes the groups that it summed up as a part.  Fails with ERR_NUMERIC
 * (activations that are not finite: window and column), ERR_STOPPED, ERR_IO or ERR_MEMORY.  Streams
 * that were written are on the disk before the part is. */
bool pass_part(struct pass *p, const struct pass_step *step, const struct parts *parts,
               size_t stage, struct err *err);

#endif
