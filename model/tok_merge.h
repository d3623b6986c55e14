/* tok_merge.h - the loop that byte-pair encodings share: neighbours become one, the best pair
 * first.
 *
 * A text begins as symbols (bytes or characters).  Again and again the pair of neighbours with
 * the lowest order, of equals the leftmost, becomes one symbol, until no neighbours make a pair.
 * A heap of pairs over a linked list of symbols: n log n in the symbols, whatever the text is.
 */
#ifndef MODEL_TOK_MERGE_H
#define MODEL_TOK_MERGE_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TOK_NONE UINT32_MAX /* no token, no symbol */

/* Bytes that stand together: text[start..start + length). */
struct tok_symbol {
    uint32_t start, length; /* length 0: it became part of another */
    uint32_t before, after; /* symbols; TOK_NONE at the ends */
    uint32_t id;            /* its token, or TOK_NONE */
};

struct tok_pair {
    uint32_t order; /* lowest first */
    uint32_t id;    /* of the symbol that it makes */
};

/* Do these neighbours make a pair? */
typedef bool (*tok_pair_fn)(const void *vocabulary, const char *text, const struct tok_symbol *left,
                            const struct tok_symbol *right, struct tok_pair *pair);

struct tok_candidate;

/* Zeroed before its first use; closed after the last. */
struct tok_merge {
    struct tok_symbol *symbol;
    size_t symbols, symbol_room;
    struct tok_candidate *heap;
    size_t candidates, heap_room;
};

void tok_merge_close(struct tok_merge *m);

/* Makes room for `symbols` of them and forgets the old ones.  Fails with ERR_MEMORY, and where
 * there are more than 32-bit numbers count. */
bool tok_merge_begin(struct tok_merge *m, size_t symbols, struct err *err);

/* Adds the next symbol, right behind the one before. */
void tok_merge_add(struct tok_merge *m, uint32_t length, uint32_t id);

/* Merges all that can be.  What is left is walked from symbol 0 by `after`. */
void tok_merge_run(struct tok_merge *m, const char *text, tok_pair_fn pair, const void *vocabulary);

#endif
