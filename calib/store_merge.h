/* store_merge.h - several calibrations of one model into one, weighted by their tokens. */
#ifndef CALIB_STORE_MERGE_H
#define CALIB_STORE_MERGE_H

#include "formats/calib_store.h"

/* Writes `path` from one or more stores, with their Hessians unless importance alone is wanted.
 * Group by group, with a Hessian and a half in memory.  Fails with ERR_FORMAT (another model, other
 * groups, only some with Hessians: which and what), or as the reader and the writer do. */
bool store_merge(const struct calib_store *store, size_t stores, bool importance_only,
                 const char *path, bool force, struct err *err);

#endif
