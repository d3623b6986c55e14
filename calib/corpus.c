#include "calib/corpus.h"

#include "core/map.h"
#include "core/mem.h"
#include "core/utf8.h"
#include "formats/hf_vocab.h"

#include <stdlib.h>
#include <string.h>

enum { CONTEXT_MIN = 4, CONTEXT_MAX = 1 << 20 };

/* Does it stand for no whole characters? */
static bool is_strange(const struct tokenizer *t, uint32_t id)
{
    const struct meta_text *piece = &t->piece[id];
    return t->type[id] == TOKEN_UNKNOWN || utf8_valid(piece->text, piece->length) < piece->length;
}

static bool reserve(struct corpus *c, size_t windows, struct err *err)
{
    size_t tokens;
    uint32_t *grown = NULL;
    if (size_mul(c->windows + windows, c->context, &tokens) && tokens < SIZE_MAX / sizeof *grown)
        grown = realloc(c->token, tokens * sizeof *grown);
    if (!grown)
        return err_set(err, ERR_MEMORY, "no memory for %zu windows", c->windows + windows);
    c->token = grown;
    return true;
}

/* Takes the windows of a text in, as far as they are wanted. */
static bool add_windows(struct corpus *c, struct corpus_text *text, const struct token_list *list,
                        size_t most, int64_t bos, struct err *err)
{
    const size_t there = list->count / c->context;
    text->windows = most && most - c->windows < there ? most - c->windows : there;
    if (!reserve(c, text->windows, err))
        return false;
    uint32_t *to = c->token + c->windows * c->context;
    for (size_t w = 0; w < text->windows; w++, to += c->context) {
        memcpy(to, list->id + w * c->context, c->context * sizeof *to);
        if (bos >= 0)
            to[0] = (uint32_t)bos;
    }
    c->windows += text->windows;
    return true;
}

static bool check_text(const struct corpus *c, const struct corpus_text *text, struct err *err)
{
    if (text->tokens < c->context)
        return err_set(err, ERR_FORMAT, "the text has %zu tokens, and a window takes %zu",
                       text->tokens, c->context);
    if ((double)text->strange > CORPUS_NO_MODEL * (double)text->tokens)
        return err_set(err, ERR_FORMAT,
                       "%zu of its %zu tokens are unknown to the model or parts of characters: it "
                       "is in no language of the model",
                       text->strange, text->tokens);
    return true;
}

static bool encode(struct corpus *c, struct corpus_text *text, const struct tokenizer *t,
                   const struct map *m, struct token_list *list, struct err *err)
{
    const char *bytes = m->size ? (const char *)m->data : "";
    struct hash h;
    hash_init(&h);
    hash_add(&h, bytes, m->size);
    hash_text(&h, text->sha256);
    text->bytes = m->size;
    for (text->twin = 0; strcmp(c->text[text->twin].sha256, text->sha256) != 0;)
        text->twin++;
    const size_t length = m->size && bytes[m->size - 1] == '\n' ? m->size - 1 : m->size;
    if (length == 0)
        return err_set(err, ERR_FORMAT, "the text is empty");
    if (!tokenizer_encode(t, bytes, length, TOKENIZER_AROUND, list, err))
        return false;
    text->tokens = list->count;
    for (size_t i = 0; i < list->count; i++)
        text->strange += is_strange(t, list->id[i]);
    return true;
}

static bool add_text(struct corpus *c, const char *path, const struct tokenizer *t, size_t most,
                     struct err *err)
{
    struct map m = {0};
    struct token_list list = {0};
    struct corpus_text *text = &c->text[c->texts++];
    text->path = path;
    const bool ok =
        map_open(&m, path, err) && encode(c, text, t, &m, &list, err) && check_text(c, text, err) &&
        add_windows(c, text, &list, most, t->add_bos ? t->special[TOKENIZER_BOS] : -1, err);
    token_list_close(&list);
    map_close(&m);
    return ok || (err->code == ERR_IO ? false : err_wrap(err, "%s", path));
}

static size_t window_bytes(const struct corpus *c) { return c->context * sizeof *c->token; }

static int compare_digests(const void *a, const void *b) { return strcmp(a, b); }

/* Sorting puts equal windows side by side. */
static bool count_repeated(struct corpus *c, struct err *err)
{
    char(*digest)[HASH_TEXT] = mem_alloc(c->windows, sizeof *digest);
    if (!digest)
        return err_set(err, ERR_MEMORY, "no memory for %zu windows", c->windows);
    for (size_t i = 0; i < c->windows; i++) {
        struct hash h;
        hash_init(&h);
        hash_add(&h, corpus_window(c, i), window_bytes(c));
        hash_text(&h, digest[i]);
    }
    qsort(digest, c->windows, sizeof *digest, compare_digests);
    for (size_t i = 1; i < c->windows; i++)
        c->repeated += strcmp(digest[i - 1], digest[i]) == 0;
    free(digest);
    return true;
}

static bool open_all(struct corpus *c, const struct corpus_options *o, const struct tokenizer *t,
                     struct err *err)
{
    if (c->context < CONTEXT_MIN || c->context > CONTEXT_MAX)
        return err_set(err, ERR_USAGE, "a context of %zu tokens: it can be %d to %d", c->context,
                       CONTEXT_MIN, CONTEXT_MAX);
    if (o->paths == 0 || o->paths > CORPUS_TEXTS_MAX)
        return err_set(err, ERR_USAGE, "%zu texts; it can be 1 to %d", o->paths, CORPUS_TEXTS_MAX);
    c->text = mem_alloc(o->paths, sizeof *c->text);
    if (!c->text)
        return err_set(err, ERR_MEMORY, "no memory for %zu texts", o->paths);
    for (size_t i = 0; i < o->paths; i++)
        if (!add_text(c, o->path[i], t, o->most, err))
            return false;
    return count_repeated(c, err);
}

bool corpus_open(struct corpus *c, const struct corpus_options *options, const struct tokenizer *t,
                 struct err *err)
{
    *c = (struct corpus){.context = options->context ? options->context : CORPUS_CONTEXT};
    if (open_all(c, options, t, err))
        return true;
    corpus_close(c);
    return false;
}

void corpus_close(struct corpus *c)
{
    free(c->text);
    free(c->token);
    *c = (struct corpus){0};
}

const uint32_t *corpus_window(const struct corpus *c, size_t i)
{
    return c->token + i * c->context;
}
