/* recipe_override.h - "REGEX=TYPE": the person's own word on some tensors. */
#ifndef MODEL_RECIPE_OVERRIDE_H
#define MODEL_RECIPE_OVERRIDE_H

#include "core/dtype.h"
#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>

/* A type that tensors can be stored in, by name in any case.  NULL with ERR_USAGE: `what` (the
 * option it came from), the known names, and the nearest. */
const struct dtype *recipe_dtype_find(const char *what, const char *name, struct err *err);

struct recipe_override; /* a compiled regex */

struct recipe_overrides {
    struct recipe_override *one;
    size_t count;
};

/* Compiles them; the texts must outlive the struct.  Fails with ERR_USAGE or ERR_MEMORY. */
bool recipe_overrides_open(struct recipe_overrides *o, const char *const *text, size_t count,
                           struct err *err);
void recipe_overrides_close(struct recipe_overrides *o);

/* The type by the first that matches somewhere in the name, or NULL. */
const struct dtype *recipe_overrides_find(struct recipe_overrides *o, const char *name);

/* True where each matched one of the names asked so far; else ERR_USAGE names it. */
bool recipe_overrides_all_used(const struct recipe_overrides *o, struct err *err);

#endif
