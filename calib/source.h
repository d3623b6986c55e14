/* source.h - a model in any container, opened to be run.
 *
 * A GGUF runs as it is.  Anything else is first converted, without loss, into a file that the caller
 * names and owns; one that an earlier run left there is used where it was made of the same source.
 */
#ifndef CALIB_SOURCE_H
#define CALIB_SOURCE_H

#include "calib/identity.h"
#include "core/pool.h"
#include "core/progress.h"
#include "model/plan.h"
#include "model/weights.h"

struct source {
    struct checkpoint given, converted;
    struct plan plan;
    char sha256[HASH_TEXT]; /* identity_source, identity_model */
    char model[HASH_TEXT];
    struct weights weights; /* of the one that runs, when source_ready was there */
};

/* Reads what the source says of itself.  Fails with what checkpoint_open and plan_open say; *s is
 * then closed. */
bool source_open(struct source *s, const char *path, const struct kernels *k, struct err *err);

/* Makes it run; `converted` is not looked at where it is a GGUF.  Fails with what weights_open and
 * produce_gguf say. */
bool source_ready(struct source *s, const char *converted, const struct kernels *k,
                  struct pool *pool, struct progress *progress, struct err *err);
void source_close(struct source *s);

#endif
