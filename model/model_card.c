#include "model/model_card.h"

#include "core/json.h"
#include "core/map.h"
#include "core/mem.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PATH_ROOM = 4096, CARD_BYTES_MAX = 1 << 20 };

/* A piece of the file; nothing stands behind it. */
struct span {
    const char *text;
    size_t length;
};

static struct span trim(struct span s)
{
    while (s.length && strchr(" \t\r", s.text[0])) {
        s.text++;
        s.length--;
    }
    while (s.length && strchr(" \t\r", s.text[s.length - 1]))
        s.length--;
    return s;
}

static struct span part(struct span s, size_t from, size_t to)
{
    return (struct span){s.text + from, to - from};
}

static bool equals(struct span s, const char *text)
{
    return s.length == strlen(text) && memcmp(s.text, text, s.length) == 0;
}

/* The index of the first `c`, or the length. */
static size_t find(struct span s, char c)
{
    const char *at = s.length ? memchr(s.text, c, s.length) : NULL;
    return at ? (size_t)(at - s.text) : s.length;
}

/* Without quotes, or without the comment that follows. */
static struct span unquote(struct span s)
{
    s = trim(s);
    if (s.length && (s.text[0] == '"' || s.text[0] == '\'')) {
        const struct span rest = part(s, 1, s.length);
        return part(rest, 0, find(rest, s.text[0]));
    }
    for (size_t i = 1; i < s.length; i++)
        if (s.text[i] == '#' && strchr(" \t", s.text[i - 1]))
            return trim(part(s, 0, i));
    return s;
}

static bool is_utf8(struct span s)
{
    json_t *text = json_stringn(s.text, s.length);
    json_decref(text);
    return text != NULL && memchr(s.text, 0, s.length) == NULL;
}

static void add(struct model_card *card, const char *key, struct span value)
{
    value = unquote(value);
    if (value.length == 0 || equals(value, "null") || equals(value, "~") || !is_utf8(value))
        return;
    struct model_card_pair *grown = mem_grow(card->pair, card->pairs, sizeof *grown);
    const char *copy = arena_text(&card->arena, value.text, value.length);
    if (grown)
        card->pair = grown;
    if (grown && copy)
        card->pair[card->pairs++] = (struct model_card_pair){key, copy};
}

/* `key: ...` at the margin.  Returns the key if a list follows on the next lines. */
static const char *read_member(struct model_card *card, struct span line)
{
    const size_t colon = find(line, ':');
    if (colon == line.length)
        return NULL;
    const char *key = arena_text(&card->arena, line.text, colon);
    struct span value = trim(part(line, colon + 1, line.length));
    if (!key || value.length == 0)
        return key;
    if (value.text[0] == '[') {
        struct span list = part(value, 1, find(value, ']'));
        while (list.length) {
            const size_t comma = find(list, ',');
            add(card, key, part(list, 0, comma));
            list = part(list, comma + (comma < list.length), list.length);
        }
    } else if (!strchr("|>{&*!", value.text[0])) {
        add(card, key, value);
    }
    return NULL;
}

static void parse(struct model_card *card, struct span file)
{
    const char *list = NULL; /* the key whose items follow */
    for (size_t number = 0; file.length; number++) {
        const size_t end = find(file, '\n');
        const struct span line = part(file, 0, end), text = trim(line);
        file = part(file, end + (end < file.length), file.length);
        if (number == 0 ? !equals(text, "---") : equals(text, "---"))
            return;
        if (number == 0 || text.length == 0 || text.text[0] == '#')
            continue;
        if (text.text[0] == '-') {
            if (list)
                add(card, list, part(text, 1, text.length));
        } else if (text.text == line.text) {
            list = read_member(card, line);
        }
    }
}

void model_card_open(struct model_card *card, const char *folder)
{
    char path[PATH_ROOM];
    struct map map;
    memset(card, 0, sizeof *card);
    const int n = snprintf(path, sizeof path, "%s/README.md", folder);
    if (n < 0 || n >= PATH_ROOM || !map_open(&map, path, NULL))
        return;
    const size_t size = map.size < CARD_BYTES_MAX ? map.size : CARD_BYTES_MAX;
    parse(card, (struct span){(const char *)map.data, size});
    map_close(&map);
}

void model_card_close(struct model_card *card)
{
    free(card->pair);
    arena_close(&card->arena);
    memset(card, 0, sizeof *card);
}

size_t model_card_list(const struct model_card *card, const char *key, const char **value,
                       size_t room)
{
    size_t count = 0;
    for (size_t i = 0; i < card->pairs && count < room; i++)
        if (strcmp(card->pair[i].key, key) == 0)
            value[count++] = card->pair[i].value;
    return count;
}

const char *model_card_text(const struct model_card *card, const char *key)
{
    const char *value;
    return model_card_list(card, key, &value, 1) ? value : NULL;
}
