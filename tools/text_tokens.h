/* text_tokens.h - the tokens of a text file, or those that a file lists. */
#ifndef TOOLS_TEXT_TOKENS_H
#define TOOLS_TEXT_TOKENS_H

#include "model/tokenizer.h"

/* The text's tokens, with BOS and EOS around it where the model has them.  One newline at its end
 * does not count, as with llama.cpp's -f.  Fails with what the tokenizer says, ERR_IO, or
 * ERR_USAGE (an empty text). */
bool text_tokens_encode(struct token_list *out, const struct tokenizer *t, const char *path,
                        struct err *err);

/* Decimal numbers apart by spaces, commas, brackets or lines: JSON's arrays among them.  Fails with
 * ERR_IO, or ERR_FORMAT (anything else in the file, a number beyond 32 bits). */
bool text_tokens_read(struct token_list *out, const char *path, struct err *err);

#endif
