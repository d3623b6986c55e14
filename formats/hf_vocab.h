/* hf_vocab.h - the pieces of a Hugging Face tokenizer by id, as GGUF lists them.
 *
 * Gathers them from tokenizer.json (model.vocab, added_tokens), tokenizer_config.json
 * (added_tokens_decoder) and added_tokens.json; fills ids that nobody names, and rows of
 * the embedding beyond the last, with [PADi].  Points into the JSON, which must outlive it.
 */
#ifndef FORMATS_HF_VOCAB_H
#define FORMATS_HF_VOCAB_H

#include "core/arena.h"
#include "core/err.h"
#include "formats/hf_tokenizer.h"
#include "formats/meta.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* tokenizer.ggml.token_type */
enum token_type {
    TOKEN_NORMAL = 1,
    TOKEN_UNKNOWN = 2,
    TOKEN_CONTROL = 3, /* never made from text unless asked */
    TOKEN_USER_DEFINED = 4,
    TOKEN_UNUSED = 5,
    TOKEN_BYTE = 6,
};

struct hf_vocab {
    json_t *vocab;      /* tokenizer.json's model.vocab: piece -> id */
    json_t *added;      /* the same of pieces that are not in it */
    bool byte_fallback; /* SentencePiece-like: "<0x0A>" is a byte */
    struct meta_text *text;
    int32_t *type;
    size_t tokens; /* the highest id + 1 */
    size_t rows;   /* the length of text and type: tokens and the padding behind them */
    struct arena arena;
};

/* `rows` of the embedding, 0: as many as tokens.  Fails with ERR_FORMAT (two pieces with one id,
 * an id out of range, more tokens than rows) or ERR_MEMORY.  Close it also after a failure. */
bool hf_vocab_open(struct hf_vocab *v, const struct hf_tokenizer_files *from, uint64_t rows,
                   struct err *err);

void hf_vocab_close(struct hf_vocab *v);

/* The id of a piece as the tokenizer spells it. */
bool hf_vocab_find(const struct hf_vocab *v, const char *text, size_t length, uint32_t *id);

/* Sets tokenizer.ggml.tokens and .token_type. */
void hf_vocab_write(const struct hf_vocab *v, struct meta *m);

#endif
