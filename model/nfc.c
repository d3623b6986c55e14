#include "model/nfc.h"

#include <stdlib.h>
#include <utf8proc.h>

enum { PIECE = 256, PIECE_MOST = 1024 };

bool nfc_is_sure(const char *text, size_t length)
{
    size_t i = 0;
    while (i < length && (unsigned char)text[i] < 0xcc) /* U+0300 begins with it */
        i++;
    return i == length;
}

/* Marks, and the vowels and endings of Hangul, may compose with what stands before them. */
static bool composes(utf8proc_int32_t c)
{
    const utf8proc_category_t category = utf8proc_category(c);
    return category == UTF8PROC_CATEGORY_MN || category == UTF8PROC_CATEGORY_MC ||
           category == UTF8PROC_CATEGORY_ME || (c >= 0x1160 && c <= 0x11ff);
}

static size_t piece_length(const char *text, size_t length)
{
    size_t at = 0;
    while (at < length && at < PIECE_MOST) {
        utf8proc_int32_t c;
        const utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)text + at,
                                                    (utf8proc_ssize_t)(length - at), &c);
        if (n <= 0 || (at >= PIECE && !composes(c)))
            break;
        at += (size_t)n;
    }
    return at;
}

bool nfc_append(struct token_text *out, const char *text, size_t length, struct err *err)
{
    for (size_t at = 0, n; at < length; at += n) {
        utf8proc_uint8_t *composed = NULL;
        n = piece_length(text + at, length - at);
        const utf8proc_ssize_t bytes =
            utf8proc_map((const utf8proc_uint8_t *)text + at, (utf8proc_ssize_t)n, &composed,
                         UTF8PROC_STABLE | UTF8PROC_COMPOSE);
        const bool ok = bytes >= 0 ? token_text_add(out, (const char *)composed, (size_t)bytes, err)
                                   : err_set(err, ERR_MEMORY, "no memory to compose %zu bytes", n);
        free(composed);
        if (!ok)
            return false;
    }
    return true;
}
