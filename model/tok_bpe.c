/* Byte-level BPE: a text is cut into words (model/splitter.h), a word's bytes merge by the order of
 * tokenizer.ggml.merges.  Tokens are spelled in 256 letters, one a byte; pieces are the bytes. */
#include "core/mem.h"
#include "core/utf8.h"
#include "formats/hf_vocab.h"
#include "model/nfc.h"
#include "model/tok_kind.h"
#include "model/tok_map.h"

#include <stdlib.h>
#include <string.h>

/* Left and right token make one.  id is TOK_NONE where the slot is free. */
struct merge {
    uint32_t left, right, order, id;
};

struct bpe {
    struct splitter splitter;
    struct tok_map map;
    struct merge *merge; /* an open-addressed hash table */
    size_t mask;
    uint32_t byte[256];
};

enum { LETTERS = 0x144 }; /* the highest letter is U+0143 */

/* The byte that a code point below LETTERS stands for, or -1: printable Latin-1 stands for itself,
 * the 68 other bytes, in order, are spelled by U+0100 and up. */
static void make_letters(int16_t byte[LETTERS])
{
    int next = 0x100;
    memset(byte, -1, LETTERS * sizeof *byte);
    for (int b = 0; b < 256; b++) {
        const bool itself = (b > 0x20 && b < 0x7f) || (b > 0xa0 && b != 0xad);
        byte[itself ? b : next++] = (int16_t)b;
    }
}

/* Spelled letters to bytes, into `out` of the same room.  False: a letter that is none. */
static bool read_letters(const int16_t byte[LETTERS], const char *text, size_t length, char *out,
                         size_t *bytes)
{
    *bytes = 0;
    for (size_t i = 0; i < length; ++*bytes) {
        const size_t n = utf8_length(text + i, length - i);
        if (n == 0 || n > 2)
            return false;
        const unsigned first = (uint8_t)text[i];
        const unsigned point = n == 1 ? first : (first & 0x1f) << 6 | ((uint8_t)text[i + 1] & 0x3f);
        if (point >= LETTERS || byte[point] < 0)
            return false;
        out[*bytes] = (char)byte[point];
        i += n;
    }
    return true;
}

static bool open_pieces(struct tokenizer *t, struct bpe *b, const int16_t letter[LETTERS],
                        struct err *err)
{
    if (!tok_map_open(&b->map, t->piece, t->tokens, err))
        return false;
    for (uint32_t id = 0; id < t->tokens; id++) {
        const struct meta_text *text = &t->text[id];
        char *bytes = arena_alloc(&t->arena, text->length + 1, 1);
        if (!bytes)
            return err_set(err, ERR_MEMORY, "no memory for %zu tokens", t->tokens);
        t->piece[id].text = bytes;
        if (t->type[id] == TOKEN_NORMAL && text->length > 0 &&
            read_letters(letter, text->text, text->length, bytes, &t->piece[id].length)) {
            tok_map_add(&b->map, id);
        } else {
            memcpy(bytes, text->text, text->length);
            t->piece[id].length = text->length;
        }
    }
    for (int i = 0; i < 256; i++) {
        const char byte = (char)i;
        if (!tok_map_find(&b->map, &byte, 1, &b->byte[i]))
            b->byte[i] = TOK_NONE;
    }
    return true;
}

static struct merge *find_slot(const struct bpe *b, uint32_t left, uint32_t right)
{
    const uint64_t key = ((uint64_t)left << 32 | right) * 0x9e3779b97f4a7c15u;
    size_t at = (size_t)(key >> 32) & b->mask;
    while (b->merge[at].id != TOK_NONE &&
           (b->merge[at].left != left || b->merge[at].right != right))
        at = (at + 1) & b->mask;
    return &b->merge[at];
}

/* "left right": their tokens, and that of both together.  A merge whose parts are no tokens cannot
 * happen, and of equal ones the first counts. */
static void add_merge(struct bpe *b, const int16_t letter[LETTERS], const struct meta_text *line,
                      uint32_t order, char *bytes)
{
    const char *space = line->length > 1 ? memchr(line->text + 1, ' ', line->length - 1) : NULL;
    size_t left, right;
    struct merge m = {.order = order};
    if (!space || !read_letters(letter, line->text, (size_t)(space - line->text), bytes, &left) ||
        !read_letters(letter, space + 1, (size_t)(line->text + line->length - space - 1),
                      bytes + left, &right) ||
        !tok_map_find(&b->map, bytes, left, &m.left) ||
        !tok_map_find(&b->map, bytes + left, right, &m.right) ||
        !tok_map_find(&b->map, bytes, left + right, &m.id))
        return;
    struct merge *slot = find_slot(b, m.left, m.right);
    if (slot->id == TOK_NONE)
        *slot = m;
}

static bool open_merges(struct bpe *b, const struct meta *meta, const int16_t letter[LETTERS],
                        struct err *err)
{
    const struct meta_value *lines = meta_find(meta, "tokenizer.ggml.merges");
    if (!lines || lines->type != META_ARRAY || lines->elem != META_TEXT || lines->count >= TOK_NONE)
        return err_set(err, ERR_FORMAT, "tokenizer.ggml.merges is not there, or no array of text");
    const struct meta_text *line = lines->as.array;
    size_t slots = 16, longest = 0;
    while (slots / 2 < lines->count)
        slots *= 2;
    for (size_t i = 0; i < lines->count; i++)
        longest = line[i].length > longest ? line[i].length : longest;
    b->merge = mem_alloc(slots, sizeof *b->merge);
    char *bytes = mem_alloc(longest, 1);
    if (!b->merge || !bytes) {
        free(bytes);
        return err_set(err, ERR_MEMORY, "no memory for %zu merges", lines->count);
    }
    b->mask = slots - 1;
    for (size_t i = 0; i < slots; i++)
        b->merge[i].id = TOK_NONE;
    for (size_t i = 0; i < lines->count; i++)
        add_merge(b, letter, &line[i], (uint32_t)i, bytes);
    free(bytes);
    return true;
}

static bool open(struct tokenizer *t, const struct meta *meta, struct err *err)
{
    const char *pre = meta_get_text(meta, "tokenizer.ggml.pre");
    int16_t letter[LETTERS];
    struct bpe *b = t->state = calloc(1, sizeof *b);
    if (!b)
        return err_set(err, ERR_MEMORY, "no memory for a tokenizer");
    make_letters(letter);
    if (!splitter_open(&b->splitter, pre ? pre : "default", err) ||
        !open_pieces(t, b, letter, err) || !open_merges(b, meta, letter, err))
        return false;
    t->add_bos = b->splitter.name->add_bos;
    return true;
}

static void close(struct tokenizer *t)
{
    struct bpe *b = t->state;
    if (b) {
        splitter_close(&b->splitter);
        tok_map_close(&b->map);
        free(b->merge);
    }
    free(b);
}

static bool pair(const void *state, const char *text, const struct tok_symbol *left,
                 const struct tok_symbol *right, struct tok_pair *p)
{
    (void)text;
    if (left->id == TOK_NONE || right->id == TOK_NONE)
        return false;
    const struct merge *m = find_slot(state, left->id, right->id);
    *p = (struct tok_pair){m->order, m->id};
    return m->id != TOK_NONE;
}

/* A byte that no token stands for becomes the unknown token, or nothing. */
static bool add(const struct tokenizer *t, struct tok_run *run, uint32_t id, struct err *err)
{
    if (id == TOK_NONE && t->special[TOKENIZER_UNK] < 0)
        return true;
    return token_list_add(run->out, id != TOK_NONE ? id : (uint32_t)t->special[TOKENIZER_UNK], err);
}

static bool encode_word(const struct tokenizer *t, struct tok_run *run, const char *word,
                        size_t length, struct err *err)
{
    const struct bpe *b = t->state;
    struct tok_merge *m = &run->merge;
    uint32_t id;
    if (b->splitter.row->ignores_merges && tok_map_find(&b->map, word, length, &id))
        return token_list_add(run->out, id, err);
    if (!tok_merge_begin(m, length, err))
        return false;
    for (size_t i = 0; i < length; i++)
        tok_merge_add(m, 1, b->byte[(uint8_t)word[i]]);
    tok_merge_run(m, word, pair, b);
    for (uint32_t i = 0; i != TOK_NONE; i = m->symbol[i].after) {
        if (!add(t, run, m->symbol[i].id, err))
            return false;
    }
    return true;
}

/* Well-formed UTF-8. */
static bool encode_text(const struct tokenizer *t, struct tok_run *run, const char *text,
                        size_t length, struct err *err)
{
    const struct bpe *b = t->state;
    if (b->splitter.name->nfc && !nfc_is_sure(text, length)) {
        run->scratch.length = 0;
        if (!nfc_append(&run->scratch, text, length, err))
            return false;
        text = run->scratch.text;
        length = run->scratch.length;
    }
    if (!splitter_split(&b->splitter, &run->split, text, length, err))
        return false;
    const struct splitter_cuts *cuts = &run->split.cuts;
    for (size_t i = 0, from = 0; i < cuts->count; from = cuts->end[i++]) {
        if (!encode_word(t, run, text + from, cuts->end[i] - from, err))
            return false;
    }
    return true;
}

static bool encode(const struct tokenizer *t, struct tok_run *run, const char *text, size_t length,
                   struct err *err)
{
    const struct bpe *b = t->state;
    for (size_t at = 0; at < length;) {
        const size_t valid = utf8_valid(text + at, length - at);
        if (valid > 0 && !encode_text(t, run, text + at, valid, err))
            return false;
        at += valid;
        for (; at < length && utf8_length(text + at, length - at) == 0; at++) {
            if (!add(t, run, b->byte[(uint8_t)text[at]], err))
                return false;
        }
    }
    return true;
}

const struct tok_kind tok_bpe = {"gpt2", open, close, encode};
