/* corpus.h - the texts of a calibration as windows of tokens, and what is odd about them.
 *
 * Each text is cut into windows of `context` tokens side by side; what is left at its end is not
 * used.  Where the model begins texts with a BOS, it takes the place of each window's first token, as
 * llama.cpp's imatrix tool has it.
 */
#ifndef CALIB_CORPUS_H
#define CALIB_CORPUS_H

#include "calib/identity.h"
#include "model/tokenizer.h"

enum { CORPUS_CONTEXT = 512, CORPUS_TEXTS_MAX = 256 };

struct corpus_text {
    const char *path;
    char sha256[HASH_TEXT]; /* of its bytes */
    size_t bytes, tokens, windows;
    size_t strange; /* tokens that are unknown, or not even a character */
    size_t twin;    /* the earlier text that has the same bytes, or itself */
};

struct corpus {
    struct corpus_text *text;
    size_t texts;
    size_t context, windows;
    size_t repeated; /* windows that were there before */
    uint32_t *token; /* windows x context */
};

struct corpus_options {
    const char *const *path;
    size_t paths;
    size_t context; /* 0: CORPUS_CONTEXT */
    size_t most;    /* windows; 0: all */
};

/* A text of which more than this share of the tokens is strange is probably not in a language
 * that the model knows; beyond the second it is refused. */
#define CORPUS_STRANGE  0.02
#define CORPUS_NO_MODEL 0.5

/* Fails with ERR_IO, ERR_FORMAT (a text that is empty, shorter than a window, or not of the model's
 * language), ERR_USAGE (a context too small or too large, too many texts) or ERR_MEMORY; *c is
 * then closed. */
bool corpus_open(struct corpus *c, const struct corpus_options *options, const struct tokenizer *t,
                 struct err *err);
void corpus_close(struct corpus *c);

/* What the model sees of window i. */
const uint32_t *corpus_window(const struct corpus *c, size_t i);

#endif
