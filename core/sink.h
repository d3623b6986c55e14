/* sink.h - a file that appears whole or not at all.
 *
 * Bytes go to PATH.tmp beside the target; sink_commit fsyncs and renames it;
 * sink_close without a commit removes it.  A lock on the temporary keeps two runs
 * from writing the same target.  sink_write_at may be called from many
 * threads at once; the rest from one.
 */
#ifndef CORE_SINK_H
#define CORE_SINK_H

#include "core/err.h"

#include <stddef.h>
#include <stdint.h>

struct sink {
    char *path, *temporary; /* owned */
    bool open;              /* fd is, and the temporary file is ours */
    int fd;
    uint64_t end; /* where sink_write appends */
};

/* False (ERR_USAGE) where `path` exists and `force` is not set, or is no regular file. */
bool sink_allowed(const char *path, bool force, struct err *err);

/* Starts a file for `path`, if sink_allowed.
 * `expected` bytes (0: not known) must be free on the file system: ERR_IO if not. */
bool sink_open(struct sink *s, const char *path, bool force, uint64_t expected, struct err *err);

/* The same, but goes on with what sink_leave left, or a run that was killed: *found says that this
 * has `expected` bytes, as the temporary has from now on; where it is false they are zeros. */
bool sink_resume(struct sink *s, const char *path, bool force, uint64_t expected, bool *found,
                 struct err *err);

/* Appends. */
bool sink_write(struct sink *s, const void *data, size_t size, struct err *err);

/* Zero bytes up to the next multiple of `alignment`. */
bool sink_pad(struct sink *s, size_t alignment, struct err *err);

/* Writes at a place of its own; `end` is not moved.  What lies well before it will not be written
 * again: now and then the system is told to begin to bring that to the disk, so that the commit
 * has less to wait for. */
bool sink_write_at(const struct sink *s, uint64_t offset, const void *data, size_t size,
                   struct err *err);

/* What was written survives a crash. */
bool sink_sync(const struct sink *s, struct err *err);

/* Makes the file appear under its name and closes the sink. */
bool sink_commit(struct sink *s, struct err *err);

/* Gives up what was not committed; a zeroed or closed sink is allowed. */
void sink_close(struct sink *s);

/* The same, but the temporary stays for sink_resume. */
void sink_leave(struct sink *s);

#endif
