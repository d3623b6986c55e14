/* make_report.h - what became of each tensor: the table after convert and quantize. */
#ifndef TOOLS_MAKE_REPORT_H
#define TOOLS_MAKE_REPORT_H

#include "core/json.h"
#include "model/produce.h"
#include "model/recipe.h"
#include "tools/make.h"

struct make_report {
    const struct make_options *options;
    const struct plan *plan;
    const struct recipe_choice *choice; /* one a tensor of the plan, as are the results */
    const struct recipe_census *census;
    const struct produce_result *result;
    const struct produce_item *item; /* what they were made with */
    const char *method;              /* "gptq, best", of the items that have an encoder */
    json_t *allocation;              /* of tools/make_allocate.h, or NULL; the caller's */
    uint64_t bytes;                  /* of the file */
    double seconds;                  /* of the whole work */
    json_t *checked;                 /* what --check found, or NULL; the caller's */
    json_t *verified;                /* what verifying said, or NULL; the caller's */
};

/* Prints the table on stdout.  Fails with ERR_IO or ERR_MEMORY. */
bool make_report_print(const struct make_report *r, struct err *err);

/* The same as JSON: to options->report where that is set, and with --json on stdout.  Of a dry run
 * it has the types alone. */
bool make_report_json(const struct make_report *r, const struct session *s, struct err *err);

#endif
