/* stream_file.h - the residual stream of all windows, in a scratch file.
 *
 * Two files: a stage reads one and writes the other, so that a run that was killed within a stage
 * finds what it read as it was.  Memory is a window; the rest is the system's cache.
 */
#ifndef CALIB_STREAM_FILE_H
#define CALIB_STREAM_FILE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_file {
    char *path[2]; /* owned */
    int fd[2];
    uint64_t bytes; /* of each, when it is whole */
    bool open;
};

/* Opens folder/stream-0 and -1, making those that are not there.  Fails with ERR_IO or ERR_MEMORY. */
bool stream_file_open(struct stream_file *s, const char *folder, uint64_t bytes, struct err *err);

/* Is it there from an earlier run, as far as its size tells? */
bool stream_file_whole(const struct stream_file *s, size_t which);

/* Fail with ERR_IO. */
bool stream_file_read(const struct stream_file *s, size_t which, uint64_t offset, void *data,
                      size_t size, struct err *err);
bool stream_file_write(const struct stream_file *s, size_t which, uint64_t offset, const void *data,
                       size_t size, struct err *err);

/* What was written will be there after a crash. */
bool stream_file_sync(const struct stream_file *s, size_t which, struct err *err);

/* Closes the files, and removes them unless they are kept.  A zeroed one is allowed. */
void stream_file_close(struct stream_file *s, bool keep);

#endif
