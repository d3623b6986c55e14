/* make_allocate.h - types within a number of bytes: --like, --target-size, --target-bpw.
 *
 * Sensitivity is measured on a calibration text (calib/sensitivity.h) or read from a file that an
 * earlier run wrote; types are chosen from it (calib/allocate.h), and the choice is measured, as a
 * whole, on the same text.  What was asked for by name (overrides, the output's type) stays.
 */
#ifndef TOOLS_MAKE_ALLOCATE_H
#define TOOLS_MAKE_ALLOCATE_H

#include "core/json.h"
#include "tools/make_calib.h"

/* Is any of the three asked for? */
bool make_allocate_wanted(const struct make_options *o);

/* What is wrong with the options, before anything is read.  ERR_USAGE. */
bool make_allocate_check(const struct make_options *o, struct err *err);

struct make_allocation {
    const struct make_options *options;
    const struct plan *plan;
    struct make_calib *calib;
    struct session *session;
    struct recipe_choice *choice; /* of the recipe: changed where another type is chosen */
    uint64_t bytes;               /* of the file with these choices */
    uint64_t like;                /* the same without what calibration adds to its metadata */
    json_t *report;               /* set: what was chosen and why; the caller's */
};

/* Before a text is calibrated on, which adds a little to `bytes`: fails with ERR_USAGE where even the
 * smallest possible file is larger than what is asked for. */
bool make_allocate_possible(struct make_allocation *a, struct err *err);

/* Fails with ERR_USAGE (the budget is below the smallest possible size, which is named), and what
 * the parts say. */
bool make_allocate(struct make_allocation *a, struct err *err);

#endif
