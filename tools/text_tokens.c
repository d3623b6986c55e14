#include "tools/text_tokens.h"

#include "core/map.h"
#include "core/mem.h"

#include <string.h>

bool text_tokens_encode(struct token_list *out, const struct tokenizer *t, const char *path,
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

static bool add(struct token_list *out, uint64_t id, struct err *err)
{
    uint32_t *grown = mem_grow(out->id, out->count, sizeof *out->id);
    if (!grown)
        return err_set(err, ERR_MEMORY, "%zu tokens", out->count);
    out->id = grown;
    out->id[out->count++] = (uint32_t)id;
    return true;
}

static bool read_ids(struct token_list *out, const char *text, size_t length, struct err *err)
{
    for (size_t i = 0; i < length;) {
        const size_t start = i;
        uint64_t id = 0;
        while (i < length && text[i] >= '0' && text[i] <= '9' && id <= UINT32_MAX)
            id = id * 10 + (uint64_t)(text[i++] - '0');
        if (id > UINT32_MAX)
            return err_set(err, ERR_FORMAT, "byte %zu: a number beyond 32 bits is no token", start);
        if (i > start) {
            if (!add(out, id, err))
                return false;
        } else if (text[i] != '\0' && strchr(" \t\r\n,[]", text[i])) {
            i++;
        } else {
            return err_set(err, ERR_FORMAT, "byte %zu is 0x%02x: no token's number", i,
                           (unsigned)(unsigned char)text[i]);
        }
    }
    return true;
}

bool text_tokens_read(struct token_list *out, const char *path, struct err *err)
{
    struct map m = {0};
    if (!map_open(&m, path, err))
        return false;
    const bool ok = read_ids(out, (const char *)m.data, m.size, err) || err_wrap(err, "%s", path);
    map_close(&m);
    return ok;
}
