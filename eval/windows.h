/* windows.h - how a text is cut into windows, and which of their tokens are scored.
 *
 * As llama-perplexity does it, so that figures can be compared: windows of `context` tokens lie
 * side by side, a last one that is not full is left out, and of each the second half is scored, so
 * that every scored token has at least half a window before it.  With a stride, windows are
 * half a stride longer, begin `stride` tokens after one another, and their last `stride`
 * tokens are scored.  Where the model begins texts with a BOS, it takes the place of each window's
 * first token.
 */
#ifndef EVAL_WINDOWS_H
#define EVAL_WINDOWS_H

#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { WINDOWS_CONTEXT = 512 };

struct windows_options {
    size_t context; /* 0: WINDOWS_CONTEXT */
    size_t stride;  /* 0: side by side */
    size_t most;    /* windows; 0: all */
    int64_t bos;    /* the token that begins a text, or -1 */
};

struct windows {
    const uint32_t *token; /* the whole text, the caller's */
    size_t tokens;
    int64_t bos;
    size_t size, step; /* of a window; from one to the next */
    size_t scored;     /* the last tokens of each */
    size_t count;
};

/* Fails with ERR_USAGE: a context too small, a stride too large, a text shorter than a window. */
bool windows_init(struct windows *w, const struct windows_options *options, const uint32_t *token,
                  size_t tokens, struct err *err);

/* Fills `input` (size tokens): what the model sees of window i. */
void windows_input(const struct windows *w, size_t i, uint32_t *input);

/* The tokens of window i that are scored. */
const uint32_t *windows_scored(const struct windows *w, size_t i);

#endif
