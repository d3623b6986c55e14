/* names.h - tensor names with numbers in them, and their order. */
#ifndef MODEL_NAMES_H
#define MODEL_NAMES_H

#include <stdbool.h>
#include <stdint.h>

enum { NAME_MAX_TEXT = 256 };

/* Does `name` read as `pattern`, where %d stands for a decimal number?  *number is set to it, or
 * to -1 where the pattern has none. */
bool name_match(const char *pattern, const char *name, int64_t *number);

/* `pattern` with %d replaced; returns text, cut where it is too long. */
const char *name_fill(char text[NAME_MAX_TEXT], const char *pattern, int64_t number);

/* The layer of a GGUF name, "blk.%d.", or -1. */
int64_t name_layer(const char *name);

/* The order of tensors in a file: by layer, then by name (strcmp's result). */
int name_compare(const char *a, const char *b);

#endif
