#include "model/resume.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = HASH_TEXT }; /* with a newline for its NUL */

static char *journal_path(const char *path)
{
    const size_t room = strlen(path) + sizeof ".resume";
    char *text = malloc(room);
    if (text)
        snprintf(text, room, "%s.resume", path);
    return text;
}

/* Is the key at the front of the file? */
static enum resume_state read_key(int fd, const char *key)
{
    char own[KEY_BYTES];
    if (pread(fd, own, sizeof own, 0) != (ssize_t)sizeof own)
        return RESUME_NONE;
    return memcmp(own, key, sizeof own - 1) == 0 ? RESUME_SAME : RESUME_OTHER;
}

/* Whole records alone: one that was cut short does not count. */
static size_t count_records(int fd, size_t most)
{
    const off_t end = lseek(fd, 0, SEEK_END);
    const size_t records =
        end > KEY_BYTES ? (size_t)(end - KEY_BYTES) / sizeof(struct produce_result) : 0;
    return records < most ? records : most;
}

enum resume_state resume_look(const char *path, const char *key, size_t *done)
{
    char *name = journal_path(path);
    const int fd = name ? open(name, O_RDONLY | O_CLOEXEC) : -1;
    enum resume_state state = RESUME_NONE;
    *done = 0;
    free(name);
    if (fd < 0)
        return state;
    state = read_key(fd, key);
    if (state == RESUME_SAME)
        *done = count_records(fd, SIZE_MAX);
    close(fd);
    return state;
}

static bool write_all(const struct resume *r, const void *data, size_t size, struct err *err)
{
    return (write(r->fd, data, size) == (ssize_t)size && fdatasync(r->fd) == 0) ||
           err_set(err, ERR_IO, "%s: cannot write %zu bytes: %s", r->path, size, strerror(errno));
}

static bool begin(const struct resume *r, const char *key, struct err *err)
{
    char line[KEY_BYTES];
    memcpy(line, key, sizeof line - 1);
    line[sizeof line - 1] = '\n';
    if (ftruncate(r->fd, 0) != 0 || lseek(r->fd, 0, SEEK_SET) != 0)
        return err_set(err, ERR_IO, "%s: cannot empty: %s", r->path, strerror(errno));
    return write_all(r, line, sizeof line, err);
}

static bool read_records(const struct resume *r, struct produce_result *result, size_t items,
                         size_t *done, struct err *err)
{
    *done = count_records(r->fd, items);
    const size_t bytes = *done * sizeof *result;
    if (pread(r->fd, result, bytes, KEY_BYTES) != (ssize_t)bytes ||
        ftruncate(r->fd, (off_t)(KEY_BYTES + bytes)) != 0 || lseek(r->fd, 0, SEEK_END) < 0)
        return err_set(err, ERR_IO, "%s: cannot read: %s", r->path, strerror(errno));
    return true;
}

bool resume_open(struct resume *r, const char *path, const char *key, bool found,
                 struct produce_result *result, size_t items, size_t *done, struct err *err)
{
    *done = 0;
    *r = (struct resume){.path = journal_path(path)};
    if (!r->path)
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", path);
    r->fd = open(r->path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (r->fd < 0) {
        err_set(err, ERR_IO, "%s: cannot create: %s", r->path, strerror(errno));
        resume_close(r, true);
        return false;
    }
    r->open = true;
    if (found && read_key(r->fd, key) == RESUME_SAME)
        return read_records(r, result, items, done, err);
    return begin(r, key, err);
}

bool resume_add(const struct resume *r, const struct produce_result *result, struct err *err)
{
    return write_all(r, result, sizeof *result, err);
}

void resume_close(struct resume *r, bool keep)
{
    if (r->open) {
        close(r->fd);
        if (!keep)
            unlink(r->path);
    }
    free(r->path);
    *r = (struct resume){0};
}
