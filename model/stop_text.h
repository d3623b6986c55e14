/* stop_text.h - ends a stream of text where one of some strings stands in it.
 *
 * Bytes that may begin such a string are held back until it is known; the string itself, and what
 * follows, is never given out.
 */
#ifndef MODEL_STOP_TEXT_H
#define MODEL_STOP_TEXT_H

#include "model/tokenizer.h"

struct stop_text {
    const char *const *stop; /* the caller's; empty ones stop nothing */
    size_t stops;
    struct token_text held;
    bool found; /* the text has ended */
};

/* Appends to *out what of the stream is certain.  Fails with ERR_MEMORY. */
bool stop_text_add(struct stop_text *s, const char *bytes, size_t count, struct token_text *out,
                   struct err *err);

/* The stream is over: appends what is held back, and begins anew. */
bool stop_text_end(struct stop_text *s, struct token_text *out, struct err *err);

void stop_text_close(struct stop_text *s);

#endif
