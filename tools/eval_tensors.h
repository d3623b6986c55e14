/* eval_tensors.h - the error of every tensor of a GGUF against its source, whatever made it. */
#ifndef TOOLS_EVAL_TENSORS_H
#define TOOLS_EVAL_TENSORS_H

#include "core/json.h"
#include "eval/verify.h"
#include "tools/session.h"

struct eval_tensors {
    struct checkpoint file, source; /* stay open while the results point into them */
    struct plan plan;
    struct verify_result *result;
    size_t results;
};

/* Compares the GGUF `file` with `source`: a folder, a GGUF.  Fails with what opening and comparing
 * say, and ERR_FORMAT (they have nothing in common); a zeroed or half open *t may be closed. */
bool eval_tensors_open(struct eval_tensors *t, const char *file, const char *source,
                       struct session *s, struct err *err);
void eval_tensors_close(struct eval_tensors *t);

/* A table on stdout.  Fails with ERR_IO or ERR_MEMORY. */
bool eval_tensors_print(const struct eval_tensors *t, struct err *err);

/* Adds "tensors", and "all_tensors": the figures over all weights. */
void eval_tensors_json(const struct eval_tensors *t, json_t *to);

#endif
