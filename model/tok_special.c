#include "model/tok_special.h"

#include "core/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

bool tok_special_open(struct tok_special *s, size_t count, struct err *err)
{
    memset(s, 0, sizeof *s);
    s->spelling = mem_alloc(count, sizeof *s->spelling);
    s->room = count;
    return s->spelling || err_set(err, ERR_MEMORY, "no memory for %zu special tokens", count);
}

void tok_special_close(struct tok_special *s)
{
    free(s->spelling);
    memset(s, 0, sizeof *s);
}

void tok_special_add(struct tok_special *s, const char *text, size_t length, uint32_t id)
{
    if (length == 0)
        return;
    assert(s->count < s->room);
    s->spelling[s->count++] = (struct tok_spelling){text, length, id};
}

/* By bytes, the shorter first, then by id: the order is the same whatever qsort does. */
static int compare(const void *left, const void *right)
{
    const struct tok_spelling *a = left, *b = right;
    const int order = memcmp(a->text, b->text, a->length < b->length ? a->length : b->length);
    if (order != 0)
        return order;
    if (a->length != b->length)
        return a->length < b->length ? -1 : 1;
    return (a->id > b->id) - (a->id < b->id);
}

void tok_special_sort(struct tok_special *s)
{
    qsort(s->spelling, s->count, sizeof *s->spelling, compare);
    size_t i = 0;
    for (size_t b = 0; b <= 256; b++) {
        while (i < s->count && (uint8_t)s->spelling[i].text[0] < b)
            i++;
        s->first[b] = i;
    }
}

/* In [low, high), whose spellings agree in their first `depth` bytes and are longer: where those
 * begin whose next byte is at least `byte`. */
static size_t lower_bound(const struct tok_special *s, size_t low, size_t high, size_t depth,
                          unsigned byte)
{
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        if ((uint8_t)s->spelling[middle].text[depth] < byte)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* The longest spelling that text begins with. */
static const struct tok_spelling *longest(const struct tok_special *s, const char *text,
                                          size_t length)
{
    const uint8_t *byte = (const uint8_t *)text;
    const struct tok_spelling *found = NULL;
    size_t low = s->first[byte[0]], high = s->first[byte[0] + 1];
    for (size_t depth = 1; low < high; depth++) {
        if (s->spelling[low].length == depth)
            found = &s->spelling[low];
        while (low < high && s->spelling[low].length == depth)
            low++;
        if (depth == length)
            break;
        low = lower_bound(s, low, high, depth, byte[depth]);
        high = lower_bound(s, low, high, depth, byte[depth] + 1u);
    }
    return found;
}

const struct tok_spelling *tok_special_find(const struct tok_special *s, const char *text,
                                            size_t length, size_t from, size_t *at)
{
    for (*at = from; *at < length; ++*at) {
        const struct tok_spelling *found = longest(s, text + *at, length - *at);
        if (found)
            return found;
    }
    return NULL;
}
