/* compare_text.h - how well several files predict a text, each beside the first. */
#ifndef TOOLS_COMPARE_TEXT_H
#define TOOLS_COMPARE_TEXT_H

#include "eval/divergence.h"
#include "eval/perplexity.h"
#include "tools/session.h"
#include "tools/text_windows.h"

/* The first file, open, and the text in windows. */
struct compare_text {
    struct checkpoint file;
    struct weights weights;
    struct text_windows text;
};

struct compare_text_figures {
    struct estimate perplexity;
    struct divergence divergence;
};

/* Opens the GGUF at `first` and cuts the text at `text` into windows of 512, `most` of them
 * (0: all).  Fails with what opening, the tokenizer and the windows say. */
bool compare_text_open(struct compare_text *c, const char *first, const char *text, size_t most,
                       const struct session *s, struct err *err);
void compare_text_close(struct compare_text *c);

/* Scores the windows with the file and with the first one.  Fails with what the scoring says. */
bool compare_text_measure(const struct compare_text *c, const struct checkpoint *file,
                          struct session *s, struct compare_text_figures *figures, struct err *err);

#endif
