/* text_windows.h - a text on file, as tokens in windows. */
#ifndef TOOLS_TEXT_WINDOWS_H
#define TOOLS_TEXT_WINDOWS_H

#include "eval/base_file.h"
#include "eval/windows.h"
#include "formats/checkpoint.h"
#include "model/tokenizer.h"
#include "tools/session.h"

/* A text's file, of which a newline at the end does not count, as with llama.cpp's -f; or with
 * `tokens` one of decimal numbers, apart by spaces, commas, brackets or lines; or with `base` that
 * KL base file. */
struct text_source {
    const char *path;
    bool tokens;
    const struct base_file *base; /* the one at `path`, or NULL */
};

struct text_windows {
    struct token_list list;
    struct windows windows; /* of the list */
};

/* Cuts it for a GGUF's tokenizer, whose BOS begins each window (options->bos is not looked at).
 * Tokens need no tokenizer: what a model without one misses is said.  Fails with what the tokenizer
 * and windows_init say, ERR_IO, ERR_FORMAT (tokens that are none), ERR_USAGE (an empty text, or a
 * context that is not the base file's) or ERR_MEMORY. */
bool text_windows_open(struct text_windows *t, const struct text_source *from,
                       const struct windows_options *options, const struct checkpoint *model,
                       const struct session *s, struct err *err);
void text_windows_close(struct text_windows *t);

#endif
