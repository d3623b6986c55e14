/* verify_report.h - is a GGUF what its source says?  Opens, compares, prints. */
#ifndef TOOLS_VERIFY_REPORT_H
#define TOOLS_VERIFY_REPORT_H

#include "core/json.h"
#include "eval/verify.h"
#include "tools/session.h"

/* What a whole file came to, over all its tensors. */
struct verify_total {
    size_t count[VERIFY_EXTRA + 1];    /* tensors of each status */
    uint64_t weights, bytes;           /* of the tensors' data */
    struct error_sums sums;            /* of those that lost something */
    struct error_sums all;             /* of all that were compared */
    const struct verify_result *worst; /* lowest SNR of the quantized, or NULL */
    const struct verify_result *bad;   /* the first that is not good, or NULL */
};

struct verify_total verify_total(const struct verify_result *result, size_t results);

/* Opens the file that is to be compared: checkpoint_open, and ERR_USAGE where it is no GGUF. */
bool verify_open(struct checkpoint *file, const char *path, struct err *err);

/* Compares the GGUF at `path` with the plan and prints a table (not with no_table), or JSON, and a
 * line of totals.  Where `report` is not NULL, *report gets the JSON (the caller json_decref()s
 * it) and none is printed.  Fails with ERR_FORMAT where a tensor is not what it should be, and
 * with what opening and comparing say. */
bool verify_report_run(const struct plan *plan, const char *path, bool no_table, struct session *s,
                       json_t **report, struct err *err);

#endif
