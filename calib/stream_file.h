/* stream_file.h - what is known of all windows between two stages of a long run, in a scratch file.
 *
 * A stage reads at one place and writes at another, so that a run that was killed within a stage
 * finds what it read as it was.  Memory is a window; the rest is the system's cache.
 */
#ifndef CALIB_STREAM_FILE_H
#define CALIB_STREAM_FILE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct stream_file {
    char *path; /* owned; NULL: closed */
    int fd;
    uint64_t bytes; /* when it is whole */
};

/* Opens folder/name, making it if it is not there.  Fails with ERR_IO or ERR_MEMORY. */
bool stream_file_open(struct stream_file *s, const char *folder, const char *name, uint64_t bytes,
                      struct err *err);

/* Is it there from an earlier run, as far as its size tells? */
bool stream_file_whole(const struct stream_file *s);

/* Fail with ERR_IO. */
bool stream_file_read(const struct stream_file *s, uint64_t offset, void *data, size_t size,
                      struct err *err);
bool stream_file_write(const struct stream_file *s, uint64_t offset, const void *data, size_t size,
                       struct err *err);

/* What was written will be there after a crash. */
bool stream_file_sync(const struct stream_file *s, struct err *err);

/* Closes the file, and removes it unless it is kept.  A zeroed one is allowed. */
void stream_file_close(struct stream_file *s, bool keep);

#endif
