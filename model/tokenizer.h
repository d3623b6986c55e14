/* tokenizer.h - text to tokens and back, as a model file's metadata says (tokenizer.ggml.*).
 *
 * Kinds: "gpt2" (byte-level BPE, model/tok_bpe.h) and "llama" (SentencePiece-like,
 * model/tok_spm.h). A tokenizer points into the metadata, which must outlive it; it is constant
 * once opened and may be shared by threads.
 *
 * Any bytes are a text.  Bytes that are no UTF-8 become tokens of their own, byte by byte, and
 * come back as they were; NUL is a character like others.
 *
 * To add a kind: a row in tokenizer.c, and a file that opens, encodes and closes it.
 */
#ifndef MODEL_TOKENIZER_H
#define MODEL_TOKENIZER_H

#include "core/arena.h"
#include "core/err.h"
#include "formats/meta.h"
#include "model/tok_special.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tok_kind;

enum tokenizer_special {
    TOKENIZER_BOS,
    TOKENIZER_EOS,
    TOKENIZER_EOT, /* end of a turn */
    TOKENIZER_EOM, /* end of a message */
    TOKENIZER_UNK,
    TOKENIZER_SEP,
    TOKENIZER_PAD,
    TOKENIZER_CLS,
    TOKENIZER_MASK,
    TOKENIZER_SPECIALS,
};

enum { TOKENIZER_ENDS = 16 };

struct tokenizer {
    const struct tok_kind *kind;
    void *state;                  /* of the kind */
    const struct meta_text *text; /* tokens as the file spells them, in the metadata */
    size_t tokens;
    uint8_t *type;                       /* enum token_type of each */
    struct meta_text *piece;             /* the bytes that each stands for */
    int64_t special[TOKENIZER_SPECIALS]; /* ids, -1: it has none */
    bool add_bos, add_eos;               /* around a text */
    bool space_prefix;                   /* a space before a text */
    struct tok_special user;             /* tokens that are always found in a text as spelled */
    struct tok_special spelled;          /* the same and control tokens */
    uint32_t end[TOKENIZER_ENDS];        /* tokens that end a generation */
    size_t ends;
    struct arena arena;
};

/* Ids, appended to; zeroed before its first use. */
struct token_list {
    uint32_t *id;
    size_t count, room;
};

/* Bytes, appended to; zeroed before its first use.  No NUL stands behind them. */
struct token_text {
    char *text;
    size_t length, room;
};

enum tokenizer_flags {
    TOKENIZER_AROUND = 1, /* encode: BOS and EOS where the model has them around a text */
    TOKENIZER_PARSE = 2,  /* encode: control tokens by their spelling; decode: spell them */
};

/* Fails with ERR_UNSUPPORTED (another kind of tokenizer, an unknown splitter), ERR_FORMAT (keys
 * that lack or contradict each other) or ERR_MEMORY; *t is then closed. */
bool tokenizer_open(struct tokenizer *t, const struct meta *meta, struct err *err);
void tokenizer_close(struct tokenizer *t);

/* Appends the tokens of a text.  Fails with ERR_MEMORY. */
bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, unsigned flags,
                      struct token_list *out, struct err *err);

/* Appends the text of tokens.  Fails with ERR_USAGE (an id beyond the vocabulary) or ERR_MEMORY. */
bool tokenizer_decode(const struct tokenizer *t, const uint32_t *id, size_t count, unsigned flags,
                      struct token_text *out, struct err *err);

/* Does this token end a generation? */
bool tokenizer_is_end(const struct tokenizer *t, uint32_t id);

/* Decoding token by token.  A character whose bytes come in several tokens is held back until it
 * is whole. */
struct token_stream {
    const struct tokenizer *tokenizer;
    unsigned flags;
    bool goes_on; /* the text has begun: a model's space before a text is no longer dropped */
    char held[4];
    size_t held_bytes;
};

bool token_stream_next(struct token_stream *s, uint32_t id, struct token_text *out,
                       struct err *err);

/* Appends what is still held back. */
bool token_stream_end(struct token_stream *s, struct token_text *out, struct err *err);

/* Both fail with ERR_MEMORY. */
bool token_list_add(struct token_list *l, uint32_t id, struct err *err);
bool token_text_add(struct token_text *t, const char *bytes, size_t count, struct err *err);

void token_list_close(struct token_list *l);
void token_text_close(struct token_text *t);

#endif
