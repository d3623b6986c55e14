/* splitter.h - cuts a text into the words within which a byte-level BPE merges.
 *
 * tokenizer.ggml.pre names one of formats/pretokenizer_names.h: some regular expressions, each of
 * which cuts every piece the ones before have left, before and after each match.  Run by PCRE2
 * with Unicode properties, and its compiler to machine code where the machine has one.
 *
 * A splitter is shared by threads; what a call needs beside it is a struct splitter_run.
 */
#ifndef MODEL_SPLITTER_H
#define MODEL_SPLITTER_H

#include "core/err.h"
#include "formats/pretokenizer_names.h"

#include <stdbool.h>
#include <stddef.h>

struct splitter {
    const struct pretokenizer_name *name;
    const struct pretokenizer_row *row;
    void *step[PRETOKENIZER_STEPS_MAX]; /* pcre2_code */
    size_t steps;
};

/* The ends of pieces, in order; the last is the text's length. */
struct splitter_cuts {
    size_t *end;
    size_t count, room;
};

/* Zeroed before its first use. */
struct splitter_run {
    struct splitter_cuts cuts;   /* what splitter_split gives */
    struct splitter_cuts before; /* what the step before gave */
    void *match;                 /* pcre2_match_data */
};

/* Fails with ERR_UNSUPPORTED (a name that nobody knows: with the nearest) or ERR_MEMORY. */
bool splitter_open(struct splitter *s, const char *name, struct err *err);
void splitter_close(struct splitter *s);

/* Cuts `text`, which must be well-formed UTF-8.  Fails with ERR_MEMORY. */
bool splitter_split(const struct splitter *s, struct splitter_run *run, const char *text,
                    size_t length, struct err *err);

void splitter_run_close(struct splitter_run *run);

#endif
