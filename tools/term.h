/* term.h - talking to a person: numbers in human units, the terminal's width, a progress bar. */
#ifndef TOOLS_TERM_H
#define TOOLS_TERM_H

#include "core/progress.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

enum { TERM_TEXT = 32 };

/* "512 B", "4.37 GiB"; "291", "5.83 M", "8.03 B"; "0.42 s", "2 min 05 s", "3 h 20 min".  Into text;
 * returns text. */
const char *term_size(uint64_t bytes, char text[TERM_TEXT]);
const char *term_count(uint64_t count, char text[TERM_TEXT]);
const char *term_duration(double seconds, char text[TERM_TEXT]);

bool term_is_tty(FILE *f);

/* May colours be used there?  On a terminal, unless NO_COLOR is set. */
bool term_has_colour(FILE *f);

/* Columns of a line: what COLUMNS says, else the terminal, else 80. */
int term_width(FILE *f);

/* A progress for the library: `base` is handed down, and drawn on stderr.  On a terminal,
 * unless it is a dumb one, a bar, redrawn at most ten times a second and cleared when base.done
 * reaches base.total; otherwise a line a minute, or for every tenth of the work if that takes five
 * seconds.  Where base.done falls a new piece of work has begun. */
struct term_progress {
    struct progress base;
    FILE *to;              /* NULL: quiet */
    double (*clock)(void); /* seconds, from anywhere */
    bool tty;              /* a terminal with control sequences */
    bool drawn;            /* a bar stands on the line */
    int width;             /* 0: as term_width() says */
    uint64_t seen;         /* base.done when last looked at */
    uint64_t told;         /* base.done when last drawn */
    double start, shown;   /* when the work began, and when it was last drawn */
};

void term_progress_open(struct term_progress *p, bool quiet);

/* Takes the bar off the line, if one stands there: call it before other output. */
void term_progress_clear(struct term_progress *p);
void term_progress_close(struct term_progress *p);

#endif
