#include "tools/text.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <utf8proc.h>

#define ELLIPSIS "\xe2\x80\xa6"

struct letter {
    const char *bytes;
    size_t length; /* in the text */
    int width;
    bool bad;
};

/* The letter at text, which is not at its end. */
static struct letter letter_at(const char *text)
{
    utf8proc_int32_t code;
    const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text, -1, &code);
    if (n <= 0)
        return (struct letter){"?", 1, 1, true};
    const utf8proc_category_t category = utf8proc_category(code);
    if (category == UTF8PROC_CATEGORY_CC || category == UTF8PROC_CATEGORY_CF ||
        category == UTF8PROC_CATEGORY_CN || category == UTF8PROC_CATEGORY_ZL ||
        category == UTF8PROC_CATEGORY_ZP)
        return (struct letter){"?", (size_t)n, 1, true};
    return (struct letter){text, (size_t)n, utf8proc_charwidth(code), false};
}

int text_width(const char *text)
{
    int width = 0;
    while (*text) {
        const struct letter l = letter_at(text);
        width += l.width;
        text += l.length;
    }
    return width;
}

/* Adds letters up to `width` columns; returns how far it came in the text. */
static const char *add(char *out, size_t room, const char *text, int width)
{
    size_t used = strlen(out);
    while (*text) {
        const struct letter l = letter_at(text);
        const size_t bytes = l.bad ? 1 : l.length;
        if (l.width > width || used + bytes >= room)
            break;
        memcpy(out + used, l.bytes, bytes);
        used += bytes;
        width -= l.width;
        text += l.length;
    }
    out[used] = '\0';
    return text;
}

/* What is left of text behind all letters but those of its last `width` columns. */
static const char *tail(const char *text, int width)
{
    for (int whole = text_width(text); whole > width;) {
        const struct letter l = letter_at(text);
        whole -= l.width;
        text += l.length;
    }
    return text;
}

const char *text_fit(const char *text, int width, char *out, size_t room)
{
    out[0] = '\0';
    if (text_width(text) <= width && *add(out, room, text, width) == '\0')
        return out;
    out[0] = '\0';
    if (width < 1 || room < 2 * sizeof ELLIPSIS)
        return out;
    const int letters = (int)((room - sizeof ELLIPSIS) / 4); /* of four bytes */
    const int kept = (width < letters ? width : letters) - 1;
    const char *rest = add(out, room - sizeof ELLIPSIS, text, kept - kept / 2);
    memcpy(out + strlen(out), ELLIPSIS, sizeof ELLIPSIS);
    add(out, room, tail(rest, kept / 2), kept / 2);
    return out;
}
