/* pretokenizer.h - which of stock's splitters a tokenizer.json describes.
 *
 * The splitter is brought into one spelling (a list of regular expressions) and looked up
 * in formats/pretokenizer_names.h: by what it does, never by hashing what it makes.
 */
#ifndef FORMATS_PRETOKENIZER_H
#define FORMATS_PRETOKENIZER_H

#include "core/arena.h"
#include "formats/pretokenizer_names.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum { PRETOKENIZER_STEPS_READ = 12 };

struct pretokenizer {
    const char *step[PRETOKENIZER_STEPS_READ]; /* in the arena that pretokenizer_read was given */
    size_t steps;                              /* more than fit are counted, not kept */
    bool byte_level; /* a ByteLevel is among them: pieces are spelled in the 256 byte letters */
    bool metaspace;
    bool space_prefix; /* ByteLevel or Metaspace puts a space in front of the text */
};

/* Reads tokenizer.json's "pre_tokenizer" (any JSON value).  False only without memory. */
bool pretokenizer_read(struct pretokenizer *p, const json_t *pre, struct arena *a);

/* Stock's name for it and what that name does, or NULL.  The row's ignores_merges differs from
 * `ignore_merges` only where no name does both.  `model_type` may be NULL. */
const struct pretokenizer_row *pretokenizer_find(const struct pretokenizer *p, bool ignore_merges,
                                                 const char *model_type);

/* Is that a name stock knows? */
bool pretokenizer_name_known(const char *name);

/* The known name that is nearly `name`, or NULL. */
const char *pretokenizer_name_nearest(const char *name);

#endif
