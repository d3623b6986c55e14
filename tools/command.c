#include "tools/command.h"

#include "tools/term.h"

#include <stdio.h>

bool command_parse(const struct command *me, const struct opt *table,
                   const struct opt_common *common, int *argc, char **argv, int least, int most,
                   bool *done, struct err *err)
{
    *done = false;
    if (!opts_parse(table, argc, argv, err))
        return false;
    if (common->help) {
        printf("usage: quern %s %s\n\n%s\n", me->name, me->usage, me->text);
        opts_print(table, stdout, term_width(stdout));
        *done = true;
        return true;
    }
    if (*argc < least)
        return err_set(err, ERR_USAGE, "%s; usage: quern %s %s", *argc ? "an argument is missing"
                       : "what file?", me->name, me->usage);
    if (*argc > most)
        return err_set(err, ERR_USAGE, "'%s' is one argument too many; usage: quern %s %s", argv[most],
                       me->name, me->usage);
    return true;
}
