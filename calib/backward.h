/* backward.h - what the loss of a window thinks of every linear's output: the chain rule, backwards.
 *
 * The loss is the sum over a window's tokens of -log p(next), where the next token is drawn from the
 * model's own prediction, not from the text: the mean of a gradient's squares is then the Fisher
 * information, which is to second order the KL divergence that a small error causes,
 *
 *     KL(error) = 1/2 mean (gradient' error)^2
 *
 * A window goes forwards half a layer at a time (half 2 n is the attention of layer n, 2 n + 1 its
 * feed-forward), and back the same way; the caller keeps the residual stream as it entered each
 * half, and the rest of a half is computed once more.  All is f32.  The tap sees, for every linear
 * from the last to the first, the inputs and the gradient of its outputs.
 *
 * To add to what an architecture computes (model/forward.c): its derivative here; the test
 * compares both with differences of the loss.
 */
#ifndef CALIB_BACKWARD_H
#define CALIB_BACKWARD_H

#include "core/rng.h"
#include "model/forward.h"

struct backward_tap {
    /* x: tokens x cols, gradient: tokens x rows of that linear.  The output matrix comes a few
     * tokens at a time. */
    void (*look)(void *arg, const struct linear *linear, const float *x, const float *gradient,
                 size_t tokens);
    void *arg;
};

struct backward {
    const struct weights *weights;
    const struct kernels *kernels;
    struct pool *pool;
    int threads; /* of the pool */
    struct forward forward;
    struct kv_cache cache; /* of one layer */
    size_t most;           /* tokens of a window */
    struct backward_tap tap;
    float *memory; /* the rest points into it */
    float *dx;     /* embd a token: the gradient of the stream where it is, going back */
    float *normed, *dnormed;
    float *q, *k, *v, *mixed; /* q and k: normed and turned */
    float *dq, *dk, *dv, *dmixed;
    float *raw_q, *raw_k; /* before their norms */
    float *gate, *up, *hidden;
    float *dgate, *dup, *dhidden;
    float *angle;  /* rope.dims a token */
    float *score;  /* two squares of most x most a thread */
    float *logits; /* pieces of `piece` tokens */
    size_t piece;
    float *panel; /* rows of a matrix, as floats */
    size_t panel_floats;
};

/* For windows of up to `most` tokens (at most FORWARD_PIECE), and the memory that takes.  The
 * weights must stay open.  Fails with ERR_MEMORY; *b is then closed. */
size_t backward_bytes(const struct weights *w, int threads, size_t most);
bool backward_open(struct backward *b, const struct weights *w, const struct kernels *k,
                   struct pool *pool, size_t most, struct err *err);
void backward_close(struct backward *b);

/* A window's stream x (tokens x embd) where the model begins.  Fails with ERR_USAGE (a token that is
 * not in the vocabulary, too many of them). */
bool backward_embed(struct backward *b, const uint32_t *token, size_t tokens, float *x,
                    struct err *err);

/* x through a half. */
void backward_ahead(struct backward *b, size_t half, float *x, size_t tokens);

/* x, as it leaves the last half, through the output; b->dx becomes the gradient of x.  Next tokens are
 * drawn with *rng, or, where `next` is not NULL, given.  The loss: its sum over tokens. */
double backward_output(struct backward *b, const float *x, size_t tokens, const uint32_t *next,
                       struct rng *rng);

/* b->dx from behind a half to before it, which x entered. */
void backward_half(struct backward *b, size_t half, const float *x, size_t tokens);

#endif
