#include "tools/command.h"

#include "tools/term.h"

#include <stdio.h>
#include <string.h>

/* Prose fills the terminal's lines; examples stay whole, to be copied. */
static void print_text(const char *text, int width)
{
    int used = 0;
    while (*text) {
        const int line = (int)strcspn(text, "\n"), word = (int)strcspn(text, " \n");
        if (used > 0 && (word == 0 || used + 1 + word > width)) {
            putchar('\n');
            used = 0;
        }
        if (word == 0) /* an example, or an empty line */
            printf("%.*s\n", line, text);
        else
            used += printf("%s%.*s", used > 0 ? " " : "", word, text);
        text += word == 0 ? line : word;
        text += *text != '\0';
    }
    if (used > 0)
        putchar('\n');
}

bool command_count(const struct command *me, int arguments, char **argv, int least, int most,
                   struct err *err)
{
    if (arguments < least)
        return err_set(err, ERR_USAGE, "%s; usage: quern %s %s",
                       arguments ? "an argument is missing" : "no file is named", me->name,
                       me->usage);
    if (arguments > most)
        return err_set(err, ERR_USAGE, "'%s' is one argument too many; usage: quern %s %s",
                       argv[most], me->name, me->usage);
    return true;
}

bool command_parse(const struct command *me, const struct opt *table,
                   const struct opt_common *common, int *argc, char **argv, int least, int most,
                   bool *done, struct err *err)
{
    *done = false;
    if (!opts_parse(table, argc, argv, err))
        return false;
    if (common->help) {
        printf("usage: quern %s %s\n\n", me->name, me->usage);
        print_text(me->text, term_width(stdout));
        if (table->name) /* a heading stands apart by itself */
            putchar('\n');
        opts_print(table, stdout, term_width(stdout));
        *done = true;
        return true;
    }
    return command_count(me, *argc, argv, least, most, err);
}
