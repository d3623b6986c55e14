/* token_ids.h - tokens written as numbers. */
#ifndef TOOLS_TOKEN_IDS_H
#define TOOLS_TOKEN_IDS_H

#include "model/tokenizer.h"

/* Adds decimal numbers apart by spaces, commas, brackets or lines: JSON's arrays among them.  Fails
 * with ERR_FORMAT (anything else in the text, a number beyond 32 bits) or ERR_MEMORY. */
bool token_ids_read(struct token_list *out, const char *text, size_t length, struct err *err);

#endif
