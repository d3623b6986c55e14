#include "tools/command.h"

#include "formats/gguf_split.h"
#include "tools/session.h"

#include <stdio.h>
#include <string.h>

static bool merge(const char *path, const char *out, struct session *s, struct err *err)
{
    struct checkpoint c = {0};
    bool ok = checkpoint_open(&c, path, err);
    if (ok && strcmp(c.container->name, "GGUF") != 0)
        ok = err_set(err, ERR_USAGE, "%s: is %s; only GGUF files are merged", path,
                     c.container->name);
    ok = ok && gguf_merge_write(&c, out, s->common.force, &s->progress.base, err);
    if (ok)
        session_say(s, "%s: %zu tensors from %zu files\n", out, c.tensors, c.maps);
    if (ok && s->common.json)
        printf("{\"tensors\": %zu, \"files\": %zu}\n", c.tensors, c.maps);
    checkpoint_close(&c);
    return ok;
}

static bool run_merge(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    const char *out = NULL;
    bool done;
    const struct opt table[] = {
        {"output", 'o', OPT_TEXT, &out, "OUT.gguf", "the file to write"},
        OPT_FORCE(&s.common),
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if (!out)
        return err_set(err, ERR_USAGE, "-o OUT.gguf is needed; usage: quern %s %s", me->name,
                       me->usage);
    const bool ok = session_open(&s, err) && merge(argv[0], out, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_merge = {
    .name = "merge",
    .usage = "FILE-00001-of-0000N.gguf -o OUT.gguf [OPTION]...",
    .summary = "the files of a split GGUF into one",
    .text = "Name any file of the set; the others are found beside it, and one that is missing is "
            "named.\n",
    .run = run_merge,
};
