#include "model/resume.h"

#include "model/produce.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { KEY_BYTES = HASH_TEXT }; /* with a newline for its NUL */

struct record {
    uint64_t item;
    struct produce_result result;
};

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
static size_t count_records(int fd)
{
    const off_t end = lseek(fd, 0, SEEK_END);
    return end > KEY_BYTES ? (size_t)(end - KEY_BYTES) / sizeof(struct record) : 0;
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
        *done = count_records(fd);
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

/* Those of tensors that there are; the first that is none ends the journal. */
static bool read_records(const struct resume *r, struct produce_result *result, bool *done,
                         size_t items, struct err *err)
{
    const size_t records = count_records(r->fd);
    struct record one;
    size_t n = 0;
    for (; n < records; n++) {
        if (pread(r->fd, &one, sizeof one, (off_t)(KEY_BYTES + n * sizeof one)) !=
            (ssize_t)sizeof one)
            return err_set(err, ERR_IO, "%s: cannot read: %s", r->path, strerror(errno));
        if (one.item >= items)
            break;
        result[one.item] = one.result;
        done[one.item] = true;
    }
    return (ftruncate(r->fd, (off_t)(KEY_BYTES + n * sizeof one)) == 0 &&
            lseek(r->fd, 0, SEEK_END) >= 0) ||
           err_set(err, ERR_IO, "%s: cannot cut: %s", r->path, strerror(errno));
}

bool resume_open(struct resume *r, const char *path, const char *key, bool found,
                 struct produce_result *result, bool *done, size_t items, struct err *err)
{
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
        return read_records(r, result, done, items, err);
    return begin(r, key, err);
}

bool resume_add(const struct resume *r, size_t item, const struct produce_result *result,
                struct err *err)
{
    const struct record one = {item, *result};
    return write_all(r, &one, sizeof one, err);
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
