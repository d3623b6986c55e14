/* Any bytes to tokens and back: by several splitters and SentencePiece-like.
 *
 * The first byte chooses the tokenizer and the flags, the rest is the text.  Decoding gives the
 * text again (but for names that compose it, and U+2581, which is a space to SentencePiece).
 * First byte 0xff: the rest is a tokenizer, a line for each token (its type, then its spelling) up
 * to an empty line, a line for each merge up to the next, and a text. */
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

/* The lines up to an empty one; *at is then behind it. */
static size_t read_lines(const char **at, const char *end, struct meta_text *line, size_t most)
{
    size_t lines = 0;
    while (*at < end && lines < most) {
        const char *stop = memchr(*at, '\n', (size_t)(end - *at));
        stop = stop ? stop : end;
        line[lines] = (struct meta_text){*at, (size_t)(stop - *at)};
        *at = stop + (stop < end);
        if (line[lines++].length == 0)
            return lines - 1;
    }
    return lines;
}

static void any_tokenizer(const char *at, const char *end)
{
    enum { MOST = 512 };
    struct meta_text line[MOST];
    int32_t type[MOST];
    float score[MOST];
    struct meta meta = {0};
    struct tokenizer t;
    struct err err = {0};
    size_t tokens = read_lines(&at, end, line, MOST);
    for (size_t i = 0; i < tokens; i++) {
        type[i] = line[i].text[0] - '0';
        score[i] = (float)(line[i].length % 5);
        line[i] = (struct meta_text){line[i].text + 1, line[i].length - 1};
    }
    meta_set_text(&meta, "tokenizer.ggml.model", tokens % 2 ? "gpt2" : "llama");
    meta_set_texts(&meta, "tokenizer.ggml.tokens", line, tokens);
    meta_set_i32s(&meta, "tokenizer.ggml.token_type", type, tokens);
    meta_set_f32s(&meta, "tokenizer.ggml.scores", score, tokens);
    meta_set_u32(&meta, "tokenizer.ggml.eos_token_id", 3);
    meta_set_texts(&meta, "tokenizer.ggml.merges", line, read_lines(&at, end, line, MOST));
    const bool ok = tokenizer_open(&t, &meta, &err);
    if (ok != (err.code == ERR_NONE))
        abort();
    for (unsigned flags = 0; ok && flags < 4; flags++) {
        struct token_list l = {0};
        struct token_text text = {0};
        if (!tokenizer_encode(&t, at, (size_t)(end - at), flags, &l, NULL) ||
            !tokenizer_decode(&t, l.id, l.count, flags, &text, NULL))
            abort();
        token_list_close(&l);
        token_text_close(&text);
    }
    tokenizer_close(&t);
    meta_close(&meta);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    if (data[0] == 0xff) {
        any_tokenizer((const char *)data + 1, (const char *)data + size);
        return 0;
    }
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
