/* forward.h - tokens through a decoder: what the model makes of a batch of sequences.
 *
 * One pass takes tokens of any number of sequences, each at the end of its part of the cache,
 * and gives for the last tokens of each the final state of the residual stream, normed;
 * forward_logits turns states into logits, so that a caller with a large vocabulary does so a
 * few at a time.  A batch is worked on in pieces of FORWARD_PIECE tokens, and memory
 * follows from that, not from the batch.  Results do not depend on the pool, and on the
 * make-up of a batch only in the last bits.
 *
 * To add an architecture: its row in model/arch.c, and where it computes something else, a
 * member of that row and a small function in forward.c.
 */
#ifndef MODEL_FORWARD_H
#define MODEL_FORWARD_H

#include "model/attention.h"
#include "model/kv_cache.h"
#include "model/linear.h"
#include "model/weights.h"

#include <stdint.h>

enum { FORWARD_PIECE = 512 };

/* Tokens that one sequence goes on with. */
struct forward_sequence {
    const uint32_t *token;
    size_t tokens;
    size_t sequence; /* of the cache; each at most once in a batch */
    size_t states;   /* of how many of the last tokens, at most `tokens` */
};

/* Looks at the residual stream (tokens x embd, of a piece): as it enters layer 0, 1 ..., and, with
 * layer == layers, as it leaves the last. */
struct forward_tap {
    void (*look)(void *arg, size_t layer, const float *x, size_t tokens);
    void *arg;
};

/* What the linears of a layer are multiplied with: q, k and v; o; gate and up; down. */
enum forward_input { FORWARD_ATTN_IN, FORWARD_ATTN_OUT, FORWARD_FFN_IN, FORWARD_FFN_MID };

/* Looks at it (tokens x columns, of a piece).  False: the half layer ends there, and the residual
 * stream stays as it entered. */
struct forward_probe {
    bool (*look)(void *arg, enum forward_input input, const float *x, size_t tokens);
    void *arg;
};

/* One token of a piece. */
struct forward_token {
    uint32_t id;
    size_t sequence, position; /* in the cache */
    float *state;              /* where its state goes, or NULL */
};

struct forward {
    const struct weights *weights;
    const struct kernels *kernels;
    struct pool *pool;
    struct linear_engine linear;
    struct attention attention;
    struct forward_tap tap;      /* look NULL: none; the caller may set it */
    struct forward_probe probe;  /* the same; of forward_attention and forward_ffn */
    float *memory;               /* the rest points into it; each FORWARD_PIECE x its width */
    float *x;                    /* embd: the residual stream */
    float *normed;               /* embd: what a part of a layer sees; then what it adds */
    float *q, *k, *v, *mixed;    /* the attention's; mixed: of the values */
    float *gate, *up;            /* ffn */
    float *angle;                /* rope.dims */
    struct forward_token *token; /* of a piece */
    struct attention_span *span;
};

/* The weights must stay open.  Fails with ERR_MEMORY; *f is then closed. */
bool forward_open(struct forward *f, const struct weights *w, const struct kernels *k,
                  struct pool *pool, struct err *err);
void forward_close(struct forward *f);

/* Takes the batch through all layers and appends it to the cache.  states gets the rows asked for
 * (embd floats each), sequence after sequence.  Fails with ERR_USAGE (a token that is not in the
 * vocabulary, a sequence that does not fit in its context) before anything is done. */
bool forward_run(struct forward *f, struct kv_cache *cache, const struct forward_sequence *s,
                 size_t sequences, float *states, struct err *err);

/* logits (rows x vocab) of rows of states. */
void forward_logits(struct forward *f, const float *states, size_t rows, float *logits);

/* Half a layer at a time, for one who takes many sequences through a layer before the next and keeps
 * their residual streams (x: tokens x embd, up to FORWARD_PIECE tokens).  Together the four do what
 * forward_run does. */

/* x as it enters layer 0.  Fails with ERR_USAGE (a token that is not in the vocabulary). */
bool forward_embed(struct forward *f, const uint32_t *token, size_t tokens, float *x,
                   struct err *err);

/* x goes through a layer's attention, behind the tokens that are in the cache, which is one of a
 * single layer and sequence with room for them. */
void forward_attention(struct forward *f, struct kv_cache *cache, size_t layer, float *x,
                       size_t tokens);

/* x goes through a layer's feed-forward. */
void forward_ffn(struct forward *f, size_t layer, float *x, size_t tokens);

/* The states of x, which left the last layer. */
void forward_states(struct forward *f, const float *x, size_t tokens, float *states);

#endif
