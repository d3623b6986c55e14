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

static bool open_one(struct stream_file *s, size_t which, const char *folder, struct err *err)
{
    const size_t room = strlen(folder) + sizeof "/stream-0";
    s->path[which] = malloc(room);
    if (!s->path[which])
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", folder);
    snprintf(s->path[which], room, "%s/stream-%zu", folder, which);
    s->fd[which] = open(s->path[which], O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    return s->fd[which] >= 0 ||
           err_set(err, ERR_IO, "%s: cannot create: %s", s->path[which], strerror(errno));
}

bool stream_file_open(struct stream_file *s, const char *folder, uint64_t bytes, struct err *err)
{
    *s = (struct stream_file){.fd = {-1, -1}, .bytes = bytes, .open = true};
    if (open_one(s, 0, folder, err) && open_one(s, 1, folder, err))
        return true;
    stream_file_close(s, true);
    return false;
}

bool stream_file_whole(const struct stream_file *s, size_t which)
{
    struct stat st;
    return fstat(s->fd[which], &st) == 0 && (uint64_t)st.st_size == s->bytes;
}

bool stream_file_read(const struct stream_file *s, size_t which, uint64_t offset, void *data,
                      size_t size, struct err *err)
{
    char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pread(s->fd[which], p + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_IO, "%s: cannot read %zu bytes at %" PRIu64 ": %s",
                           s->path[which], size - done, offset + done,
                           n < 0 ? strerror(errno) : "the file ends");
        done += (size_t)n;
    }
    return true;
}

bool stream_file_write(const struct stream_file *s, size_t which, uint64_t offset, const void *data,
                       size_t size, struct err *err)
{
    const char *p = data;
    for (size_t done = 0; done < size;) {
        const ssize_t n = pwrite(s->fd[which], p + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return err_set(err, ERR_IO, "%s: cannot write %zu bytes at %" PRIu64 ": %s",
                           s->path[which], size - done, offset + done,
                           n < 0 ? strerror(errno) : "disk full");
        done += (size_t)n;
    }
    return true;
}

bool stream_file_sync(const struct stream_file *s, size_t which, struct err *err)
{
    return fdatasync(s->fd[which]) == 0 ||
           err_set(err, ERR_IO, "%s: cannot sync: %s", s->path[which], strerror(errno));
}

void stream_file_close(struct stream_file *s, bool keep)
{
    for (size_t i = 0; s->open && i < 2; i++) {
        if (s->fd[i] >= 0)
            close(s->fd[i]);
        if (s->path[i] && !keep)
            unlink(s->path[i]);
        free(s->path[i]);
    }
    *s = (struct stream_file){0};
}
