/* SentencePiece's BPE: characters merge into the neighbour token of the highest score; what is no
 * token is spelled in bytes ("<0x0A>").  Pieces are kept with spaces in place of U+2581. */
#include "core/mem.h"
#include "core/utf8.h"
#include "formats/hf_vocab.h"
#include "model/tok_kind.h"
#include "model/tok_map.h"

#include <stdlib.h>
#include <string.h>

struct spm {
    struct tok_map map;
    bool joins[256][256]; /* does a token have these two bytes next to each other? */
    uint32_t *order;      /* of each token: 0 for the highest score */
    uint32_t byte[256];
};

size_t tok_spaces(const char *text, size_t length, char *out)
{
    static const char mark[] = "\u2581";
    char *end = out;
    for (size_t i = 0; i < length;) {
        const bool space = length - i >= 3 && memcmp(text + i, mark, 3) == 0;
        *end = text[i];
        if (space)
            *end = ' ';
        end++;
        i += space ? 3 : 1;
    }
    return (size_t)(end - out);
}

/* A float as a number that falls where it rises; NaN comes last. */
static uint32_t falling(double score)
{
    const float f = (float)score;
    uint32_t bits;
    if (f != f)
        return UINT32_MAX;
    memcpy(&bits, &f, sizeof bits);
    return bits >> 31 ? bits : ~(bits | 0x80000000u);
}

static int hex(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

/* "<0x0A>" is 10; -1: no byte. */
static int byte_of(const struct meta_text *t)
{
    if (t->length != 6 || memcmp(t->text, "<0x", 3) != 0 || t->text[5] != '>' ||
        hex(t->text[3]) < 0 || hex(t->text[4]) < 0)
        return -1;
    return hex(t->text[3]) * 16 + hex(t->text[4]);
}

static bool open_piece(struct tokenizer *t, struct spm *s, uint32_t id, struct err *err)
{
    const struct meta_text *text = &t->text[id];
    char *bytes = arena_alloc(&t->arena, text->length + 1, 1);
    if (!bytes)
        return err_set(err, ERR_MEMORY, "no memory for %zu tokens", t->tokens);
    t->piece[id] = (struct meta_text){bytes, text->length};
    memcpy(bytes, text->text, text->length);
    if (t->type[id] == TOKEN_NORMAL) {
        t->piece[id].length = tok_spaces(text->text, text->length, bytes);
        tok_map_add(&s->map, id);
        for (size_t i = 1; i < t->piece[id].length; i++)
            s->joins[(uint8_t)bytes[i - 1]][(uint8_t)bytes[i]] = true;
    }
    const int byte = t->type[id] == TOKEN_BYTE ? byte_of(text) : -1;
    if (byte >= 0) {
        bytes[0] = (char)byte;
        t->piece[id].length = 1;
        s->byte[byte] = id;
    }
    return true;
}

static bool open(struct tokenizer *t, const struct meta *meta, struct err *err)
{
    const struct meta_value *score = meta_find(meta, "tokenizer.ggml.scores");
    struct spm *s = t->state = calloc(1, sizeof *s);
    if (!s || !(s->order = mem_alloc(t->tokens, sizeof *s->order)))
        return err_set(err, ERR_MEMORY, "no memory for %zu scores", t->tokens);
    if (!score || score->type != META_ARRAY || score->elem != META_F32 || score->count < t->tokens)
        return err_set(err, ERR_FORMAT,
                       "tokenizer.ggml.scores is not a float for each of %zu tokens", t->tokens);
    if (!tok_map_open(&s->map, t->piece, t->tokens, err))
        return false;
    for (int b = 0; b < 256; b++)
        s->byte[b] = TOK_NONE;
    for (uint32_t id = 0; id < t->tokens; id++) {
        s->order[id] = falling(meta_element(score, id).as.f);
        if (!open_piece(t, s, id, err))
            return false;
    }
    t->add_bos = t->space_prefix = true;
    t->special[TOKENIZER_BOS] = 1;
    t->special[TOKENIZER_EOS] = 2;
    t->special[TOKENIZER_UNK] = 0;
    return true;
}

static void close(struct tokenizer *t)
{
    struct spm *s = t->state;
    if (s) {
        tok_map_close(&s->map);
        free(s->order);
    }
    free(s);
}

static bool pair(const void *state, const char *text, const struct tok_symbol *left,
                 const struct tok_symbol *right, struct tok_pair *p)
{
    const struct spm *s = state;
    if (!tok_map_find(&s->map, text + left->start, (size_t)left->length + right->length, &p->id))
        return false;
    p->order = s->order[p->id];
    return true;
}

static bool add_bytes(const struct tokenizer *t, struct tok_run *run, const char *bytes,
                      size_t count, struct err *err)
{
    const struct spm *s = t->state;
    for (size_t i = 0; i < count; i++) {
        int64_t id = s->byte[(uint8_t)bytes[i]];
        if (id == TOK_NONE)
            id = t->special[TOKENIZER_UNK];
        if (id >= 0 && !token_list_add(run->out, (uint32_t)id, err))
            return false;
    }
    return true;
}

/* Where no token goes over a boundary of two characters, no merge does: what stands between two
 * such boundaries, mostly a word, is a text of its own.  Fills the symbols of the first one. */
static bool begin_word(const struct spm *s, struct tok_merge *m, const char *text, size_t length,
                       size_t *word, struct err *err)
{
    for (*word = 0; *word < length;) {
        const size_t n = utf8_length(text + *word, length - *word);
        *word += n ? n : 1;
        if (*word < length && !s->joins[(uint8_t)text[*word - 1]][(uint8_t)text[*word]])
            break;
    }
    if (!tok_merge_begin(m, *word, err))
        return false;
    for (size_t at = 0, n; at < *word; at += n) {
        uint32_t id;
        n = utf8_length(text + at, *word - at);
        n = n ? n : 1;
        tok_map_find(&s->map, text + at, n, &id);
        tok_merge_add(m, (uint32_t)n, id);
    }
    return true;
}

static bool encode(const struct tokenizer *t, struct tok_run *run, const char *text, size_t length,
                   struct err *err)
{
    const struct spm *s = t->state;
    struct token_text *copy = &run->scratch;
    struct tok_merge *m = &run->merge;
    copy->length = 0;
    if ((t->space_prefix && run->first && !token_text_add(copy, " ", 1, err)) ||
        !token_text_add(copy, text, length, err))
        return false;
    copy->length = tok_spaces(copy->text, copy->length, copy->text);

    for (size_t from = 0, bytes; from < copy->length; from += bytes) {
        const char *word = copy->text + from;
        if (!begin_word(s, m, word, copy->length - from, &bytes, err))
            return false;
        tok_merge_run(m, word, pair, s);
        for (uint32_t i = 0; i != TOK_NONE; i = m->symbol[i].after) {
            const struct tok_symbol *symbol = &m->symbol[i];
            const bool ok = symbol->id != TOK_NONE
                                ? token_list_add(run->out, symbol->id, err)
                                : add_bytes(t, run, word + symbol->start, symbol->length, err);
            if (!ok)
                return false;
        }
    }
    return true;
}

const struct tok_kind tok_spm = {"llama", open, close, encode};
