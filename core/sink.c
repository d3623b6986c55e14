#include "core/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

enum { SETTLE_BYTES = 4 << 20 };

/* The folder of `path`, in a buffer that the caller frees. */
static char *folder_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (!slash)
        return strdup(".");
    return strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

static bool check_room(const char *path, uint64_t expected, struct err *err)
{
    char *folder = folder_of(path);
    struct statvfs fs;
    bool ok = true;
    if (folder && statvfs(folder, &fs) == 0) {
        const uint64_t room = (uint64_t)fs.f_bavail * fs.f_frsize;
        ok = expected <= room ||
             err_set(err, ERR_IO, "%s: needs %.1f MiB, its file system has %.1f MiB free", path,
                     (double)expected / 1048576, (double)room / 1048576);
    }
    free(folder);
    return ok;
}

/* One writer at a time: the lock goes with the descriptor. */
static bool lock_temporary(struct sink *s, struct err *err)
{
    struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    struct stat held, named;
    const bool locked = fcntl(s->fd, F_SETLK, &whole) == 0 || (errno != EACCES && errno != EAGAIN);
    /* It may have been renamed, finished, between the open and the lock. */
    if (!locked || fstat(s->fd, &held) != 0 || stat(s->temporary, &named) != 0 ||
        held.st_ino != named.st_ino || held.st_dev != named.st_dev) {
        close(s->fd); /* the file is another's: leave it */
        s->open = false;
        return err_set(err, ERR_IO, "%s: another run is writing it", s->path);
    }
    return true;
}

static bool set_size(const struct sink *s, uint64_t bytes, struct err *err)
{
    return ftruncate(s->fd, (off_t)bytes) == 0 ||
           err_set(err, ERR_IO, "%s: cannot make it %" PRIu64 " bytes: %s", s->temporary, bytes,
                   strerror(errno));
}

bool sink_allowed(const char *path, bool force, struct err *err)
{
    struct stat st;
    if (stat(path, &st) != 0)
        return true;
    if (!S_ISREG(st.st_mode))
        return err_set(err, ERR_USAGE, "%s: exists and is not a regular file", path);
    return force || err_set(err, ERR_USAGE, "%s: exists already; --force overwrites it", path);
}

/* Opens and locks the temporary file. */
static bool open_temporary(struct sink *s, struct err *err)
{
    s->fd = open(s->temporary, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (s->fd < 0)
        return err_set(err, ERR_IO, "%s: cannot create: %s", s->temporary, strerror(errno));
    s->open = true;
    return lock_temporary(s, err);
}

/* With the temporary as it was left. */
static bool open_sink(struct sink *s, const char *path, bool force, uint64_t expected,
                      struct err *err)
{
    const size_t room = strlen(path) + sizeof ".tmp";
    *s = (struct sink){.path = strdup(path), .temporary = malloc(room)};
    if (!s->path || !s->temporary)
        return err_set(err, ERR_MEMORY, "%s: no memory for its name", path);
    snprintf(s->temporary, room, "%s.tmp", path);
    return sink_allowed(path, force, err) && check_room(path, expected, err) &&
           open_temporary(s, err);
}

bool sink_open(struct sink *s, const char *path, bool force, uint64_t expected, struct err *err)
{
    const bool ok = open_sink(s, path, force, expected, err) && set_size(s, 0, err);
    if (!ok)
        sink_close(s);
    return ok;
}

bool sink_resume(struct sink *s, const char *path, bool force, uint64_t expected, bool *found,
                 struct err *err)
{
    struct stat st;
    bool ok = open_sink(s, path, force, expected, err);
    *found = ok && fstat(s->fd, &st) == 0 && (uint64_t)st.st_size == expected;
    ok = ok && (*found || (set_size(s, 0, err) && set_size(s, expected, err)));
    if (!ok)
        sink_close(s);
    return ok;
}

/* Once a piece passes the end of a stretch, no thread is likely to be still at the one before. */
static void settle(const struct sink *s, uint64_t from, uint64_t to)
{
    const uint64_t stretch = to / SETTLE_BYTES;
    if (stretch > from / SETTLE_BYTES && stretch > 1)
        posix_fadvise(s->fd, (off_t)((stretch - 2) * SETTLE_BYTES), SETTLE_BYTES,
                      POSIX_FADV_DONTNEED);
}

bool sink_write_at(const struct sink *s, uint64_t offset, const void *data, size_t size,
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
    settle(s, offset, offset + size);
    return true;
}

bool sink_write(struct sink *s, const void *data, size_t size, struct err *err)
{
    if (!sink_write_at(s, s->end, data, size, err))
        return false;
    s->end += size;
    return true;
}

bool sink_pad(struct sink *s, size_t alignment, struct err *err)
{
    static const char zeros[256];
    size_t left = (size_t)((alignment - s->end % alignment) % alignment);
    while (left > 0) {
        const size_t n = left < sizeof zeros ? left : sizeof zeros;
        if (!sink_write(s, zeros, n, err))
            return false;
        left -= n;
    }
    return true;
}

/* The new name must survive a crash as well. */
static void sync_folder(const char *path)
{
    char *folder = folder_of(path);
    const int fd = folder ? open(folder, O_RDONLY | O_CLOEXEC) : -1;
    if (fd >= 0) {
        fsync(fd);
        close(fd);
    }
    free(folder);
}

bool sink_sync(const struct sink *s, struct err *err)
{
    return fdatasync(s->fd) == 0 ||
           err_set(err, ERR_IO, "%s: cannot sync: %s", s->path, strerror(errno));
}

bool sink_commit(struct sink *s, struct err *err)
{
    if (fsync(s->fd) != 0)
        return err_set(err, ERR_IO, "%s: cannot sync: %s", s->path, strerror(errno));
    if (rename(s->temporary, s->path) != 0)
        return err_set(err, ERR_IO, "%s: cannot rename to %s: %s", s->temporary, s->path,
                       strerror(errno));
    sync_folder(s->path);
    s->open = false;
    const bool closed =
        close(s->fd) == 0 || err_set(err, ERR_IO, "%s: cannot close: %s", s->path, strerror(errno));
    sink_close(s);
    return closed;
}

void sink_close(struct sink *s)
{
    if (s->temporary && s->open) {
        unlink(s->temporary); /* before the lock goes with the descriptor */
        close(s->fd);
    }
    free(s->temporary);
    free(s->path);
    *s = (struct sink){0};
}

void sink_leave(struct sink *s)
{
    if (s->open)
        close(s->fd);
    s->open = false;
    sink_close(s);
}
