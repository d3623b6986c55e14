/* parts.h - what a long run has done so far, on file beside its output: a folder OUT.work.
 *
 * Stage by stage the groups of inputs that it summed up, each a calib.h5 of its own
 * (part-00003.h5) that has the run's key: a hash of all that its result depends on.  A part of
 * another key is none.  The folder also has the run's scratch files (calib/stream_file.h).
 */
#ifndef CALIB_PARTS_H
#define CALIB_PARTS_H

#include "core/hash.h"
#include "formats/calib_store.h"

struct parts {
    char *folder; /* owned */
    char key[HASH_TEXT];
    bool hessians; /* or importance alone */
};

/* Makes the folder of `path`, or finds it.  Fails with ERR_IO or ERR_MEMORY. */
bool parts_open(struct parts *p, const char *path, const char *key, bool hessians, struct err *err);

/* Removes the folder unless it is kept, with all that runs leave in it: another's, too. */
void parts_close(struct parts *p, bool keep);

/* Opens a part for reading.  Fails as calib_store_open does, and with ERR_FORMAT (another run's). */
bool parts_read(const struct parts *p, size_t stage, struct calib_store *part, struct err *err);

/* Is it there? */
bool parts_have(const struct parts *p, size_t stage);

/* Starts a part. */
bool parts_write(const struct parts *p, size_t stage, struct calib_writer *w, struct err *err);

void parts_remove(const struct parts *p, size_t stage);

#endif
