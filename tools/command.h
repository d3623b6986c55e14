/* command.h - the table of sub-commands: one row, and one file cmd_NAME.c, each. */
#ifndef TOOLS_COMMAND_H
#define TOOLS_COMMAND_H

#include "core/err.h"
#include "tools/opts.h"

struct command {
    const char *name;
    const char *usage;   /* what stands behind the name: "SOURCE -o OUT.gguf [OPTION]..." */
    const char *summary; /* one line of `quern --help` */
    const char *text; /* what --help teaches beyond the options: paragraphs are filled anew, lines
                          * that begin with a space (examples) stay as they are */
    bool (*run)(const struct command *me, int argc, char **argv, struct err *err);
};

extern const struct command cmd_convert, cmd_quantize, cmd_inspect, cmd_verify, cmd_compare,
    cmd_split, cmd_merge, cmd_codecs, cmd_tokenize, cmd_eval, cmd_run, cmd_bench, cmd_calibrate;

/* Arguments beyond `most`, or fewer than `least`, are ERR_USAGE. */
bool command_count(const struct command *me, int arguments, char **argv, int least, int most,
                   struct err *err);

/* Reads the options; *done: --help was asked for and has been printed.  Else counts arguments, as
 * command_count does. */
bool command_parse(const struct command *me, const struct opt *table,
                   const struct opt_common *common, int *argc, char **argv, int least, int most,
                   bool *done, struct err *err);

#endif
