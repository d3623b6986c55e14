/* Any bytes to tokens and back: by several splitters and SentencePiece-like.
 *
 * The first byte chooses the tokenizer and the flags, the rest is the text.  Decoding gives the
 * text again (but for names that compose it, and U+2581, which is a space to SentencePiece). */
#include "model/tok_kind.h"
#include "model/tokenizer.h"
#include "tests/model/small_tokenizer.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const names[] = {
    "gpt-2",  "llama-bpe",  "deepseek-llm", "deepseek-v3", "tekken",  "kimi-k2",
    "falcon", "exaone-moe", "superbpe",     "tiny_aya",    "default", "qwen2",
};
enum { NAMES = sizeof names / sizeof *names, TOKENIZERS = NAMES + 1 };

static const struct tokenizer *get(size_t i)
{
    static struct meta meta[TOKENIZERS];
    static struct tokenizer t[TOKENIZERS];
    if (!t[i].kind) {
        if (i < NAMES)
            small_bpe(&meta[i], names[i]);
        else
            small_spm(&meta[i]);
        if (!tokenizer_open(&t[i], &meta[i], NULL))
            abort();
    }
    return &t[i];
}

static bool composes(size_t i)
{
    const struct pretokenizer_name *n = pretokenizer_names;
    while (i < NAMES && strcmp(n->name, names[i]) != 0)
        n++;
    return i < NAMES && n->nfc;
}

static void check_stream(const struct tokenizer *t, const struct token_list *l, unsigned flags,
                         const struct token_text *wanted)
{
    struct token_stream s = {.tokenizer = t, .flags = flags};
    struct token_text text = {0};
    for (size_t i = 0; i < l->count; i++)
        if (!token_stream_next(&s, l->id[i], &text, NULL) || s.held_bytes > 3)
            abort();
    if (!token_stream_end(&s, &text, NULL) || text.length != wanted->length ||
        (text.length > 0 && memcmp(text.text, wanted->text, text.length) != 0))
        abort();
    token_text_close(&text);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    const size_t which = data[0] % TOKENIZERS;
    const struct tokenizer *t = get(which);
    const unsigned flags = which < NAMES && data[0] >= 128 ? TOKENIZER_PARSE : 0;
    struct token_list l = {0};
    struct token_text text = {0};
    char *wanted = malloc(size);
    memcpy(wanted, data + 1, size - 1);
    const size_t bytes = which < NAMES ? size - 1 : tok_spaces(wanted, size - 1, wanted);
    if (!tokenizer_encode(t, (const char *)data + 1, size - 1, flags, &l, NULL))
        abort();
    if (!tokenizer_decode(t, l.id, l.count, flags, &text, NULL)) /* refuses ids beyond the last */
        abort();
    if (!composes(which) &&
        (text.length != bytes || (bytes && memcmp(text.text, wanted, bytes) != 0)))
        abort();
    check_stream(t, &l, flags, &text);
    token_list_close(&l);
    token_text_close(&text);
    free(wanted);
    return 0;
}
