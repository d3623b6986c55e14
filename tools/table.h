/* table.h - aligned tables for people.
 *
 * Columns are as wide as what they hold.  On a terminal a table is made to fit: names lose their
 * middle, then columns that matter least are left out.  In a file or a pipe nothing is cut.
 * Build it row by row, then print it; a table that ran out of memory says so when printed.
 */
#ifndef TOOLS_TABLE_H
#define TOOLS_TABLE_H

#include "core/arena.h"
#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct table_column {
    const char *title;
    bool right;   /* numbers */
    bool shrinks; /* may lose its middle: names */
    int dropped;  /* 0: never; else columns are left out from the highest number down */
};

struct table_line; /* what is known of a row beside its cells */

struct table {
    const struct table_column *column; /* the caller's */
    size_t columns;
    struct arena text;
    const char **cell; /* lines x columns */
    struct table_line *line;
    size_t lines, next; /* next: the cell of the last line to be filled */
    bool marked, failed;
};

void table_open(struct table *t, const struct table_column *column, size_t columns);
void table_close(struct table *t);

/* Begins a row; its cells follow, from the left, and those not given stay empty. */
void table_row(struct table *t);
void table_cell(struct table *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The row begun last stands out: a '*' in front, on a terminal a colour. */
void table_mark(struct table *t);

/* A line is drawn above the row begun last: totals. */
void table_rule(struct table *t);

/* Prints to a terminal or a file, each as it should be.  Fails with ERR_MEMORY or ERR_IO. */
bool table_print(const struct table *t, FILE *to, struct err *err);

/* The same for a given width (0: any) and colour. */
bool table_print_as(const struct table *t, FILE *to, int width, bool colour, struct err *err);

#endif
