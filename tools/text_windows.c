#include "tools/text_windows.h"

#include "core/map.h"
#include "core/mem.h"
#include "tools/token_ids.h"

static bool encode(struct token_list *out, const struct tokenizer *t, const char *path,
                   struct err *err)
{
    struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    const char *text = m.size ? (const char *)m.data : "";
    const size_t length = m.size && text[m.size - 1] == '\n' ? m.size - 1 : m.size;
    bool ok = length > 0 || err_set(err, ERR_USAGE, "%s: the text is empty", path);
    ok = ok && tokenizer_encode(t, text, length, TOKENIZER_AROUND, out, err);
    map_close(&m);
    return ok;
}

static bool read_list(struct token_list *out, const char *path, struct err *err)
{
    struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    const bool ok =
        token_ids_read(out, (const char *)m.data, m.size, err) || err_wrap(err, "%s", path);
    map_close(&m);
    return ok;
}

static bool read_base(struct token_list *out, const struct base_file *b, struct err *err)
{
    out->count = b->windows * b->context;
    out->id = mem_alloc(out->count, sizeof *out->id);
    if (!out->id)
        return err_set(err, ERR_MEMORY, "%zu tokens", out->count);
    base_file_tokens(b, out->id);
    return true;
}

static bool read_source(struct token_list *out, const struct text_source *from,
                        const struct tokenizer *t, struct err *err)
{
    return from->base     ? read_base(out, from->base, err)
           : from->tokens ? read_list(out, from->path, err)
                          : encode(out, t, from->path, err);
}

/* -1 where texts begin with none. */
static int64_t bos_of(const struct tokenizer *t)
{
    return t->add_bos ? t->special[TOKENIZER_BOS] : -1;
}

bool text_windows_open(struct text_windows *t, const struct text_source *from,
                       const struct windows_options *options, const struct checkpoint *model,
                       const struct session *s, struct err *err)
{
    struct windows_options o = *options;
    struct tokenizer tokenizer = {0};
    struct err why = {0};
    o.bos = -1;
    if (from->base && o.context && o.context != from->base->context)
        return err_set(err, ERR_USAGE, "--context %zu: the windows of %s have %zu tokens",
                       o.context, from->path, from->base->context);
    if (from->base)
        o.context = from->base->context;
    if (tokenizer_open(&tokenizer, &model->meta, &why))
        o.bos = bos_of(&tokenizer);
    else if (!from->base && !from->tokens)
        return err_set(err, why.code, "%s: %s", model->path, why.text);
    else
        session_say(s, "%s: %s; windows begin with their own first token\n", model->path, why.text);
    const bool ok = read_source(&t->list, from, &tokenizer, err) &&
                    (windows_init(&t->windows, &o, t->list.id, t->list.count, err) ||
                     err_wrap(err, "%s", from->path));
    tokenizer_close(&tokenizer);
    return ok;
}

void text_windows_close(struct text_windows *t) { token_list_close(&t->list); }
