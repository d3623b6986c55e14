/* nfc.h - Unicode's composed form, for tokenizers that were trained on it.
 *
 * Composed piece by piece, so that time is linear in the text: a piece ends before a character that
 * composes with none before it, or, in a run of combining marks as no language has, after 1 KiB.
 */
#ifndef MODEL_NFC_H
#define MODEL_NFC_H

#include "core/err.h"
#include "model/tokenizer.h"

#include <stdbool.h>
#include <stddef.h>

/* True where the text is composed for certain: all of it below U+0300. */
bool nfc_is_sure(const char *text, size_t length);

/* Appends the composed form of well-formed UTF-8.  Fails with ERR_MEMORY. */
bool nfc_append(struct token_text *out, const char *text, size_t length, struct err *err);

#endif
