/* eval_report.h - what `quern eval` found, as a table or JSON. */
#ifndef TOOLS_EVAL_REPORT_H
#define TOOLS_EVAL_REPORT_H

#include "eval/divergence.h"
#include "eval/estimate.h"
#include "eval/windows.h"
#include "tools/eval_tensors.h"

struct eval_report {
    const char *model;
    const char *against; /* NULL: all is of the model alone */
    const char *text;    /* NULL: only `tensors` */
    const char *cache;   /* the type of keys and values */
    const struct windows *windows;
    struct estimate loss, perplexity;
    struct divergence divergence;
    struct estimate noise; /* divergence of the source from itself in other arithmetic */
    bool noise_known;
    double seconds;
    const struct estimate *layer; /* layers + 1, see layers_compare; NULL: not asked for */
    size_t layers;
    const struct eval_tensors *tensors; /* NULL: not asked for */
};

/* Prints what there is on stdout.  Fails with ERR_IO or ERR_MEMORY. */
bool eval_report_print(const struct eval_report *r, bool json, struct err *err);

#endif
