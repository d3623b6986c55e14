#include "model/names.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum { DIGITS_MAX = 9 };

/* Reads a number without leading zeros; returns what follows it, or NULL. */
static const char *read_number(const char *s, int64_t *number)
{
    int64_t v = 0;
    int digits = 0;
    for (; s[digits] >= '0' && s[digits] <= '9'; digits++) {
        if (digits == DIGITS_MAX)
            return NULL;
        v = v * 10 + (s[digits] - '0');
    }
    if (digits == 0 || (digits > 1 && s[0] == '0'))
        return NULL;
    *number = v;
    return s + digits;
}

bool name_match(const char *pattern, const char *name, int64_t *number)
{
    const char *mark = strstr(pattern, "%d");
    *number = -1;
    if (!mark)
        return strcmp(pattern, name) == 0;
    const size_t before = (size_t)(mark - pattern);
    if (strncmp(pattern, name, before) != 0)
        return false;
    const char *rest = read_number(name + before, number);
    return rest && strcmp(rest, mark + 2) == 0;
}

const char *name_fill(char text[NAME_MAX_TEXT], const char *pattern, int64_t number)
{
    const char *mark = strstr(pattern, "%d");
    if (mark)
        snprintf(text, NAME_MAX_TEXT, "%.*s%" PRId64 "%s", (int)(mark - pattern), pattern, number,
                 mark + 2);
    else
        snprintf(text, NAME_MAX_TEXT, "%s", pattern);
    return text;
}

int64_t name_layer(const char *name)
{
    int64_t layer;
    if (strncmp(name, "blk.", 4) != 0)
        return -1;
    const char *rest = read_number(name + 4, &layer);
    return rest && *rest == '.' ? layer : -1;
}

int name_compare(const char *a, const char *b)
{
    const int64_t layer_a = name_layer(a), layer_b = name_layer(b);
    if (layer_a != layer_b)
        return layer_a < layer_b ? -1 : 1;
    return strcmp(a, b);
}
