/* make.h - a source becomes a GGUF: what `convert` and `quantize` share.
 *
 * Both read a checkpoint, plan it, choose a type for each tensor, say what will be
 * done, do it, and report what was lost.  They differ in their options and in whose
 * types they take: the source's own, or a recipe's.
 */
#ifndef TOOLS_MAKE_H
#define TOOLS_MAKE_H

#include "model/recipe.h"
#include "tools/session.h"

struct make_options {
    const char *source, *out;
    const char *type;             /* a recipe's name; NULL: the source's own types */
    const char *flavour;          /* --recipe: whose rules, or a file of types */
    struct recipe_options recipe; /* the rest of the choice; `recipe` and `flavour` are filled in */
    struct plan_options plan;
    const char *imatrix, *report; /* or NULL */
    const char *method, *quality; /* of tools/make_calib.h; or NULL */
    const char *calib;            /* a calib.h5 or a text; or NULL */
    const char *like;             /* types of tools/make_allocate.h: a recipe's bytes, or NULL */
    uint64_t target_size;         /* or of the file, or bits a weight; 0: not */
    double target_bpw;
    const char *types, *probe, *sensitivity; /* or NULL */
    const char *recipe_out, *check;          /* or NULL */
    double salient;  /* the part of the weights that is raised, in percent */
    bool sequential; /* tools/make_sequential.h */
    bool allow_requantize, allow_nan, dry_run, verify, no_table;
};

/* Does all of it, talking on stderr, with the table (or, with --json, the report) on stdout.
 * Fails with what the steps say; no file is left then. */
bool make_run(const struct make_options *options, struct session *session, struct err *err);

#endif
