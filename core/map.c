/* For madvise: posix_madvise of glibc keeps the pages. */
#define _DEFAULT_SOURCE /* NOLINT(bugprone-reserved-identifier) */
#include "core/map.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a clone without Git LFS has in place of a large file. */
static bool refuse_pointer(struct map *m, const char *path, struct err *err)
{
    static const char lfs[] = "version https://git-lfs.github.com/";
    if (m->size < sizeof lfs || memcmp(m->data, lfs, sizeof lfs - 1) != 0)
        return true;
    map_close(m);
    return err_set(err, ERR_FORMAT,
                   "%s: only a Git LFS pointer to the file; fetch it with 'git lfs pull'", path);
}

bool map_open(struct map *m, const char *path, struct err *err)
{
    *m = (struct map){0};
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return err_set(err, ERR_IO, "%s: cannot open: %s", path, strerror(errno));
    bool ok = false;
    struct stat st;
    if (fstat(fd, &st) != 0) {
        err_set(err, ERR_IO, "%s: cannot stat: %s", path, strerror(errno));
    } else if (!S_ISREG(st.st_mode)) {
        err_set(err, ERR_IO, "%s: not a regular file", path);
    } else if (st.st_size == 0) {
        ok = true;
    } else {
        void *p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
        ok = p != MAP_FAILED || err_set(err, ERR_IO, "%s: cannot map %lld bytes: %s", path,
                                        (long long)st.st_size, strerror(errno));
        if (ok)
            *m = (struct map){.data = p, .size = (size_t)st.st_size};
    }
    close(fd);
    return ok && refuse_pointer(m, path, err);
}

void map_close(struct map *m)
{
    void *base = NULL; /* the mapping without its const */
    memcpy(&base, &m->data, sizeof base);
    if (base)
        munmap(base, m->size);
    *m = (struct map){0};
}

void map_release(const struct map *m, const void *data, size_t size)
{
    const size_t page = (size_t)sysconf(_SC_PAGESIZE);
    const size_t offset = (size_t)((const uint8_t *)data - m->data);
    if (!m->data || offset > m->size || size > m->size - offset)
        return;
    const size_t from = (offset + page - 1) / page * page, to = (offset + size) / page * page;
    unsigned char *base = NULL;
    memcpy(&base, &m->data, sizeof base);
    if (to > from)
        madvise(base + from, to - from, MADV_DONTNEED);
}
