#include "tools/command.h"

#include "tools/verify_report.h"

static bool run_verify(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct plan_options options = {0};
    bool no_table = false, done;
    const struct opt table[] = {
        {"pre", 0, OPT_TEXT, &options.pre, "NAME",
         "the pre-tokenizer's name that was given to convert"},
        {"no-table", 0, OPT_FLAG, &no_table, NULL, "only the totals, not a line a tensor"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 2, 2, &done, err) || done)
        return done;
    struct checkpoint source = {0};
    struct plan plan = {0};
    const bool ok = session_open(&s, err) && checkpoint_open(&source, argv[1], err) &&
                    plan_open(&plan, &source, &options, err) &&
                    verify_report_run(&plan, argv[0], no_table, &s, NULL, err);
    plan_close(&plan);
    checkpoint_close(&source);
    session_close(&s);
    return ok;
}

const struct command cmd_verify = {
    .name = "verify",
    .usage = "FILE.gguf SOURCE [OPTION]...",
    .summary = "prove every tensor of a GGUF against its source",
    .text =
        "Takes every tensor of SOURCE (a model folder, a safetensors file, another GGUF) through "
        "the\n"
        "edits that its architecture asks for, and compares it with the tensor in FILE, whatever\n"
        "tool made that: bit for bit where the type can hold the values, rounded as the type\n"
        "rounds, or, in blocks, as an error. Exit status 1 if a tensor is not its source's.\n\n"
        "  quern verify model-Q4_K_M.gguf path/to/model-folder\n",
    .run = run_verify,
};
