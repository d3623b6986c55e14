/* fold.h - one factor a channel, moved from what writes the channel to what reads it.
 *
 *   norm gain -> q, k, v       v rows -> output columns        final norm -> output matrix
 *   norm gain -> gate, up      up rows -> down columns
 *
 * The reader's columns are multiplied by s, the writer's gains or rows by 1 / s: the model stays
 * the same function, and the file runs wherever it ran.  Grouped queries read a value channel
 * several times: all with the same factor.  Factors are eighth powers of two, s = 2^(step / 8),
 * and steps fit in a byte: written into the file's metadata they tell later readers how its
 * tensors come from the source's.
 *
 * Factors come behind every edit of a plan: a norm that an architecture stores as w and means as
 * 1 + w has its one added by its edit, and the sum is what is divided.
 *
 * To add a site: a row in fold.c.
 */
#ifndef MODEL_FOLD_H
#define MODEL_FOLD_H

#include "core/arena.h"
#include "formats/meta.h"
#include "model/plan.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FOLD_READERS = 3, FOLD_WRITERS = 2, FOLD_STEP_MAX = 127 };

/* One place of one layer.  Readers share their input, and so their importance and Hessian. */
struct fold_site {
    const char *name; /* "ffn_in": of what group of inputs the readers' columns are */
    int64_t layer;    /* -1: none */
    struct plan_tensor *reader[FOLD_READERS], *writer[FOLD_WRITERS];
    size_t readers, writers;
    size_t channels, cols; /* cols is a multiple of channels */
    size_t run, repeats;   /* each run of channels stands `repeats` times in a row of columns */
    int8_t *step;          /* channels; the caller sets them, above -128 */
    float *up, *down;      /* cols, channels: the factors, as fold_apply computes them */
};

struct fold {
    struct arena arena;
    struct fold_site *site;
    size_t sites;
};

/* Finds the plan's sites; all steps are 0.  The plan must stay.  Fails with ERR_UNSUPPORTED (an
 * architecture that is not in the table), ERR_FORMAT (tensors whose sizes do not match) or
 * ERR_MEMORY. */
bool fold_open(struct fold *f, struct plan *p, struct err *err);

/* The plan's tensors are as without a fold again; it must be open still. */
void fold_close(struct fold *f);

/* Which channel column c of the readers is. */
static inline size_t fold_channel(const struct fold_site *s, size_t c)
{
    return c / s->run / s->repeats * s->run + c % s->run;
}

/* From here on the site's tensors, as plan_read gives them, are folded by its steps. */
void fold_apply(struct fold_site *s);

/* The site that reads this tensor's input, or NULL. */
const struct fold_site *fold_find(const struct fold *f, const struct plan_tensor *reader);

/* 2^(step / 8), and the step nearest to log2(factor) * 8. */
float fold_factor(int step);
int8_t fold_step(double factor);

/* What calibration found of a tensor's inputs, as they are behind its fold: of each column the mean
 * square, and the Hessian's upper triangle, row by row.  Unchanged where by_col is NULL. */
void fold_mean_square(const float *by_col, size_t cols, float *mean_square);
void fold_hessian(const float *by_col, size_t cols, float *upper);

/* Writes the steps that are not all 0 as keys "quern.fold.NAME", or, to know how large the file may
 * become, all of them; reads and applies a file's: true without any.  Fails with ERR_FORMAT (a key
 * of another type or length). */
void fold_write(const struct fold *f, bool all, struct meta *meta);
bool fold_is_there(const struct meta *meta);
bool fold_read(struct fold *f, struct plan *p, const struct meta *meta, struct err *err);
void fold_forget(struct meta *meta);

#endif
