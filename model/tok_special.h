/* tok_special.h - finds the tokens that stand in a text as they are spelled: "<|im_end|>".
 *
 * A sorted list of spellings.  At each place the longest one counts, the leftmost place first.
 */
#ifndef MODEL_TOK_SPECIAL_H
#define MODEL_TOK_SPECIAL_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tok_spelling {
    const char *text;
    size_t length;
    uint32_t id;
};

struct tok_special {
    struct tok_spelling *spelling; /* sorted by their bytes; none is empty */
    size_t count, room;
    size_t first[257]; /* those that begin with byte b: [first[b], first[b + 1]) */
};

/* A list with room for `count` spellings.  Fails with ERR_MEMORY. */
bool tok_special_open(struct tok_special *s, size_t count, struct err *err);
void tok_special_close(struct tok_special *s);

/* Adds one, which must outlive the list; an empty one is not added. */
void tok_special_add(struct tok_special *s, const char *text, size_t length, uint32_t id);

/* Call it when all are there. */
void tok_special_sort(struct tok_special *s);

/* The next one from text[from] on; *at is where it begins.  NULL: there is none. */
const struct tok_spelling *tok_special_find(const struct tok_special *s, const char *text,
                                            size_t length, size_t from, size_t *at);

#endif
