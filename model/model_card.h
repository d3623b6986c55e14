/* model_card.h - the head of a model's README.md: what it is called, its licence, its tags.
 *
 * Between two lines "---" stands YAML; read are its plain members: `key: text`, `key: [a, b]`
 * and a `key:` with lines `- item` below.  All else (nested members, long texts) is passed
 * over, and so is text that is not UTF-8.
 */
#ifndef MODEL_MODEL_CARD_H
#define MODEL_MODEL_CARD_H

#include "core/arena.h"

#include <stddef.h>

struct model_card_pair {
    const char *key, *value; /* a list's key stands before each of its items */
};

struct model_card {
    struct arena arena;
    struct model_card_pair *pair;
    size_t pairs;
};

/* The card of that folder; empty where there is none or it cannot be read. */
void model_card_open(struct model_card *card, const char *folder);
void model_card_close(struct model_card *card);

/* The first value of that key, or NULL. */
const char *model_card_text(const struct model_card *card, const char *key);

/* The first `room` values of that key; returns how many there are of these. */
size_t model_card_list(const struct model_card *card, const char *key, const char **value,
                       size_t room);

#endif
