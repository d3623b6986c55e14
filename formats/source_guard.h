/* source_guard.h - an output never takes the place of what it is made from.
 *
 * Files are told apart by device and inode, so that another name, a link or OUT.tmp being a
 * source is seen, too.  Asked before an output is opened, also with --force.
 */
#ifndef FORMATS_SOURCE_GUARD_H
#define FORMATS_SOURCE_GUARD_H

#include "formats/checkpoint.h"

/* True where neither `out` nor its temporary (core/sink.h) is the file `in`; else ERR_USAGE. */
bool source_guard_file(const char *in, const char *out, struct err *err);

/* The same for every file of the checkpoint: weights, and what lies in a model folder beside
 * them, GGUF files apart. */
bool source_guard(const struct checkpoint *c, const char *out, struct err *err);

/* Both, for all that is written: none of it is in the checkpoint, nor what else is read.  NULL
 * among the names is none. */
bool source_guard_all(const struct checkpoint *c, const char *const *in, size_t ins,
                      const char *const *out, size_t outs, struct err *err);

#endif
