/* make_calib.h - what calibration found, for a file in the making: from a calib.h5, or from a text.
 *
 * A text is run through the source first; what that finds stays beside the output (OUT.calib.h5)
 * until the output is there, so that a run that was killed does not do it again.
 */
#ifndef TOOLS_MAKE_CALIB_H
#define TOOLS_MAKE_CALIB_H

#include "calib/awq.h"
#include "calib/calibrated.h"
#include "core/json.h"
#include "tools/make.h"
#include "tools/make_sequential.h"

enum make_method { MAKE_RTN, MAKE_GPTQ, MAKE_AWQ, MAKE_AWQ_GPTQ };

struct make_calib {
    enum make_method method;
    bool fast;
    struct calib_store store; /* path NULL: no calibration */
    struct calibrated calibrated;
    struct awq awq; /* open between make_calib_use and make_calib_made */
    struct make_sequential sequential;
    char *own; /* the store that was made of a text, or NULL */
};

/* What is wrong with --method, --quality and --calib, before anything is read.  ERR_USAGE. */
bool make_calib_check(struct make_calib *m, const struct make_options *o, struct err *err);

/* Opens --calib, or makes it; nothing without it.  Fails with ERR_USAGE where it is of another
 * model than the plan's, and with what calib_store_open and calibrate_run say. */
bool make_calib_open(struct make_calib *m, const struct make_options *o, const struct plan *plan,
                     const struct session *s, struct err *err);

/* Gives the plan's items their importance and encoders, and says how many got them; with AWQ the plan
 * is folded from here to make_calib_made, and *meta says how.  Fails with what awq_open says. */
bool make_calib_use(struct make_calib *m, struct plan *plan, struct produce_item *item,
                    struct meta *meta, struct session *s, struct err *err);

/* --salient: raises the types of tensors whose few columns carry much (calib/salient.h), and says which
 * part of the weights that is. */
bool make_calib_raise(const struct make_calib *m, const struct make_options *o,
                      const struct plan *plan, struct recipe_choice *choice,
                      const struct session *s, struct err *err);

/* What was used, as keys of the file; with AWQ room for the factors, which make_calib_use fills in.
 * Fails with what fold_open says. */
bool make_calib_keys(const struct make_calib *m, struct plan *plan, struct meta *meta,
                     struct err *err);

/* A hash of all that the data follow from (produce_options.resume); "" where the work is too short
 * for that: without GPTQ.  Says what an earlier run has left.  Reads the whole source, and the
 * calibration. */
bool make_calib_key(const struct make_calib *m, const struct make_options *o,
                    const struct checkpoint *source, const struct meta *meta,
                    const struct produce_item *item, size_t items, const struct session *s,
                    char key[HASH_TEXT], struct err *err);

/* As produce_gguf, of the items that make_calib_use was given. */
bool make_calib_run(struct make_calib *m, const char *path, const struct meta *meta,
                    const struct produce_item *item, size_t items,
                    const struct produce_options *options, struct produce_result *result,
                    struct err *err);

/* The output is there: the plan is as it was, and a store of its own is not needed any more. */
void make_calib_made(struct make_calib *m);
void make_calib_close(struct make_calib *m);

/* "gptq, best", "rtn" */
const char *make_calib_name(const struct make_calib *m);

#endif
