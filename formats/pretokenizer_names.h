/* pretokenizer_names.h - the splitters stock llama.cpp knows by name (tokenizer.ggml.pre).
 *
 * A byte-level BPE first splits a text by regular expressions; GGUF does not hold them,
 * only the name under which the engine has them built in.  The rows say which splitter
 * each name stands for, as it is written in tokenizer.json.
 */
#ifndef FORMATS_PRETOKENIZER_NAMES_H
#define FORMATS_PRETOKENIZER_NAMES_H

#include <stdbool.h>

enum { PRETOKENIZER_STEPS_MAX = 6 };

#define PRETOKENIZER_CUT "\001"

struct pretokenizer_row {
    const char *name;
    /* config.json's model_type must be one of these words; NULL: any */
    const char *models;
    /* does the engine take a word that is a token as it is, whatever the merges make of it? */
    bool ignores_merges;
    /* The regular expressions in order, NULL after the last; where PRETOKENIZER_CUT is in one, only
     * what stands before it is compared.  "Punctuation B": that pre-tokenizer with behaviour B. */
    const char *step[PRETOKENIZER_STEPS_MAX + 1];
};

/* The first row that fits is the name, ignores_merges put before order; ends with a row whose
 * name is NULL. */
extern const struct pretokenizer_row pretokenizer_rows[];

/* What stands behind a name beside its splitter. */
struct pretokenizer_name {
    const char *name;
    const char *as; /* the row whose splitter it has; NULL: the first of its own name */
    bool nfc;       /* its tokenizers compose the text first (Unicode's NFC) */
    bool add_bos;   /* the engine's habit where tokenizer.ggml.add_bos_token is not there */
};

/* Every name that stock knows, also those that only repeat another's splitter; ends with a row
 * whose name is NULL. */
extern const struct pretokenizer_name pretokenizer_names[];

#endif
