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
 * All sums are in memory at once.  The result depends on the corpus and on `windows`, not on the pool.
 */
#ifndef CALIB_GRADIENTS_H
#define CALIB_GRADIENTS_H

#include "calib/corpus.h"
#include "core/pool.h"
#include "core/progress.h"
#include "formats/calib_store.h"
#include "model/weights.h"

struct gradients_options {
    const struct weights *weights;
    const struct corpus *corpus; /* of windows of at most FORWARD_PIECE tokens */
    size_t windows;              /* of them, at least 1 */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress; /* may be NULL */
    uint64_t step;             /* of the progress, a window */
};

enum { GRADIENTS_WINDOWS = 96 };

/* Bytes of memory that it will take. */
uint64_t gradients_memory(const struct gradients_options *o);

/* Adds them to a file.  Fails with
 * ERR_NUMERIC (gradients that are not finite), ERR_USAGE (a context too long), ERR_STOPPED, ERR_IO or
 * ERR_MEMORY. */
bool gradients_run(const struct gradients_options *o, struct calib_writer *w, struct err *err);

#endif
