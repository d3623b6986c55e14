/* opts.h - command-line options from a table; the same table prints --help.
 *
 * Options and arguments come in any order: --name VALUE, --name=VALUE, -n VALUE, -nVALUE; "--"
 * ends them.  A value points into argv.  An option given twice counts as given last, but for
 * lists, which gather.
 */
#ifndef TOOLS_OPTS_H
#define TOOLS_OPTS_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum opt_kind {
    OPT_FLAG,   /* bool: true where given */
    OPT_TEXT,   /* const char * */
    OPT_LIST,   /* struct opt_list: may be given again */
    OPT_COUNT,  /* size_t: a whole number */
    OPT_NUMBER, /* double: a finite number */
    OPT_BYTES,  /* uint64_t: "512", "64K", "4.5GiB" (1024s), "4.5GB" (1000s) */
};

struct opt {
    const char *name; /* "threads", or NULL in a heading */
    char letter;      /* 't': also -t; 0: none */
    enum opt_kind kind;
    void *value;      /* already at its default */
    const char *arg;  /* what --help calls the value: "N" */
    const char *help; /* a sentence without its dot; a heading's text */
};

/* A table is rows, headings among them, and OPT_END. */
/* clang-format off */
#define OPT_HEADING(text) {NULL, 0, OPT_FLAG, NULL, NULL, text}
#define OPT_END           {NULL, 0, OPT_FLAG, NULL, NULL, NULL}
/* clang-format on */

struct opt_list {
    const char **text;
    size_t count;
};

void opt_list_close(struct opt_list *list);

/* Reads the options out of argv and packs what is left into argv[0..*argc).  Fails with
 * ERR_USAGE (an unknown option: with the nearest) or ERR_MEMORY. */
bool opts_parse(const struct opt *table, int *argc, char **argv, struct err *err);

/* Prints what --help says of the options, in lines of at most `width` letters. */
void opts_print(const struct opt *table, FILE *to, int width);

/* "4.5GiB" to bytes, as OPT_BYTES reads it; false where it is no size. */
bool opts_read_bytes(const char *text, uint64_t *bytes);

/* What every command understands. */
struct opt_common {
    bool help, json, quiet, force;
    size_t threads; /* 0: as many as the machine has */
};

/* clang-format off */
#define OPT_FORCE(c) /* of commands that write files */ \
    {"force", 0, OPT_FLAG, &(c)->force, NULL, "overwrite an output that is there"}
#define OPT_COMMON(c) \
    OPT_HEADING("Always"), \
    {"threads", 't', OPT_COUNT, &(c)->threads, "N", "threads to use (default: all there are)"}, \
    {"json", 0, OPT_FLAG, &(c)->json, NULL, "print JSON instead of tables"}, \
    {"quiet", 'q', OPT_FLAG, &(c)->quiet, NULL, "say nothing but results and errors"}, \
    {"help", 'h', OPT_FLAG, &(c)->help, NULL, "show this"}
/* clang-format on */

#endif
