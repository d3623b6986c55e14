#include "tools/command.h"

#include "formats/gguf_split.h"
#include "tools/session.h"

#include <stdio.h>
#include <string.h>

struct split_options {
    const char *out;
    uint64_t max_size;
    size_t max_tensors;
};

static bool split(const char *path, const struct split_options *o, struct session *s,
                  struct err *err)
{
    struct checkpoint c = {0};
    size_t files = 0;
    char prefix[4096];
    bool ok = checkpoint_open(&c, path, err);
    if (ok && strcmp(c.container->name, "GGUF") != 0)
        ok = err_set(err, ERR_USAGE, "%s: is %s; only GGUF files are split", path,
                     c.container->name);
    snprintf(prefix, sizeof prefix, "%s", o->out);
    const size_t length = strlen(prefix);
    if (length > 5 && strcmp(prefix + length - 5, ".gguf") == 0)
        prefix[length - 5] = '\0';
    ok = ok && gguf_split_write(&c, prefix, o->max_size, o->max_tensors, s->common.force,
                                &s->progress.base, &files, err);
    if (ok)
        session_say(s, "%s: %zu files, %s-00001-of-%05zu.gguf is the first\n", path, files, prefix,
                    files);
    if (ok && s->common.json)
        printf("{\"files\": %zu}\n", files);
    checkpoint_close(&c);
    return ok;
}

static bool run_split(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct split_options o = {0};
    bool done;
    const struct opt table[] = {
        {"output", 'o', OPT_TEXT, &o.out, "PREFIX", "write PREFIX-00001-of-0000N.gguf and so on"},
        {"max-size", 0, OPT_BYTES, &o.max_size, "SIZE",
         "at most so much tensor data a file: 2GiB, 500M"},
        {"max-tensors", 0, OPT_COUNT, &o.max_tensors, "N", "at most so many tensors a file"},
        OPT_FORCE(&s.common),
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    if (!o.out)
        return err_set(err, ERR_USAGE, "-o PREFIX is needed; usage: quern %s %s", me->name,
                       me->usage);
    if (!o.max_size && !o.max_tensors)
        return err_set(err, ERR_USAGE, "--max-size SIZE or --max-tensors N is needed");
    const bool ok = session_open(&s, err) && split(argv[0], &o, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_split = {
    .name = "split",
    .usage = "FILE.gguf -o PREFIX --max-size SIZE [OPTION]...",
    .summary = "one GGUF file into several",
    .text =
        "Copies the tensors, byte for byte, into files of a given size. Stock llama.cpp loads the\n"
        "first and finds the others. All files appear or none.\n\n"
        "  quern split model.gguf -o model --max-size 4GiB\n",
    .run = run_split,
};
