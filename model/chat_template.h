/* chat_template.h - how a conversation is written for a model that was trained on them.
 *
 * A GGUF carries a program for that (tokenizer.chat_template, in Jinja).  It is not run: the family
 * it is of is told by strings in it, as stock llama.cpp does, and a row says how the family
 * writes the turns.  Tools and dates that some templates put in are left out.
 *
 * To add a family: a row in chat_template.c, before those whose telling strings it has too, and
 * its template in tests/oracle/test_chat.py.
 */
#ifndef MODEL_CHAT_TEMPLATE_H
#define MODEL_CHAT_TEMPLATE_H

#include "model/tokenizer.h"

enum { CHAT_TELLS = 2, CHAT_TELL_STRINGS = 3 };

/* In these strings {bos} and {eos} stand for the spelling of those tokens. */
struct chat_family {
    const char *name; /* stock's, where it has one */
    /* All strings of one of the groups are in the template, with \n for its \\n and ' for its ". */
    const char *tell[CHAT_TELLS][CHAT_TELL_STRINGS];
    const char *system, *system_end; /* around the system's text */
    bool system_inside;              /* which is the beginning of the first user's text */
    const char *between;             /* before every user's turn but the first, or NULL */
    const char *user, *user_end;     /* around the user's text */
    const char *answer, *answer_end; /* around the model's */
    bool trims;                      /* texts, of white space at both ends */
};

/* The i-th, or NULL past the last. */
const struct chat_family *chat_family_at(size_t i);

/* The family of a template, or NULL. */
const struct chat_family *chat_family_find(const char *text, size_t length);

/* A conversation. */
struct chat {
    const struct chat_family *family;
    struct meta_text bos, eos; /* spelled */
    size_t turns;              /* of the user */
};

/* Appends what stands between the model's last answer (or the BOS that begins a text) and its next:
 * the end of that answer, the system's text (first turn only; NULL: none), and the user's turn.
 * Fails with ERR_MEMORY. */
bool chat_turn(struct chat *c, const char *system, const char *text, size_t length,
               struct token_text *out, struct err *err);

#endif
