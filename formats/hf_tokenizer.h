/* hf_tokenizer.h - a Hugging Face tokenizer into the GGUF keys that stock llama.cpp reads.
 *
 * Reads tokenizer.json, tokenizer_config.json, special_tokens_map.json, generation_config.json,
 * config.json's token ids and added_tokens.json, whichever are there, and sets tokenizer.ggml.*
 * and tokenizer.chat_template.  Source of the keys: the GGUF specification; of the pre-tokenizer
 * names: stock llama.cpp's list, matched by the splitter's regular expressions and normalizer.
 */
#ifndef FORMATS_HF_TOKENIZER_H
#define FORMATS_HF_TOKENIZER_H

#include "core/err.h"
#include "formats/meta.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum { HF_TOKENIZER_NOTE_MAX = 512 };

struct hf_tokenizer_options {
    const char *pre;     /* --pre NAME: tokenizer.ggml.pre as given; NULL: recognised */
    uint64_t vocab_size; /* rows of the embedding: the vocabulary is padded to it with [PADi] */
};

struct hf_tokenizer_facts {
    uint64_t tokens; /* of the tokenizer, before padding */
    char pre[64]; /* what was written; "" for SentencePiece-like models, which have no splitter */
    bool pre_guessed;                 /* unknown splitter: "default" was written, note says so */
    char note[HF_TOKENIZER_NOTE_MAX]; /* a warning for the person, or "" */
};

/* The files of a model folder, parsed; NULL where one is not there. */
struct hf_tokenizer_files {
    json_t *tokenizer; /* needed */
    json_t *tokenizer_config;
    json_t *special_tokens_map;
    json_t *generation_config;
    json_t *added_tokens;
    json_t *chat_template; /* a string, or a list of {name, template}; after tokenizer_config's */
    const json_t *config;
};

/* Fails with ERR_FORMAT (what and where), ERR_UNSUPPORTED (a kind of tokenizer that no GGUF key
 * describes), or ERR_IO where the folder has no tokenizer.json. */
bool hf_tokenizer_read(const char *folder, const json_t *config,
                       const struct hf_tokenizer_options *options, struct meta *meta,
                       struct hf_tokenizer_facts *facts, struct err *err);

/* The same from files already in memory; they stay the caller's. */
bool hf_tokenizer_parse(const struct hf_tokenizer_files *files,
                        const struct hf_tokenizer_options *options, struct meta *meta,
                        struct hf_tokenizer_facts *facts, struct err *err);

#endif
