/* gradients.h - the mean of g g' for every linear's outputs, g the gradient of the loss.
 *
 * Windows of the corpus, evenly apart, go through the model and back (calib/backward.h).  What is
 * summed up says how much an error of one output costs the predictions, and how much errors of two
 * outputs make up for each other: with H of the inputs, an error E of a weight costs
 *
 *     KL = 1/2 tr(G E H E')
 *
 * (the Kronecker form of the Fisher information: Martens and Grosse, arXiv 1503.05671; for
 * quantization Tseng et al., arXiv 2505.22988).  The output matrix is left out: it has as many
 * outputs as the vocabulary.
 *
 * All windows go half a layer at a time, forwards and then back, and their streams lie in a scratch
 * file: in memory are the sums of a half and a window.  The result depends on the corpus and on
 * `windows`, not on the pool.
 */
#ifndef CALIB_GRADIENTS_H
#define CALIB_GRADIENTS_H

#include "calib/backward.h"
#include "calib/corpus.h"
#include "calib/moments.h"
#include "calib/stream_file.h"
#include "core/progress.h"
#include "model/plan.h"

enum { GRADIENTS_WINDOWS = 96, GRADIENTS_LINEARS = 4 };

struct gradients_options {
    const struct weights *weights;
    const struct corpus *corpus; /* of windows of at most FORWARD_PIECE tokens */
    size_t windows;              /* of them, at least 1 */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress;   /* in tokens times halves: gradients_work; may be NULL */
    const struct plan *unfolded; /* as of a pass (calib/pass.h), for outputs */
};

struct gradients {
    const struct gradients_options *o;
    struct backward backward;
    struct stream_file stream;
    float *x;                                       /* a window */
    const struct linear *linear[GRADIENTS_LINEARS]; /* of the half in work */
    struct moments moments[GRADIENTS_LINEARS];
    size_t linears;
    struct err *err; /* of the tap */
    bool failed;
};

/* Attention and feed-forward of each layer. */
size_t gradients_halves(const struct weights *w);

/* Bytes of memory that it will take, of the scratch file, and of the sums on file. */
uint64_t gradients_memory(const struct gradients_options *o);
uint64_t gradients_disk(const struct gradients_options *o);
uint64_t gradients_bytes(const struct weights *w);

/* Steps of the progress: one a token and half forwards, three back. */
uint64_t gradients_work(const struct gradients_options *o);

/* The scratch file is in `folder`; with `keep` it stays.  Fails with ERR_USAGE (a context too long),
 * ERR_IO or ERR_MEMORY.  A zeroed one may be closed. */
bool gradients_open(struct gradients *g, const struct gradients_options *o, const char *folder,
                    struct err *err);
void gradients_close(struct gradients *g, bool keep);

/* All windows through the model, and back through the output.  Fails with ERR_STOPPED or ERR_IO. */
bool gradients_start(struct gradients *g, struct err *err);

/* Instead, where an earlier run was done with start and all but the first `left` halves: false where
 * the scratch file that it left is not whole. */
bool gradients_resume(struct gradients *g, size_t left);

/* All windows back through a half; the halves come from the last to the first.  Adds the groups of
 * its linears to a file.  Fails with ERR_NUMERIC (gradients that are not finite), ERR_STOPPED,
 * ERR_IO or ERR_MEMORY. */
bool gradients_half(struct gradients *g, size_t half, struct calib_writer *w, struct err *err);

#endif
