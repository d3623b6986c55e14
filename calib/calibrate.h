/* calibrate.h - a model and texts to a calib.h5: what `quern calibrate` does, and what calibrates on
 * the fly.
 *
 * Opening looks at everything that can be refused; running takes the time.
 */
#ifndef CALIB_CALIBRATE_H
#define CALIB_CALIBRATE_H

#include "calib/collect.h"
#include "calib/corpus.h"
#include "calib/source.h"
#include "model/fold.h"

struct calibrate_options {
    const char *source;
    const char *through; /* a file of the same model whose weights make the activations, or NULL */
    struct corpus_options corpus;
    bool importance_only;
    size_t gradients; /* windows to go back through for what outputs are worth; 0: none */
    const char *out;  /* calib.h5 */
    bool force;
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress; /* may be NULL */
};

struct calibrate {
    struct source source, through; /* through: zeroed where there is none */
    struct fold fold;              /* of the source's plan, as `through` has it; or zeroed */
    struct corpus corpus;
    struct kernels kernels; /* exact where weights are quantized, so that activations are not */
    char vocabulary[HASH_TEXT];
    struct arena arena;
    struct calib_info info;
    char *converted; /* a file beside the output that the source becomes; NULL: it is a GGUF */
    bool stays;      /* for a run that goes on with it */
    struct collect_options collect;
};

/* Fails with what the parts say, ERR_USAGE (the output exists), ERR_FORMAT (`through` is of another
 * model); *c is then closed. */
bool calibrate_open(struct calibrate *c, const struct calibrate_options *o, struct err *err);

/* Writes the file (calib/collect.h). */
bool calibrate_run(struct calibrate *c, struct collect_result *result, struct err *err);

/* Removes the converted source, unless the run was stopped and can go on. */
void calibrate_close(struct calibrate *c);

#endif
