/* tok_kind.h - what a kind of tokenizer does: for tokenizer.c and the tok_*.c files alone. */
#ifndef MODEL_TOK_KIND_H
#define MODEL_TOK_KIND_H

#include "model/splitter.h"
#include "model/tok_merge.h"
#include "model/tokenizer.h"

/* What one call of tokenizer_encode needs; zeroed before, closed after it by tokenizer.c. */
struct tok_run {
    struct token_list *out;
    bool first; /* the text begins here, or behind a special token */
    struct tok_merge merge;
    struct splitter_run split;
    struct token_text scratch;
};

struct tok_kind {
    const char *name; /* tokenizer.ggml.model */
    /* Fills t->state, t->piece and the habits (add_bos, space_prefix, special ids) that hold where
     * no key says otherwise; text, type and tokens are set. */
    bool (*open)(struct tokenizer *t, const struct meta *meta, struct err *err);
    void (*close)(struct tokenizer *t); /* also of a half-opened state */
    /* Appends the tokens of a text without special ones in it. */
    bool (*encode)(const struct tokenizer *t, struct tok_run *run, const char *text, size_t length,
                   struct err *err);
};

extern const struct tok_kind tok_bpe, tok_spm;

/* "▁", as SentencePiece spells a space, to " ": into `out`, which has room for `length` bytes.
 * Returns the bytes written. */
size_t tok_spaces(const char *text, size_t length, char *out);

#endif
