#include "formats/hf_vocab.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static const char space_mark[] = "\u2581"; /* SentencePiece writes a space so */

bool hf_vocab_find(const struct hf_vocab *v, const char *text, size_t length, uint32_t *id)
{
    const json_t *value = json_object_getn(v->vocab, text, length);
    if (!value)
        value = json_object_getn(v->added, text, length);
    if (!value)
        return false;
    *id = (uint32_t)json_integer_value(value);
    return true;
}

static bool remember(struct hf_vocab *v, const struct meta_text *t, size_t id)
{
    return json_object_setn_new_nocheck(v->added, t->text, t->length,
                                        json_integer((json_int_t)id)) == 0;
}

static bool starts_ends(const struct meta_text *t, const char *start, const char *end)
{
    const size_t s = strlen(start), e = strlen(end);
    return t->length >= s + e && memcmp(t->text, start, s) == 0 &&
           memcmp(t->text + t->length - e, end, e) == 0;
}

/* Control tokens that some tokenizers forget to mark as special; stock's converter makes the same
 * exceptions, for the engine would else print them. */
static bool looks_special(const struct meta_text *t)
{
    static const char *const exact[] = {"<pad>", "<mask>", "<2mass>", "[@BOS@]"};
    for (size_t i = 0; i < sizeof exact / sizeof *exact; i++) {
        if (t->length == strlen(exact[i]) && memcmp(t->text, exact[i], t->length) == 0)
            return true;
    }
    return starts_ends(t, "<|", "|>") || starts_ends(t, "<\uff5c", "\uff5c>") ||
           starts_ends(t, "<unused", ">");
}

/* "<0x0A>" */
static bool is_byte(const struct meta_text *t)
{
    return t->length == 6 && starts_ends(t, "<0x", ">") &&
           strspn(t->text + 3, "0123456789ABCDEFabcdef") == 2;
}

static bool place(struct hf_vocab *v, const struct meta_text *t, json_int_t id, int32_t type,
                  struct err *err)
{
    if (id < 0 || (uint64_t)id >= v->rows)
        return err_set(err, ERR_FORMAT,
                       "token '%.40s' has id %lld, which is no id among %zu tokens", t->text,
                       (long long)id, json_object_size(v->vocab));
    struct meta_text *slot = &v->text[id];
    if (slot->text && (slot->length != t->length || memcmp(slot->text, t->text, t->length) != 0))
        return err_set(err, ERR_FORMAT, "id %lld stands for both '%.40s' and '%.40s'",
                       (long long)id, slot->text, t->text);
    *slot = *t;
    v->type[id] = type;
    if ((size_t)id + 1 > v->tokens)
        v->tokens = (size_t)id + 1;
    return true;
}

static bool place_vocab(struct hf_vocab *v, struct err *err)
{
    const char *key;
    size_t length;
    json_t *value;
    json_object_keylen_foreach(v->vocab, key, length, value)
    {
        const struct meta_text t = {key, length};
        if (!json_is_integer(value))
            return err_set(err, ERR_FORMAT, "token '%.40s' has an id that is no integer", key);
        const int32_t type = v->byte_fallback && is_byte(&t) ? TOKEN_BYTE : TOKEN_NORMAL;
        if (!place(v, &t, json_integer_value(value), type, err))
            return false;
    }
    return true;
}

/* A piece that is matched in the text before anything else.  Where the tokenizer has it already,
 * that id holds, as for Hugging Face. */
static bool place_added(struct hf_vocab *v, const struct meta_text *t, json_int_t id, bool special,
                        struct err *err)
{
    const int32_t type = special || looks_special(t) ? TOKEN_CONTROL : TOKEN_USER_DEFINED;
    uint32_t known;
    if (hf_vocab_find(v, t->text, t->length, &known)) {
        if (v->type[known] != TOKEN_BYTE)
            v->type[known] = type;
        return true;
    }
    if (!place(v, t, id, type, err))
        return false;
    return remember(v, t, (size_t)id) || err_set(err, ERR_MEMORY, "no memory for the tokens");
}

static struct meta_text text_of(const json_t *string)
{
    return (struct meta_text){json_string_value(string), json_string_length(string)};
}

static bool place_added_tokens(struct hf_vocab *v, const json_t *list, struct err *err)
{
    size_t i;
    const json_t *token;
    json_array_foreach (list, i, token) {
        const struct meta_text t = text_of(json_object_get(token, "content"));
        const json_t *id = json_object_get(token, "id");
        if (!t.text || !json_is_integer(id))
            return err_set(err, ERR_FORMAT, "added_tokens[%zu] lacks content or id", i);
        const bool special = json_is_true(json_object_get(token, "special"));
        if (!place_added(v, &t, json_integer_value(id), special, err))
            return false;
    }
    return true;
}

/* added_tokens_decoder: {"32000": {"content": ..., "special": ...}}.  Ids that tokenizer.json
 * gives to other pieces stay theirs. */
static bool place_decoder(struct hf_vocab *v, json_t *decoder, struct err *err)
{
    const char *key;
    json_t *token;
    json_object_foreach (decoder, key, token) {
        const struct meta_text t = text_of(json_object_get(token, "content"));
        char *end;
        const long long id = strtoll(key, &end, 10);
        if (!t.text || end == key || *end)
            return err_set(err, ERR_FORMAT, "added_tokens_decoder['%.40s'] is no token", key);
        uint32_t known;
        if (id >= 0 && (uint64_t)id < v->rows && v->text[id].text &&
            !hf_vocab_find(v, t.text, t.length, &known))
            continue;
        if (!place_added(v, &t, id, json_is_true(json_object_get(token, "special")), err))
            return false;
    }
    return true;
}

/* {"<piece>": id} */
static bool place_added_map(struct hf_vocab *v, json_t *map, struct err *err)
{
    const char *key;
    size_t length;
    json_t *value;
    json_object_keylen_foreach(map, key, length, value)
    {
        const struct meta_text t = {key, length};
        uint32_t known;
        if (!json_is_integer(value))
            return err_set(err, ERR_FORMAT, "'%.40s' has an id that is no integer", key);
        if (!hf_vocab_find(v, key, length, &known) &&
            !place_added(v, &t, json_integer_value(value), false, err))
            return false;
    }
    return true;
}

/* The engine looks for user-defined pieces in the text as it comes: with spaces, not with marks.
 * A piece that would then equal another keeps its marks. */
static bool unmark_spaces(struct hf_vocab *v, size_t id)
{
    const struct meta_text *t = &v->text[id];
    char *plain = arena_alloc(&v->arena, t->length + 1, 1);
    if (!plain)
        return false;
    size_t length = 0;
    for (size_t i = 0; i < t->length;) {
        const bool mark = t->length - i >= 3 && memcmp(t->text + i, space_mark, 3) == 0;
        if (mark)
            plain[length++] = ' ';
        else
            plain[length++] = t->text[i];
        i += mark ? 3 : 1;
    }
    const struct meta_text new = {plain, length};
    uint32_t other;
    if (length == t->length || hf_vocab_find(v, plain, length, &other))
        return true;
    v->text[id] = new;
    return remember(v, &new, id);
}

static bool fill_hole(struct hf_vocab *v, size_t id)
{
    uint32_t other;
    const char *name = arena_printf(&v->arena, "[PAD%zu]", id);
    while (name && hf_vocab_find(v, name, strlen(name), &other))
        name = arena_printf(&v->arena, "%s_", name);
    if (!name)
        return false;
    v->text[id] = (struct meta_text){name, strlen(name)};
    v->type[id] = TOKEN_UNUSED;
    return true;
}

static bool finish(struct hf_vocab *v, struct err *err)
{
    bool ok = true;
    for (size_t id = 0; ok && id < v->rows; id++) {
        if (!v->text[id].text)
            ok = fill_hole(v, id);
        else if (v->type[id] == TOKEN_USER_DEFINED)
            ok = unmark_spaces(v, id);
    }
    return ok || err_set(err, ERR_MEMORY, "no memory for %zu tokens", v->rows);
}

static bool place_all(struct hf_vocab *v, const struct hf_tokenizer_files *from, struct err *err)
{
    const json_t *model = json_object_get(from->tokenizer, "model");
    const json_t *unknown = json_object_get(model, "unk_token");
    json_t *decoder = json_object_get(from->tokenizer_config, "added_tokens_decoder");
    if (!place_vocab(v, err) ||
        !place_added_tokens(v, json_object_get(from->tokenizer, "added_tokens"), err))
        return err_wrap(err, "tokenizer.json");
    if (!place_decoder(v, decoder, err))
        return err_wrap(err, "tokenizer_config.json");
    if (!place_added_map(v, from->added_tokens, err))
        return err_wrap(err, "added_tokens.json");
    uint32_t id;
    if (v->byte_fallback && json_is_string(unknown) &&
        hf_vocab_find(v, json_string_value(unknown), json_string_length(unknown), &id))
        v->type[id] = TOKEN_UNKNOWN;
    return true;
}

bool hf_vocab_open(struct hf_vocab *v, const struct hf_tokenizer_files *from, uint64_t rows,
                   struct err *err)
{
    const json_t *model = json_object_get(from->tokenizer, "model");
    memset(v, 0, sizeof *v);
    v->vocab = json_object_get(model, "vocab");
    v->byte_fallback = json_is_true(json_object_get(model, "byte_fallback"));
    if (!json_is_object(v->vocab))
        return err_set(err, ERR_FORMAT, "tokenizer.json: model.vocab is no object");
    if (rows > INT32_MAX)
        return err_set(err, ERR_UNSUPPORTED, "the embedding has %llu rows: more than GGUF's ids",
                       (unsigned long long)rows);

    /* Room for more ids than there are tokens, but not for any number a file may say. */
    const size_t room = 2 * json_object_size(v->vocab) + 65536;
    v->rows = rows > room ? (size_t)rows : room;
    v->text = mem_alloc(v->rows, sizeof *v->text);
    v->type = mem_alloc(v->rows, sizeof *v->type);
    v->added = json_object();
    if (!v->text || !v->type || !v->added)
        return err_set(err, ERR_MEMORY, "no memory for %zu tokens", v->rows);
    if (!place_all(v, from, err))
        return false;
    if (v->tokens == 0)
        return err_set(err, ERR_FORMAT, "tokenizer.json: no tokens");
    if (rows && v->tokens > rows)
        return err_set(err, ERR_FORMAT,
                       "the tokenizer has %zu tokens, but the embedding only %llu rows", v->tokens,
                       (unsigned long long)rows);
    v->rows = rows ? (size_t)rows : v->tokens;
    return finish(v, err);
}

void hf_vocab_close(struct hf_vocab *v)
{
    free(v->text);
    free(v->type);
    json_decref(v->added);
    arena_close(&v->arena);
    memset(v, 0, sizeof *v);
}

void hf_vocab_write(const struct hf_vocab *v, struct meta *m)
{
    meta_set_texts(m, "tokenizer.ggml.tokens", v->text, v->rows);
    meta_set_i32s(m, "tokenizer.ggml.token_type", v->type, v->rows);
}
