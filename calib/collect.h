/* collect.h - runs a model over a corpus and gathers what its linears are fed.
 *
 * The model is gone through half a layer at a time (attention, feed-forward, and last the output's
 * norm): each takes all windows' residual streams from a scratch file to another, and what the
 * linears of that half are multiplied with is summed up (calib/moments.h).  So there are never more
 * than two Hessians in memory, and a window of activations.
 *
 * After each half its groups are on the disk, in a folder beside the output (OUT.work), and a run
 * that was stopped or killed goes on behind the last one that is whole.  The folder is
 * removed in the end.  Same model, same corpus, same bytes: for any pool, and however
 * often it was stopped.
 */
#ifndef CALIB_COLLECT_H
#define CALIB_COLLECT_H

#include "calib/corpus.h"
#include "core/pool.h"
#include "core/progress.h"
#include "formats/calib_store.h"
#include "model/weights.h"

struct collect_options {
    const struct weights *weights;
    const struct corpus *corpus;
    const struct calib_info *info; /* of the file; hessians says what is gathered */
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress;   /* in tokens times halves; may be NULL */
    size_t gradients;            /* windows to go back through (calib/gradients.h); 0: none */
    const struct plan *unfolded; /* of weights that are folded (calib/pass.h), or NULL */
    const char *path;            /* of the file */
    bool force;
};

/* How it went. */
struct collect_result {
    size_t halves, found; /* found: done by an earlier run */
    double forward_seconds, sums_seconds, write_seconds, gradients_seconds;
};

/* Memory that it will take beside the mapped model, and bytes of the scratch files; both at most. */
struct collect_needs {
    uint64_t memory, disk;
    uint64_t hessian; /* of the memory: the two largest that are there at once */
};
struct collect_needs collect_needs(const struct collect_options *o);

/* Writes the file.  Fails with ERR_USAGE (it exists, no force), ERR_NUMERIC (activations that are not
 * finite: window and column), ERR_STOPPED, ERR_IO or ERR_MEMORY.  What is done then stays in the
 * folder, but after ERR_NUMERIC. */
bool collect_run(const struct collect_options *o, struct collect_result *result, struct err *err);

#endif
