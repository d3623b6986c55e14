/* resume.h - which tensors of a file in the making are done, on file beside it (OUT.resume).
 *
 * A text of one line, the key, and a record a tensor, in the order in which they were made: which
 * it is, and what became of it.  A record is added when the tensor's bytes are on the disk.  The
 * key is a hash of all that decides the bytes: a journal of another key counts for nothing.  One
 * writer at a time: the caller holds the output's lock (core/sink.h).
 */
#ifndef MODEL_RESUME_H
#define MODEL_RESUME_H

#include "core/err.h"
#include "core/hash.h"

#include <stdbool.h>
#include <stddef.h>

struct produce_result;

struct resume {
    char *path; /* owned */
    int fd;
    bool open;
};

enum resume_state {
    RESUME_NONE,  /* nothing is left of an earlier run */
    RESUME_OTHER, /* what is left is of other options */
    RESUME_SAME,
};

/* What lies beside `path`; *done: how many tensors.  Changes nothing. */
enum resume_state resume_look(const char *path, const char *key, size_t *done);

/* Opens the journal of `path`.  With `found`, reads the results of those of `items` tensors that are
 * done, which done[] says; else, and where the key is another, begins anew.  Fails with ERR_IO
 * or ERR_MEMORY. */
bool resume_open(struct resume *r, const char *path, const char *key, bool found,
                 struct produce_result *result, bool *done, size_t items, struct err *err);

/* Tensor `item` is done. */
bool resume_add(const struct resume *r, size_t item, const struct produce_result *result,
                struct err *err);

/* Closes it, and removes it unless it is kept.  A zeroed one is allowed. */
void resume_close(struct resume *r, bool keep);

#endif
