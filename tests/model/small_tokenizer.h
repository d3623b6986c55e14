/* small_tokenizer.h - tokenizers of a few hundred tokens, as metadata: for tests and the fuzzer.
 *
 * small_bpe: id b stands for byte b; then come the results of the merges, SMALL_END (a control
 * token), SMALL_TOOL and SMALL_TOOLS (user-defined), SMALL_WORD (a word that no merge makes).
 * small_spm: unknown, begin, end, 256 bytes, then pieces. */
#ifndef TESTS_MODEL_SMALL_TOKENIZER_H
#define TESTS_MODEL_SMALL_TOKENIZER_H

#include "formats/hf_vocab.h"
#include "formats/meta.h"

#include <string.h>

/* "th" is 256, and so on. */
static const char *const small_merge[] = {
    "t h", "th e", "h e", "a a", "aa aa", "1 2", "\u0120 the", "\u00c3 \u00a9", "\u010a \u010a"};
enum {
    SMALL_MERGES = sizeof small_merge / sizeof *small_merge,
    SMALL_END = 256 + SMALL_MERGES,
    SMALL_TOOL,
    SMALL_TOOLS,
    SMALL_WORD,
    SMALL_TOKENS,

    SMALL_UNK = 0,
    SMALL_BOS = 1,
    SMALL_EOS = 2,
    SMALL_BYTE = 3, /* + byte */
    SMALL_PIECE = SMALL_BYTE + 256,
};

/* As SentencePiece lists them, the highest score first: SMALL_PIECE + index. */
static const char *const small_piece[] = {
    "\u2581t", "he", "\u2581the", "in", "\u2581a", "\u2581\u2581",
    "ab",      "bc", "\u2581",    "e",  "t",       "h",
    "a",       "b",  "c",         "i",  "n",       "\u00e9"};
enum { SMALL_PIECES = sizeof small_piece / sizeof *small_piece };

static inline struct meta_text small_text(const char *text)
{
    return (struct meta_text){text, strlen(text)};
}

/* The letter that a byte-level BPE spells that byte with. */
static inline const char *small_letter(struct arena *a, int byte)
{
    int point = byte;
    if (byte <= 0x20)
        point = 0x100 + byte;
    else if (byte >= 0x7f && byte <= 0xa0)
        point = 0x121 + byte - 0x7f;
    else if (byte == 0xad)
        point = 0x143;
    if (point < 0x80)
        return arena_printf(a, "%c", point);
    return arena_printf(a, "%c%c", 0xc0 | point >> 6, 0x80 | (point & 0x3f));
}

static inline void small_bpe(struct meta *m, const char *pre)
{
    struct meta_text token[SMALL_TOKENS], merge[SMALL_MERGES];
    int32_t type[SMALL_TOKENS];
    for (int id = 0; id < SMALL_TOKENS; id++)
        type[id] = TOKEN_NORMAL;
    for (int b = 0; b < 256; b++)
        token[b] = small_text(small_letter(&m->arena, b));
    for (int i = 0; i < SMALL_MERGES; i++) {
        const char *space = strchr(small_merge[i], ' ');
        merge[i] = small_text(small_merge[i]);
        token[256 + i] = small_text(arena_printf(&m->arena, "%.*s%s", (int)(space - small_merge[i]),
                                                 small_merge[i], space + 1));
    }
    token[SMALL_END] = small_text("<|end|>");
    type[SMALL_END] = TOKEN_CONTROL;
    token[SMALL_TOOL] = small_text("<tool>");
    token[SMALL_TOOLS] = small_text("<tool>s");
    type[SMALL_TOOL] = type[SMALL_TOOLS] = TOKEN_USER_DEFINED;
    token[SMALL_WORD] = small_text("word");
    meta_set_text(m, "tokenizer.ggml.model", "gpt2");
    meta_set_text(m, "tokenizer.ggml.pre", pre);
    meta_set_texts(m, "tokenizer.ggml.tokens", token, SMALL_TOKENS);
    meta_set_i32s(m, "tokenizer.ggml.token_type", type, SMALL_TOKENS);
    meta_set_texts(m, "tokenizer.ggml.merges", merge, SMALL_MERGES);
    meta_set_u32(m, "tokenizer.ggml.bos_token_id", SMALL_END);
    meta_set_u32(m, "tokenizer.ggml.eos_token_id", SMALL_END);
}

static inline void small_spm(struct meta *m)
{
    enum { TOKENS = SMALL_PIECE + SMALL_PIECES };
    struct meta_text token[TOKENS] = {{"<unk>", 5}, {"<s>", 3}, {"</s>", 4}};
    int32_t type[TOKENS] = {TOKEN_UNKNOWN, TOKEN_CONTROL, TOKEN_CONTROL};
    float score[TOKENS] = {0};
    for (int b = 0; b < 256; b++) {
        token[SMALL_BYTE + b] = small_text(arena_printf(&m->arena, "<0x%02X>", b));
        type[SMALL_BYTE + b] = TOKEN_BYTE;
    }
    for (int i = 0; i < SMALL_PIECES; i++) {
        token[SMALL_PIECE + i] = small_text(small_piece[i]);
        type[SMALL_PIECE + i] = TOKEN_NORMAL;
        score[SMALL_PIECE + i] = (float)-i;
    }
    meta_set_text(m, "tokenizer.ggml.model", "llama");
    meta_set_texts(m, "tokenizer.ggml.tokens", token, TOKENS);
    meta_set_i32s(m, "tokenizer.ggml.token_type", type, TOKENS);
    meta_set_f32s(m, "tokenizer.ggml.scores", score, TOKENS);
}

#endif
