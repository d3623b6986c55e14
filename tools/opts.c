#include "tools/opts.h"

#include "core/mem.h"
#include "core/nearest.h"
#include "tools/llama_option.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

void opt_list_close(struct opt_list *list)
{
    free(list->text);
    *list = (struct opt_list){0};
}

static bool is_end(const struct opt *o) { return !o->name && !o->help; }

static bool read_count(const char *text, size_t *count)
{
    char *end;
    errno = 0;
    const unsigned long v = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end || errno)
        return false;
    *count = v;
    return true;
}

static bool read_number(const char *text, double *number)
{
    char *end;
    const double v = strtod(text, &end);
    if (end == text || *end || !isfinite(v))
        return false;
    *number = v;
    return true;
}

bool opts_read_bytes(const char *text, uint64_t *bytes)
{
    static const struct {
        const char *unit;
        double bytes;
    } units[] = {{"", 1},       {"B", 1},        {"K", 0x1p10},   {"KiB", 0x1p10}, {"KB", 1e3},
                 {"M", 0x1p20}, {"MiB", 0x1p20}, {"MB", 1e6},     {"G", 0x1p30},   {"GiB", 0x1p30},
                 {"GB", 1e9},   {"T", 0x1p40},   {"TiB", 0x1p40}, {"TB", 1e12}};
    char *end;
    const double number = strtod(text, &end);
    if (*text < '0' || *text > '9')
        return false;
    while (*end == ' ')
        end++;
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++)
        if (strcasecmp(end, units[i].unit) == 0 && number * units[i].bytes < 0x1p63) {
            *bytes = (uint64_t)(number * units[i].bytes);
            return true;
        }
    return false;
}

static bool add_to_list(struct opt_list *list, const char *text, struct err *err)
{
    const char **grown = mem_grow(list->text, list->count, sizeof *grown);
    if (!grown)
        return err_set(err, ERR_MEMORY, "a list of %zu options", list->count + 1);
    list->text = grown;
    list->text[list->count++] = text;
    return true;
}

static bool set_value(const struct opt *o, const char *text, struct err *err)
{
    const char *what = NULL;
    switch (o->kind) {
    case OPT_FLAG:
        *(bool *)o->value = true;
        break;
    case OPT_TEXT:
        *(const char **)o->value = text;
        break;
    case OPT_LIST:
        return add_to_list(o->value, text, err);
    case OPT_COUNT:
        what = read_count(text, o->value) ? NULL : "a count";
        break;
    case OPT_NUMBER:
        what = read_number(text, o->value) ? NULL : "a number";
        break;
    case OPT_BYTES:
        what = opts_read_bytes(text, o->value) ? NULL : "a size such as 4.5GiB";
        break;
    }
    return !what || err_set(err, ERR_USAGE, "--%s: '%s' is not %s", o->name, text, what);
}

static const struct opt *find_name(const struct opt *table, const char *name, size_t length)
{
    for (; !is_end(table); table++)
        if (table->name && strlen(table->name) == length && memcmp(table->name, name, length) == 0)
            return table;
    return NULL;
}

static const struct opt *find_letter(const struct opt *table, char letter)
{
    for (; !is_end(table); table++)
        if (table->letter && table->letter == letter)
            return table;
    return NULL;
}

/* `name` has its dashes. */
static bool refuse_unknown(const struct opt *table, const char *name, size_t length,
                           struct err *err)
{
    char word[64];
    snprintf(word, sizeof word, "%.*s", (int)length, name);
    const struct llama_option *theirs = llama_option_find(name, length);
    if (theirs && theirs->hint)
        return err_set(err, ERR_USAGE, "unknown option %s; %s", word, theirs->hint);
    if (theirs && find_name(table, theirs->ours, strlen(theirs->ours)))
        return err_set(err, ERR_USAGE, "unknown option %s; here it is --%s", word, theirs->ours);
    struct nearest nearest = {.word = word + strspn(word, "-")};
    for (; !is_end(table); table++)
        if (table->name)
            nearest_offer(&nearest, table->name);
    const char *best = nearest_best(&nearest);
    return err_set(err, ERR_USAGE, "unknown option %s%s%s%s", word, best ? "; did you mean --" : "",
                   best ? best : "", best ? "?" : "");
}

/* The arguments as they are read. */
struct reader {
    const struct opt *table;
    int argc, next;
    char **argv;
};

/* The value of an option: what stands behind it in the same argument, or the next one.  An
 * option of the table is not taken for a value. */
static bool take_value(struct reader *r, const struct opt *o, const char *attached, struct err *err)
{
    if (o->kind == OPT_FLAG)
        return attached ? err_set(err, ERR_USAGE, "--%s takes no value", o->name)
                        : set_value(o, NULL, err);
    if (attached)
        return set_value(o, attached, err);
    const char *next = r->next < r->argc ? r->argv[r->next] : NULL;
    const bool option = next && strncmp(next, "--", 2) == 0 && next[2] &&
                        find_name(r->table, next + 2, strcspn(next + 2, "="));
    if (!next || option)
        return err_set(err, ERR_USAGE, "--%s needs a value: --%s %s", o->name, o->name,
                       o->arg ? o->arg : "VALUE");
    r->next++;
    return set_value(o, next, err);
}

static bool read_long(struct reader *r, const char *name, struct err *err)
{
    const size_t length = strcspn(name, "=");
    const struct opt *o = find_name(r->table, name, length);
    if (!o)
        return refuse_unknown(r->table, name - 2, length + 2, err);
    return take_value(r, o, name[length] ? name + length + 1 : NULL, err);
}

/* Letters behind one dash: flags, and at the end perhaps an option with its value. */
static bool read_letters(struct reader *r, const char *letter, struct err *err)
{
    const char *argument = letter - 1;
    const bool theirs = letter[1] && llama_option_find(argument, strlen(argument));
    for (; *letter; letter++) {
        const struct opt *o = find_letter(r->table, *letter);
        if (theirs || (!o && letter == argument + 1))
            return refuse_unknown(r->table, argument, strlen(argument), err);
        if (!o)
            return err_set(err, ERR_USAGE, "unknown option -%s", letter);
        if (o->kind != OPT_FLAG)
            return take_value(r, o, letter[1] ? letter + 1 : NULL, err);
        if (!take_value(r, o, NULL, err))
            return false;
    }
    return true;
}

bool opts_parse(const struct opt *table, int *argc, char **argv, struct err *err)
{
    struct reader r = {.table = table, .argc = *argc, .argv = argv};
    int kept = 0;
    bool options = true;
    while (r.next < r.argc) {
        char *arg = argv[r.next++];
        if (!options || arg[0] != '-' || arg[1] == '\0')
            argv[kept++] = arg;
        else if (strcmp(arg, "--") == 0)
            options = false;
        else if (!(arg[1] == '-' ? read_long(&r, arg + 2, err) : read_letters(&r, arg + 1, err)))
            return false;
    }
    *argc = kept;
    return true;
}

enum { HELP_COLUMN = 26, HELP_WIDTH_MIN = 24 };

/* Words in lines from `column` on; the first line already stands at `at`. */
static void print_wrapped(FILE *to, const char *text, int at, int column, int width)
{
    if (at + 1 > column) {
        fputc('\n', to);
        at = 0;
    }
    fprintf(to, "%*s", column - at, "");
    int used = 0;
    while (*text) {
        const int word = (int)strcspn(text, " ");
        if (used > 0 && used + 1 + word > width - column) {
            fprintf(to, "\n%*s", column, "");
            used = 0;
        }
        used += fprintf(to, "%s%.*s", used > 0 ? " " : "", word, text);
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', to);
}

void opts_print(const struct opt *table, FILE *to, int width)
{
    const int column = width < HELP_COLUMN + HELP_WIDTH_MIN ? 6 : HELP_COLUMN;
    for (; !is_end(table); table++) {
        if (!table->name) {
            fprintf(to, "\n%s:\n", table->help);
            continue;
        }
        int at = table->letter ? fprintf(to, "  -%c, ", table->letter) : fprintf(to, "      ");
        at += fprintf(to, "--%s", table->name);
        if (table->kind != OPT_FLAG)
            at += fprintf(to, " %s", table->arg ? table->arg : "VALUE");
        print_wrapped(to, table->help, at, column, width);
    }
}
