#include "calib/stream_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

bool stream_file_open(struct stream_file *s, const char *folder, const char *name, uint64_t bytes,
                      struct err *err)
{
    const size_t room = strlen(folder) + strlen(name) + sizeof "/";
    *s = (struct stream_file){.bytes = bytes, .fd = -1, .path = malloc(room)};
    if (!s->path)
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", folder);
    snprintf(s->path, room, "%s/%s", folder, name);
    s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->fd >= 0)
        return true;
    err_set(err, ERR_IO, "%s: cannot create: %s", s->path, strerror(errno));
    stream_file_close(s, true);
    return false;
}

bool stream_file_whole(const struct stream_file *s)
{
    struct stat st;
    return fstat(s->fd, &st) == 0 && (uint64_t)st.st_size == s->bytes;
}

bool stream_file_read(const struct stream_file *s, uint64_t offset, void *data, size_t size,
                      struct err *err)
{
    char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(s->fd, p + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_IO, "%s: cannot read %zu bytes at %" PRIu64 ": %s", s->path,
                           size - done, offset + done, n < 0 ? strerror(errno) : "the file ends");
        done += (size_t)n;
    }
    return true;
}

bool stream_file_write(const struct stream_file *s, uint64_t offset, const void *data, size_t size,
                       struct err *err)
{
    const char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(s->fd, p + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_IO, "%s: cannot write %zu bytes at %" PRIu64 ": %s", s->path,
                           size - done, offset + done, n < 0 ? strerror(errno) : "disk full");
        done += (size_t)n;
    }
    return true;
}

bool stream_file_sync(const struct stream_file *s, struct err *err)
{
    return fdatasync(s->fd) == 0 ||
           err_set(err, ERR_IO, "%s: cannot sync: %s", s->path, strerror(errno));
}

void stream_file_close(struct stream_file *s, bool keep)
{
    if (s->path && s->fd >= 0)
        close(s->fd);
    if (s->path && !keep)
        unlink(s->path);
    free(s->path);
    *s = (struct stream_file){0};
}
