/* plan_general.h - what a GGUF says of the model as a whole: the general.* keys. */
#ifndef MODEL_PLAN_GENERAL_H
#define MODEL_PLAN_GENERAL_H

#include "model/plan.h"

/* Sets them in p->meta from the plan's architecture and tensors, the model card (README.md) and
 * the folder's name; `name` comes before all of them where it is not NULL.  Fails with ERR_FORMAT
 * (a name that is not UTF-8), ERR_IO. */
bool plan_set_general(struct plan *p, const char *name, struct err *err);

enum { SIZE_LABEL_MAX = 16 };

/* "5.8M", "7.2B", "70B": two digits at least, as the GGUF naming convention has it. */
const char *plan_size_label(char text[SIZE_LABEL_MAX], uint64_t parameters);

#endif
