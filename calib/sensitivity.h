/* sensitivity.h - what each type of each matrix costs the model's predictions.
 *
 * One matrix after the other is replaced by what one type, the reference, makes of it, and windows of
 * the calibration text go through the model: the KL divergence of the predictions from those of
 * the unchanged model is what that costs.  Between types costs are taken to be in proportion to
 * the loss of the matrix (calib/trial.h), which a sample of its rows tells; costs of several matrices
 * are taken to add up.  The model runs in f32 from the half of the layer on that the matrix is
 * in: half of its passes are saved.
 *
 * Results do not depend on the pool.
 */
#ifndef CALIB_SENSITIVITY_H
#define CALIB_SENSITIVITY_H

#include "calib/corpus.h"
#include "calib/trial.h"
#include "core/progress.h"
#include "model/weights.h"

struct sensitivity_options {
    const struct weights *weights;
    const struct corpus *corpus;
    size_t windows;          /* of the corpus, evenly apart; 0: SENSITIVITY_WINDOWS */
    enum dtype_id reference; /* where its blocks do not fit: the next that does */
    const bool *type;        /* DTYPE_COUNT: the types that are asked for */
    struct trial trial;
    struct progress *progress; /* in matrices; may be NULL */
};

enum { SENSITIVITY_WINDOWS = 8, SENSITIVITY_TILES = 4 };

struct sensitivity_matrix {
    const struct tensor *tensor;
    enum dtype_id reference;
    double measured, p99;     /* of the KL divergence, in nats a token, of the reference */
    double cost[DTYPE_COUNT]; /* NAN: not asked for, or its blocks do not fit */
};

struct sensitivity {
    struct sensitivity_matrix *matrix;
    size_t matrices;
};

/* Fails with ERR_MEMORY, ERR_STOPPED, ERR_NUMERIC and what trial_run says; *s is then closed. */
bool sensitivity_measure(struct sensitivity *s, const struct sensitivity_options *o,
                         struct err *err);
void sensitivity_close(struct sensitivity *s);

/* The matrix of that name, or NULL. */
const struct sensitivity_matrix *sensitivity_find(const struct sensitivity *s, const char *name);

/* All matrices at once: type[i] of matrix i, DTYPE_COUNT to leave it.  Takes as much memory as their
 * blocks. */
bool sensitivity_all(const struct sensitivity *s, const struct sensitivity_options *o,
                     const enum dtype_id *type, double *mean, double *p99, struct err *err);

#endif
