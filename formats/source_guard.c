#include "formats/source_guard.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

enum { PATH_ROOM = 4096 };

static bool same(const struct stat *in, const char *path)
{
    struct stat out;
    return stat(path, &out) == 0 && in->st_dev == out.st_dev && in->st_ino == out.st_ino;
}

bool source_guard_file(const char *in, const char *out, struct err *err)
{
    char temporary[PATH_ROOM];
    struct stat st;
    if (stat(in, &st) != 0)
        return true;
    if (same(&st, out))
        return err_set(err, ERR_USAGE, "%s: is the source file %s; write to another name", out, in);
    const int n = snprintf(temporary, sizeof temporary, "%s.tmp", out);
    if (n > 0 && n < PATH_ROOM && same(&st, temporary))
        return err_set(err, ERR_USAGE,
                       "%s: its temporary file would be the source %s; write to another name", out,
                       in);
    return true;
}

static bool guards(const char *name)
{
    const char *suffix = strrchr(name, '.');
    return suffix && strcmp(suffix, ".gguf") != 0 && name[0] != '.';
}

/* config.json, the tokenizer's files, the index: a folder is guarded whole, but for earlier
 * outputs. */
static bool guard_folder(const char *folder, const char *out, struct err *err)
{
    char path[PATH_ROOM];
    bool ok = true;
    DIR *d = opendir(folder);
    if (!d)
        return true;
    for (const struct dirent *e; ok && (e = readdir(d));) {
        const int n =
            guards(e->d_name) ? snprintf(path, sizeof path, "%s/%s", folder, e->d_name) : 0;
        if (n > 0 && n < PATH_ROOM)
            ok = source_guard_file(path, out, err);
    }
    closedir(d);
    return ok;
}

bool source_guard(const struct checkpoint *c, const char *out, struct err *err)
{
    for (size_t i = 0; i < c->maps; i++)
        if (!source_guard_file(c->file[i], out, err))
            return false;
    return !c->config || guard_folder(c->folder, out, err);
}

bool source_guard_all(const struct checkpoint *c, const char *const *in, size_t ins,
                      const char *const *out, size_t outs, struct err *err)
{
    for (size_t o = 0; o < outs; o++) {
        if (!out[o])
            continue;
        if (!source_guard(c, out[o], err))
            return false;
        for (size_t i = 0; i < ins; i++)
            if (in[i] && !source_guard_file(in[i], out[o], err))
                return false;
    }
    return true;
}
