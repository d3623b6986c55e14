/* json.h - jansson with our errors: load a file, ask for a member. */
#ifndef CORE_JSON_H
#define CORE_JSON_H

#include "core/err.h"

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

/* Loads a whole file; the caller json_decref()s it.  NULs inside strings are kept.
 * Returns NULL with ERR_IO or ERR_FORMAT naming path, line and column. */
json_t *json_open(const char *path, struct err *err);

/* The same for a file whose integers may be longer than 64 bits (tokenizer_config.json
 * says model_max_length = 10^30): every number comes as a real. */
json_t *json_open_reals(const char *path, struct err *err);

/* json_open from memory; `name` stands for the path. */
json_t *json_parse(const char *name, const void *data, size_t size, struct err *err);

/* json_parse, but a member named twice in an object is an error. */
json_t *json_parse_unique(const char *name, const void *data, size_t size, struct err *err);

/* Writes to `path` as a whole (core/sink.h), indented.  Fails with ERR_IO. */
bool json_save(const json_t *root, const char *path, bool force, struct err *err);

#endif
