/* bench_codecs.h - `quern bench --codecs`: how fast each type is encoded and decoded. */
#ifndef TOOLS_BENCH_CODECS_H
#define TOOLS_BENCH_CODECS_H

#include "tools/session.h"

/* Measures the types of those names, or with none of them all that hold weights, and prints a table
 * or JSON.  Fails with ERR_USAGE (no type), ERR_MEMORY, ERR_STOPPED or ERR_IO. */
bool bench_codecs(struct session *s, char **name, size_t names, struct err *err);

#endif
