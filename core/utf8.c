#include "core/utf8.h"

#include <stdbool.h>
#include <stdint.h>

/* How long the character is that this byte begins; 0: none. */
static size_t length_of(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc2 || first > 0xf4)
        return 0;
    return first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}

/* May `second` follow `first`?  This is where overlong forms and surrogates end. */
static bool goes_on(uint8_t first, uint8_t second)
{
    const uint8_t least = first == 0xe0 ? 0xa0 : first == 0xf0 ? 0x90 : 0x80;
    const uint8_t most = first == 0xed ? 0x9f : first == 0xf4 ? 0x8f : 0xbf;
    return second >= least && second <= most;
}

/* Bytes of text that are as a character's must be: `wanted`, or fewer. */
static size_t well_formed(const char *text, size_t size, size_t *wanted)
{
    const uint8_t first = size > 0 ? (uint8_t)text[0] : 0xff;
    *wanted = length_of(first);
    if (*wanted < 2 || size < 2 || !goes_on(first, (uint8_t)text[1]))
        return *wanted > 0;
    size_t n = 2;
    while (n < *wanted && n < size && ((uint8_t)text[n] & 0xc0) == 0x80)
        n++;
    return n;
}

size_t utf8_length(const char *text, size_t size)
{
    size_t wanted;
    return well_formed(text, size, &wanted) == wanted ? wanted : 0;
}

size_t utf8_valid(const char *text, size_t size)
{
    size_t at = 0;
    for (size_t n; at < size && (n = utf8_length(text + at, size - at)) > 0;)
        at += n;
    return at;
}

size_t utf8_unfinished(const char *text, size_t size)
{
    for (size_t n = 1; n <= 3 && n <= size; n++) {
        size_t wanted;
        if (well_formed(text + size - n, n, &wanted) == n && n < wanted)
            return n;
    }
    return 0;
}
