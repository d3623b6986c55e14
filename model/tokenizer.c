#include "model/tokenizer.h"

#include "core/mem.h"
#include "core/utf8.h"
#include "formats/hf_vocab.h"
#include "model/tok_kind.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static const struct tok_kind *const kinds[] = {&tok_bpe, &tok_spm};

static const char *const special_key[TOKENIZER_SPECIALS] = {
    [TOKENIZER_BOS] = "tokenizer.ggml.bos_token_id",
    [TOKENIZER_EOS] = "tokenizer.ggml.eos_token_id",
    [TOKENIZER_EOT] = "tokenizer.ggml.eot_token_id",
    [TOKENIZER_EOM] = "tokenizer.ggml.eom_token_id",
    [TOKENIZER_UNK] = "tokenizer.ggml.unknown_token_id",
    [TOKENIZER_SEP] = "tokenizer.ggml.seperator_token_id",
    [TOKENIZER_PAD] = "tokenizer.ggml.padding_token_id",
    [TOKENIZER_CLS] = "tokenizer.ggml.cls_token_id",
    [TOKENIZER_MASK] = "tokenizer.ggml.mask_token_id",
};

/* Control tokens that end a generation by their name, where no key says it. */
static const char *const end_names[] = {
    "<|eot_id|>",      "<|im_end|>",         "<|end|>",    "<end_of_turn>", "<|endoftext|>",
    "<|end_of_text|>", "<|eom_id|>",         "<EOT>",      "[EOT]",         "[EOS]",
    "<turn|>",         "<end_of_utterance>", "<|return|>", "</s>",
};

static bool is_special(uint8_t type) { return type == TOKEN_CONTROL || type == TOKEN_UNKNOWN; }

static bool read_vocabulary(struct tokenizer *t, const struct meta *meta, struct err *err)
{
    const struct meta_value *tokens = meta_find(meta, "tokenizer.ggml.tokens");
    const struct meta_value *types = meta_find(meta, "tokenizer.ggml.token_type");
    if (!tokens || tokens->type != META_ARRAY || tokens->elem != META_TEXT || tokens->count == 0 ||
        tokens->count > INT32_MAX)
        return err_set(err, ERR_FORMAT, "tokenizer.ggml.tokens is not there, or no array of text");
    t->text = tokens->as.array;
    t->tokens = tokens->count;
    if (types && (types->type != META_ARRAY || types->count < t->tokens ||
                  (types->elem != META_I32 && types->elem != META_U32)))
        return err_set(err, ERR_FORMAT,
                       "tokenizer.ggml.token_type is no integer for each of %zu tokens", t->tokens);
    t->type = mem_alloc(t->tokens, sizeof *t->type);
    t->piece = mem_alloc(t->tokens, sizeof *t->piece);
    if (!t->type || !t->piece)
        return err_set(err, ERR_MEMORY, "no memory for %zu tokens", t->tokens);
    for (size_t id = 0; id < t->tokens; id++) {
        const int64_t type = types ? meta_element(types, id).as.i : TOKEN_NORMAL;
        t->type[id] = type >= TOKEN_NORMAL && type <= TOKEN_BYTE ? (uint8_t)type : TOKEN_NORMAL;
    }
    return true;
}

/* The kinds have set their habits; ids beyond the vocabulary are as if not there. */
static void read_special(struct tokenizer *t, const struct meta *meta)
{
    for (int s = 0; s < TOKENIZER_SPECIALS; s++) {
        uint64_t id;
        if (meta_get_u64(meta, special_key[s], &id))
            t->special[s] = id < t->tokens ? (int64_t)id : -1;
        if (t->special[s] >= (int64_t)t->tokens)
            t->special[s] = -1;
    }
    meta_get_bool(meta, "tokenizer.ggml.add_bos_token", &t->add_bos);
    meta_get_bool(meta, "tokenizer.ggml.add_eos_token", &t->add_eos);
    meta_get_bool(meta, "tokenizer.ggml.add_space_prefix", &t->space_prefix);
}

static void add_end(struct tokenizer *t, int64_t id)
{
    if (id >= 0 && t->ends < TOKENIZER_ENDS && !tokenizer_is_end(t, (uint32_t)id))
        t->end[t->ends++] = (uint32_t)id;
}

static void find_ends(struct tokenizer *t)
{
    add_end(t, t->special[TOKENIZER_EOS]);
    add_end(t, t->special[TOKENIZER_EOT]);
    add_end(t, t->special[TOKENIZER_EOM]);
    for (size_t i = 0; i < t->spelled.count; i++) {
        const struct tok_spelling *s = &t->spelled.spelling[i];
        for (size_t n = 0; n < sizeof end_names / sizeof *end_names; n++) {
            if (t->type[s->id] == TOKEN_CONTROL && s->length == strlen(end_names[n]) &&
                memcmp(s->text, end_names[n], s->length) == 0)
                add_end(t, s->id);
        }
    }
}

static bool read_spelled(struct tokenizer *t, struct err *err)
{
    size_t user = 0, special = 0;
    for (size_t id = 0; id < t->tokens; id++) {
        user += t->type[id] == TOKEN_USER_DEFINED;
        special += is_special(t->type[id]);
    }
    if (!tok_special_open(&t->user, user, err) ||
        !tok_special_open(&t->spelled, user + special, err))
        return false;
    for (uint32_t id = 0; id < t->tokens; id++) {
        const struct meta_text *text = &t->text[id];
        if (t->type[id] == TOKEN_USER_DEFINED)
            tok_special_add(&t->user, text->text, text->length, id);
        if (t->type[id] == TOKEN_USER_DEFINED || is_special(t->type[id]))
            tok_special_add(&t->spelled, text->text, text->length, id);
    }
    tok_special_sort(&t->user);
    tok_special_sort(&t->spelled);
    return true;
}

static const struct tok_kind *find_kind(const char *name)
{
    for (size_t i = 0; name && i < sizeof kinds / sizeof *kinds; i++) {
        if (strcmp(kinds[i]->name, name) == 0)
            return kinds[i];
    }
    return NULL;
}

bool tokenizer_open(struct tokenizer *t, const struct meta *meta, struct err *err)
{
    const char *model = meta_get_text(meta, "tokenizer.ggml.model");
    memset(t, 0, sizeof *t);
    t->kind = find_kind(model);
    for (int s = 0; s < TOKENIZER_SPECIALS; s++)
        t->special[s] = -1;
    bool ok =
        t->kind || err_set(err, model ? ERR_UNSUPPORTED : ERR_FORMAT,
                           model ? "tokenizer.ggml.model is '%.60s': only gpt2 and llama are known"
                                 : "tokenizer.ggml.model is not there: a model without a tokenizer",
                           model);
    ok = ok && read_vocabulary(t, meta, err) && t->kind->open(t, meta, err);
    if (ok)
        read_special(t, meta);
    ok = ok && read_spelled(t, err);
    if (ok)
        find_ends(t);
    else
        tokenizer_close(t);
    return ok;
}

void tokenizer_close(struct tokenizer *t)
{
    if (t->kind)
        t->kind->close(t);
    free(t->type);
    free(t->piece);
    tok_special_close(&t->user);
    tok_special_close(&t->spelled);
    arena_close(&t->arena);
    memset(t, 0, sizeof *t);
}

static bool encode_around(const struct tokenizer *t, struct tok_run *run, const char *text,
                          size_t length, unsigned flags, struct err *err)
{
    const struct tok_special *spelled = flags & TOKENIZER_PARSE ? &t->spelled : &t->user;
    const int64_t bos = t->special[TOKENIZER_BOS], eos = t->special[TOKENIZER_EOS];
    const bool around = flags & TOKENIZER_AROUND;
    if (around && t->add_bos && bos >= 0 && !token_list_add(run->out, (uint32_t)bos, err))
        return false;
    for (size_t from = 0; from < length;) {
        size_t at;
        const struct tok_spelling *s = tok_special_find(spelled, text, length, from, &at);
        if (at > from) {
            if (!t->kind->encode(t, run, text + from, at - from, err))
                return false;
            run->first = false;
        }
        if (s) {
            if (!token_list_add(run->out, s->id, err))
                return false;
            run->first = true;
        }
        from = at + (s ? s->length : 0);
    }
    return !around || !t->add_eos || eos < 0 || token_list_add(run->out, (uint32_t)eos, err);
}

bool tokenizer_encode(const struct tokenizer *t, const char *text, size_t length, unsigned flags,
                      struct token_list *out, struct err *err)
{
    struct tok_run run = {.out = out, .first = true};
    const bool ok = encode_around(t, &run, text, length, flags, err);
    tok_merge_close(&run.merge);
    splitter_run_close(&run.split);
    token_text_close(&run.scratch);
    return ok;
}

bool tokenizer_is_end(const struct tokenizer *t, uint32_t id)
{
    for (size_t i = 0; i < t->ends; i++) {
        if (t->end[i] == id)
            return true;
    }
    return false;
}

bool token_stream_next(struct token_stream *s, uint32_t id, struct token_text *out, struct err *err)
{
    const struct tokenizer *t = s->tokenizer;
    if (id >= t->tokens)
        return err_set(err, ERR_USAGE, "%u is no id of a token: there are %zu", id, t->tokens);
    if (is_special(t->type[id]) && !(s->flags & TOKENIZER_PARSE))
        return true;
    struct meta_text piece = t->piece[id];
    if (!s->goes_on && t->space_prefix && piece.length > 0 && piece.text[0] == ' ' &&
        t->type[id] == TOKEN_NORMAL)
        piece = (struct meta_text){piece.text + 1, piece.length - 1};
    s->goes_on = true;
    if (!token_stream_end(s, out, err) || !token_text_add(out, piece.text, piece.length, err))
        return false;
    s->held_bytes = utf8_unfinished(out->text, out->length);
    if (s->held_bytes > 0)
        memcpy(s->held, out->text + out->length - s->held_bytes, s->held_bytes);
    out->length -= s->held_bytes;
    return true;
}

bool token_stream_end(struct token_stream *s, struct token_text *out, struct err *err)
{
    const size_t bytes = s->held_bytes;
    s->held_bytes = 0;
    return token_text_add(out, s->held, bytes, err);
}

bool tokenizer_decode(const struct tokenizer *t, const uint32_t *id, size_t count, unsigned flags,
                      struct token_text *out, struct err *err)
{
    struct token_stream s = {.tokenizer = t, .flags = flags};
    for (size_t i = 0; i < count; i++) {
        if (!token_stream_next(&s, id[i], out, err))
            return false;
    }
    return token_stream_end(&s, out, err);
}

/* Room for `more` elements behind `used`, doubled. */
static bool make_room(void **array, size_t *room, size_t used, size_t more, size_t size,
                      struct err *err)
{
    size_t wanted, bytes;
    if (more <= *room - used)
        return true;
    if (size_add(used, more, &wanted) && size_mul(wanted < 32 ? 64 : wanted, 2 * size, &bytes)) {
        void *grown = realloc(*array, bytes);
        if (grown) {
            *array = grown;
            *room = bytes / size;
            return true;
        }
    }
    return err_set(err, ERR_MEMORY, "no memory for %zu tokens or bytes more", more);
}

bool token_list_add(struct token_list *l, uint32_t id, struct err *err)
{
    void *array = l->id;
    const bool ok = make_room(&array, &l->room, l->count, 1, sizeof *l->id, err);
    l->id = array;
    if (ok)
        l->id[l->count++] = id;
    return ok;
}

bool token_text_add(struct token_text *t, const char *bytes, size_t count, struct err *err)
{
    void *array = t->text;
    const bool ok = make_room(&array, &t->room, t->length, count, 1, err);
    t->text = array;
    if (ok && count > 0) {
        memcpy(t->text + t->length, bytes, count);
        t->length += count;
    }
    return ok;
}

void token_list_close(struct token_list *l)
{
    free(l->id);
    memset(l, 0, sizeof *l);
}

void token_text_close(struct token_text *t)
{
    free(t->text);
    memset(t, 0, sizeof *t);
}
