#include "calib/parts.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Of a stage; the caller frees it.  NULL without memory. */
static char *path_of(const struct parts *p, size_t stage)
{
    const size_t room = strlen(p->folder) + sizeof "/part-00000000000000000000.h5";
    char *path = malloc(room);
    if (path)
        snprintf(path, room, "%s/part-%05zu.h5", p->folder, stage);
    return path;
}

static bool no_memory(const struct parts *p, struct err *err)
{
    return err_set(err, ERR_MEMORY, "%s: no memory for a name", p->folder);
}

bool parts_open(struct parts *p, const char *path, const char *key, bool hessians, struct err *err)
{
    const size_t room = strlen(path) + sizeof ".work";
    *p = (struct parts){.hessians = hessians, .folder = malloc(room)};
    if (!p->folder)
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", path);
    snprintf(p->folder, room, "%s.work", path);
    snprintf(p->key, sizeof p->key, "%s", key);
    if (mkdir(p->folder, 0777) == 0 || errno == EEXIST)
        return true;
    err_set(err, ERR_IO, "%s: cannot create: %s", p->folder, strerror(errno));
    parts_close(p, true);
    return false;
}

/* Parts, perhaps half written, and streams (calib/stream_file.h): this run's and those of others
 * that were killed, which may have had more stages. */
static bool is_ours(const char *name)
{
    return strncmp(name, "part-", 5) == 0 || strncmp(name, "stream", 6) == 0;
}

static void empty_folder(const char *folder)
{
    DIR *d = opendir(folder);
    if (!d)
        return;
    for (const struct dirent *e; (e = readdir(d));)
        if (is_ours(e->d_name))
            unlinkat(dirfd(d), e->d_name, 0);
    closedir(d);
}

void parts_close(struct parts *p, bool keep)
{
    if (p->folder && !keep) {
        empty_folder(p->folder);
        rmdir(p->folder);
    }
    free(p->folder);
    *p = (struct parts){0};
}

bool parts_read(const struct parts *p, size_t stage, struct calib_store *part, struct err *err)
{
    char *path = path_of(p, stage);
    *part = (struct calib_store){0};
    if (!path)
        return no_memory(p, err);
    bool ok = calib_store_open(part, path, err);
    if (ok && strcmp(part->info.source, p->key) != 0) {
        calib_store_close(part);
        ok = err_set(err, ERR_FORMAT, "%s: is of another run", path);
    }
    free(path);
    return ok;
}

bool parts_have(const struct parts *p, size_t stage)
{
    struct calib_store part;
    const bool ok = parts_read(p, stage, &part, NULL);
    calib_store_close(&part);
    return ok;
}

bool parts_write(const struct parts *p, size_t stage, struct calib_writer *w, struct err *err)
{
    const struct calib_info info = {"", "", "", p->key, "", "", "", NULL, 0, 0, 0, 0, p->hessians};
    char *path = path_of(p, stage);
    const bool ok = path ? calib_writer_open(w, path, true, &info, err) : no_memory(p, err);
    free(path);
    return ok;
}

void parts_remove(const struct parts *p, size_t stage)
{
    char *path = path_of(p, stage);
    if (path)
        unlink(path);
    free(path);
}
