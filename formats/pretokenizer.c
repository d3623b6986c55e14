#include "formats/pretokenizer.h"

#include "core/nearest.h"

#include <string.h>

/* What ByteLevel splits by where use_regex is not false. */
static const char byte_level_regex[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

/* Spellings of one thing; each `from` is replaced by `to`, in this order. */
static const struct {
    const char *from, *to;
} spelling[] = {
    {"\r", "\\r"},
    {"\n", "\\n"},
    {"\t", "\\t"},
    {"(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", "(?i:'s|'t|'re|'ve|'m|'ll|'d)"},
    {"'(?i:[sdmt]|ll|ve|re)", "(?i:'s|'t|'re|'ve|'m|'ll|'d)"},
    /* The classes before a possessive quantifier never reach into what follows it. */
    {"?+", "?"},
    {"++", "+"},
    {"*+", "*"},
    {"\\p{N}{1}", "\\p{N}"},
    /* \s* takes all line ends but one: with or without the +, the match ends at the last. */
    {"|\\s*[\\r\\n]|", "|\\s*[\\r\\n]+|"},
};

static char *append(char *end, const char *text, size_t length)
{
    memcpy(end, text, length);
    return end + length;
}

static char *replace(const char *text, const char *from, const char *to, struct arena *a)
{
    const size_t from_length = strlen(from), to_length = strlen(to);
    size_t count = 0;
    for (const char *p = text; (p = strstr(p, from)) != NULL; p += from_length)
        count++;
    char *out = arena_alloc(a, strlen(text) + count * to_length + 1, 1);
    if (!out)
        return NULL;
    char *end = out;
    for (const char *p; (p = strstr(text, from)) != NULL; text = p + from_length) {
        end = append(end, text, (size_t)(p - text));
        end = append(end, to, to_length);
    }
    append(end, text, strlen(text) + 1);
    return out;
}

static const char *normalize(const char *regex, struct arena *a)
{
    for (size_t i = 0; regex && i < sizeof spelling / sizeof *spelling; i++) {
        if (strstr(regex, spelling[i].from))
            regex = replace(regex, spelling[i].from, spelling[i].to, a);
    }
    return regex;
}

static bool add(struct pretokenizer *p, const char *step)
{
    if (step && p->steps < PRETOKENIZER_STEPS_READ)
        p->step[p->steps] = step;
    p->steps++;
    return step != NULL;
}

/* "Isolated" (each match is a piece) and inverted "Removed" (only matches are left) split alike,
 * as these expressions leave no character out. */
static bool read_split(struct pretokenizer *p, const json_t *pre, struct arena *a)
{
    const json_t *pattern = json_object_get(pre, "pattern");
    const char *regex = json_string_value(json_object_get(pattern, "Regex"));
    const char *string = json_string_value(json_object_get(pattern, "String"));
    const char *behavior = json_string_value(json_object_get(pre, "behavior"));
    const bool invert = json_is_true(json_object_get(pre, "invert"));
    if (!behavior)
        behavior = "Isolated";
    if (regex && strcmp(behavior, invert ? "Removed" : "Isolated") == 0)
        return add(p, normalize(regex, a));
    return add(p, arena_printf(a, "%s%s %s", behavior, invert ? " inverted" : "",
                               regex    ? regex
                               : string ? string
                                        : "Split"));
}

static bool read_metaspace(struct pretokenizer *p, const json_t *pre)
{
    const char *scheme = json_string_value(json_object_get(pre, "prepend_scheme"));
    p->metaspace = true;
    p->space_prefix = scheme ? strcmp(scheme, "never") != 0
                             : !json_is_false(json_object_get(pre, "add_prefix_space"));
    return add(p, "Metaspace");
}

static bool read_one(struct pretokenizer *p, const json_t *pre, struct arena *a)
{
    const char *type = json_string_value(json_object_get(pre, "type"));
    if (!type)
        return true;
    if (strcmp(type, "Split") == 0)
        return read_split(p, pre, a);
    if (strcmp(type, "Metaspace") == 0)
        return read_metaspace(p, pre);
    if (strcmp(type, "ByteLevel") == 0) {
        p->byte_level = true;
        p->space_prefix |= json_is_true(json_object_get(pre, "add_prefix_space"));
        return json_is_false(json_object_get(pre, "use_regex")) || add(p, byte_level_regex);
    }
    if (strcmp(type, "Digits") == 0) {
        const bool individual = json_is_true(json_object_get(pre, "individual_digits"));
        return add(p, individual ? "\\p{N}" : "\\p{N}+");
    }
    const char *behavior = json_string_value(json_object_get(pre, "behavior"));
    if (!behavior)
        behavior = "Isolated";
    return strcmp(type, "Punctuation") == 0 ? add(p, arena_printf(a, "%s %s", type, behavior))
                                            : add(p, arena_text(a, type, strlen(type)));
}

bool pretokenizer_read(struct pretokenizer *p, const json_t *pre, struct arena *a)
{
    const json_t *sequence = json_object_get(pre, "pretokenizers");
    size_t i;
    const json_t *each;
    memset(p, 0, sizeof *p);
    json_array_foreach (sequence, i, each) {
        if (!read_one(p, each, a))
            return false;
    }
    return json_is_array(sequence) || read_one(p, pre, a);
}

/* Is `word` one of the words of `list`? */
static bool list_has(const char *list, const char *word)
{
    const size_t length = strlen(word);
    for (const char *at = list; length > 0 && (at = strstr(at, word)) != NULL; at += length) {
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == '\0'))
            return true;
    }
    return false;
}

static bool step_fits(const char *row, const char *step, struct arena *a)
{
    row = normalize(row, a);
    if (!row)
        return false;
    const char *cut = strstr(row, PRETOKENIZER_CUT);
    return cut ? strncmp(row, step, (size_t)(cut - row)) == 0 : strcmp(row, step) == 0;
}

static bool row_fits(const struct pretokenizer_row *row, const struct pretokenizer *p,
                     const char *model_type, struct arena *a)
{
    if (row->models && !(model_type && list_has(row->models, model_type)))
        return false;
    size_t steps = 0;
    while (row->step[steps])
        steps++;
    if (steps != p->steps)
        return false;
    for (size_t i = 0; i < steps; i++) {
        if (!step_fits(row->step[i], p->step[i], a))
            return false;
    }
    return true;
}

const struct pretokenizer_row *pretokenizer_find(const struct pretokenizer *p, bool ignore_merges,
                                                 const char *model_type)
{
    struct arena a = {0};
    const struct pretokenizer_row *found = NULL;
    for (const struct pretokenizer_row *row = pretokenizer_rows; row->name; row++) {
        if (!row_fits(row, p, model_type, &a))
            continue;
        if (!found || row->ignores_merges == ignore_merges)
            found = row;
        if (found->ignores_merges == ignore_merges)
            break;
    }
    arena_close(&a);
    return found;
}

bool pretokenizer_name_known(const char *name)
{
    for (const struct pretokenizer_name *known = pretokenizer_names; known->name; known++) {
        if (strcmp(known->name, name) == 0)
            return true;
    }
    return false;
}

const char *pretokenizer_name_nearest(const char *name)
{
    struct nearest n = {.word = name};
    for (const struct pretokenizer_name *known = pretokenizer_names; known->name; known++)
        nearest_offer(&n, known->name);
    return nearest_best(&n);
}
