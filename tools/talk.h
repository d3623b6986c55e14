/* talk.h - a conversation with a model: texts in, answers out as they come. */
#ifndef TOOLS_TALK_H
#define TOOLS_TALK_H

#include "model/chat_template.h"
#include "model/generator.h"
#include "model/stop_text.h"
#include "tools/session.h"

struct talk_options {
    const char *model, *system;
    const char *cache; /* a type's name */
    size_t context;    /* 0: what the model was trained on, up to TALK_CONTEXT */
    size_t most;       /* tokens of an answer; 0: to its end; TALK_MOST: that, or TALK_RAW */
    bool raw;          /* leave the chat template out */
    bool no_repack;    /* leave the weights as the file has them */
    struct opt_list stop;
    struct sampler_options sampler;
};

enum { TALK_CONTEXT = 4096, TALK_RAW = 128 }; /* RAW: without a chat template */
#define TALK_MOST SIZE_MAX

struct talk {
    struct checkpoint checkpoint;
    struct weights weights;
    struct tokenizer tokenizer;
    struct generator generator;
    struct chat chat;          /* family NULL: texts are gone on with as they are */
    const char *system;        /* or NULL */
    size_t most;               /* tokens of an answer; 0: no limit */
    struct stop_text stop;     /* of the answer */
    struct token_list waiting; /* tokens of the text that were not fed yet */
};

enum talk_end { TALK_END, TALK_STOP_TEXT, TALK_LENGTH, TALK_FULL, TALK_INTERRUPTED };

/* Sums over answers; zeroed before the first. */
struct talk_answer {
    struct token_text text;
    struct token_list tokens;
    enum talk_end end; /* of the last */
    size_t prompt_tokens, passes;
    double prompt_seconds, seconds; /* for the prompts' tokens; for the answers' passes */
};

/* Opens a GGUF and says on stderr what will be done.  Fails with ERR_USAGE, or as the parts do. */
bool talk_open(struct talk *t, const struct talk_options *o, const struct session *s,
               struct err *err);
void talk_close(struct talk *t);

/* Gives the model a text and appends its answer to *a; `out` (NULL: none) gets it as it comes.
 * Ctrl-C ends the answer, and is left to be asked for by stop_check.  Fails with ERR_USAGE (an
 * empty text, one that does not fit) or ERR_STOPPED (before the answer began), and the
 * conversation is as before; or with ERR_IO, ERR_NUMERIC or ERR_MEMORY. */
bool talk_turn(struct talk *t, const char *text, size_t length, FILE *out, struct talk_answer *a,
               struct err *err);

/* Begins a new conversation. */
void talk_reset(struct talk *t);

const char *talk_end_name(enum talk_end end);

void talk_answer_close(struct talk_answer *a);

#endif
