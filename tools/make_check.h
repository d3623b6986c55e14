/* make_check.h - the file that was made beside its source, on a text: --check. */
#ifndef TOOLS_MAKE_CHECK_H
#define TOOLS_MAKE_CHECK_H

#include "core/json.h"
#include "tools/make.h"

/* Runs both as `quern eval OUT --against SOURCE -f TEXT` does, says the divergence, and gives it as
 * JSON (the caller's).  Fails with what opening and running them says. */
bool make_check(const struct make_options *o, struct session *s, json_t **report, struct err *err);

#endif
