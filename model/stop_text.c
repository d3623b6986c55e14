#include "model/stop_text.h"

#include <string.h>

/* Where a whole string first stands in what is held, else where the first begins that may yet come:
 * up to there the text is certain. */
static size_t certain(struct stop_text *s)
{
    const char *text = s->held.text;
    size_t begun = s->held.length;
    for (size_t at = 0; at < s->held.length; at++)
        for (size_t i = 0; i < s->stops; i++) {
            const size_t whole = strlen(s->stop[i]), left = s->held.length - at;
            if (whole == 0 || memcmp(text + at, s->stop[i], whole < left ? whole : left) != 0)
                continue;
            if (whole <= left) {
                s->found = true;
                return at;
            }
            if (at < begun)
                begun = at;
        }
    return begun;
}

bool stop_text_add(struct stop_text *s, const char *bytes, size_t count, struct token_text *out,
                   struct err *err)
{
    if (s->found || count == 0)
        return true;
    if (!token_text_add(&s->held, bytes, count, err))
        return false;
    const size_t n = certain(s);
    if (!token_text_add(out, s->held.text, n, err))
        return false;
    s->held.length -= n;
    memmove(s->held.text, s->held.text + n, s->held.length);
    return true;
}

bool stop_text_end(struct stop_text *s, struct token_text *out, struct err *err)
{
    const bool ok = s->found || token_text_add(out, s->held.text, s->held.length, err);
    s->found = false;
    s->held.length = 0;
    return ok;
}

void stop_text_close(struct stop_text *s) { token_text_close(&s->held); }
