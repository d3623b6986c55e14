#include "tools/table.h"

#include "core/mem.h"
#include "tools/term.h"
#include "tools/text.h"

#include <assert.h>
#include <errno.h>
#include <limits.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { GAP = 2, MARK_WIDTH = 2, SHRUNK_MIN = 16 };

struct table_line {
    bool marked, ruled;
};

void table_open(struct table *t, const struct table_column *column, size_t columns)
{
    *t = (struct table){.column = column, .columns = columns};
}

void table_close(struct table *t)
{
    arena_close(&t->text);
    free(t->cell);
    free(t->line);
    *t = (struct table){0};
}

void table_row(struct table *t)
{
    struct table_line *line = mem_grow(t->line, t->lines, sizeof *line);
    if (line) {
        t->line = line;
        t->line[t->lines] = (struct table_line){0};
    }
    for (size_t c = 0; c < t->columns && !t->failed; c++) {
        const size_t used = t->lines * t->columns + c;
        const char **cell = mem_grow(t->cell, used, sizeof *cell);
        if (cell) {
            t->cell = cell;
            t->cell[used] = "";
        }
        t->failed = !cell;
    }
    t->failed = t->failed || !line;
    if (t->failed)
        return;
    t->next = t->lines++ * t->columns;
}

void table_cell(struct table *t, const char *fmt, ...)
{
    if (t->failed)
        return;
    assert(t->next < t->lines * t->columns);
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    const int length = vsnprintf(NULL, 0, fmt, ap);
    const size_t room = (size_t)(length < 0 ? 0 : length) + 1;
    char *raw = arena_alloc(&t->text, room, 1), *clean = arena_alloc(&t->text, room, 1);
    if (raw && clean) {
        vsnprintf(raw, room, fmt, again);
        t->cell[t->next++] = text_fit(raw, INT_MAX, clean, room);
    }
    t->failed = !raw || !clean;
    va_end(again);
    va_end(ap);
}

void table_mark(struct table *t)
{
    if (!t->failed)
        t->marked = t->line[t->lines - 1].marked = true;
}

void table_rule(struct table *t)
{
    if (!t->failed)
        t->line[t->lines - 1].ruled = true;
}

/* How wide each column is printed: 0 where it is left out. */
static void measure(const struct table *t, int *width)
{
    for (size_t c = 0; c < t->columns; c++) {
        width[c] = text_width(t->column[c].title);
        for (size_t l = 0; l < t->lines; l++) {
            const int cell = text_width(t->cell[l * t->columns + c]);
            if (cell > width[c])
                width[c] = cell;
        }
    }
}

static int total_width(const struct table *t, const int *width)
{
    int total = (t->marked ? MARK_WIDTH : 0) - GAP;
    for (size_t c = 0; c < t->columns; c++)
        total += width[c] ? width[c] + GAP : 0;
    return total;
}

/* Takes `excess` from the columns that may shrink; true where that was enough. */
static bool shrink(const struct table *t, int *width, int excess)
{
    for (size_t c = 0; c < t->columns && excess > 0; c++) {
        if (!t->column[c].shrinks || width[c] <= SHRUNK_MIN)
            continue;
        const int spare = width[c] - SHRUNK_MIN;
        const int taken = spare < excess ? spare : excess;
        width[c] -= taken;
        excess -= taken;
    }
    return excess <= 0;
}

/* Leaves out the column that matters least; false where all that are left matter. */
static bool drop(const struct table *t, int *width)
{
    size_t least = t->columns;
    for (size_t c = 0; c < t->columns; c++)
        if (width[c] && t->column[c].dropped > 0 &&
            (least == t->columns || t->column[c].dropped >= t->column[least].dropped))
            least = c;
    if (least == t->columns)
        return false;
    width[least] = 0;
    return true;
}

/* A column is left out only where shrinking the names would not do. */
static void fit(const struct table *t, int *width, int room)
{
    for (;;) {
        const int excess = total_width(t, width) - room;
        int spare = 0;
        for (size_t c = 0; c < t->columns; c++)
            if (t->column[c].shrinks && width[c] > SHRUNK_MIN)
                spare += width[c] - SHRUNK_MIN;
        if (excess <= spare || !drop(t, width)) {
            shrink(t, width, excess);
            return;
        }
    }
}

static void print_cell(const struct table_column *column, const char *text, int width, bool last,
                       FILE *to)
{
    char fitted[1024];
    if (text_width(text) > width)
        text = text_fit(text, width, fitted, sizeof fitted);
    const int pad = width - text_width(text);
    if (column->right)
        fprintf(to, "%*s%s", pad, "", text);
    else
        fprintf(to, "%s%*s", text, last ? 0 : pad, "");
}

/* The titles (cells == NULL) or a row. */
static void print_line(const struct table *t, const int *width, const char *const *cells, FILE *to)
{
    size_t last = t->columns;
    while (last > 0 && !width[last - 1])
        last--;
    bool first = true;
    for (size_t c = 0; c < last; c++) {
        if (!width[c])
            continue;
        fprintf(to, "%*s", first ? 0 : GAP, "");
        print_cell(&t->column[c], cells ? cells[c] : t->column[c].title, width[c], c + 1 == last,
                   to);
        first = false;
    }
}

static void print_all(const struct table *t, const int *width, bool colour, FILE *to)
{
    const char *indent = t->marked ? "  " : "";
    const char *bold = colour ? "\033[1m" : "", *yellow = colour ? "\033[33m" : "";
    const char *plain = colour ? "\033[0m" : "";
    fprintf(to, "%s%s", indent, bold);
    print_line(t, width, NULL, to);
    fprintf(to, "%s\n", plain);
    for (size_t l = 0; l < t->lines; l++) {
        const struct table_line *line = &t->line[l];
        if (line->ruled) {
            fputs(indent, to);
            for (int i = total_width(t, width) - (t->marked ? MARK_WIDTH : 0); i > 0; i--)
                fputc('-', to);
            fputc('\n', to);
        }
        fprintf(to, "%s%s", line->marked ? yellow : "", line->marked ? "* " : indent);
        print_line(t, width, t->cell + l * t->columns, to);
        fprintf(to, "%s\n", line->marked ? plain : "");
    }
}

bool table_print_as(const struct table *t, FILE *to, int width, bool colour, struct err *err)
{
    int *widths = t->failed ? NULL : mem_alloc(t->columns, sizeof *widths);
    if (!widths)
        return err_set(err, ERR_MEMORY, "a table of %zu rows", t->lines);
    measure(t, widths);
    if (width > 0)
        fit(t, widths, width);
    print_all(t, widths, colour, to);
    free(widths);
    return fflush(to) == 0 || err_set(err, ERR_IO, "writing a table: %s", strerror(errno));
}

bool table_print(const struct table *t, FILE *to, struct err *err)
{
    const int width = term_is_tty(to) ? term_width(to) : 0;
    return table_print_as(t, to, width, term_has_colour(to), err);
}
