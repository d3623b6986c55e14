/* make_report.h - what became of each tensor: the table after convert and quantize. */
#ifndef TOOLS_MAKE_REPORT_H
#define TOOLS_MAKE_REPORT_H

#include "model/produce.h"
#include "model/recipe.h"
#include "tools/make.h"

struct make_report {
    const struct make_options *options;
    const struct plan *plan;
    const struct recipe_choice *choice; /* one a tensor of the plan, as are the results */
    const struct recipe_census *census;
    const struct produce_result *result;
    uint64_t bytes; /* of the file */
    double seconds;
};

/* Prints the table (or with --json the report) on stdout, and writes options->report.
 * Fails with ERR_IO or ERR_MEMORY. */
bool make_report_print(const struct make_report *r, const struct session *s, struct err *err);

#endif
