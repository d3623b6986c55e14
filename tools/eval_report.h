/* eval_report.h - what `quern eval` found, as a table or JSON. */
#ifndef TOOLS_EVAL_REPORT_H
#define TOOLS_EVAL_REPORT_H

#include "eval/divergence.h"
#include "eval/estimate.h"
#include "eval/windows.h"

struct eval_report {
    const char *model, *text;
    const char *against; /* NULL: the rest is of the model alone */
    const char *cache;   /* the type of keys and values */
    const struct windows *windows;
    struct estimate loss, perplexity;
    struct divergence divergence;
    double seconds;
};

/* Prints it on stdout.  Fails with ERR_IO or ERR_MEMORY. */
bool eval_report_print(const struct eval_report *r, bool json, struct err *err);

#endif
