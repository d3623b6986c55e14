/* generator.h - a text that a model goes on with, token by token.
 *
 * The caller feeds tokens, asks for the next, and feeds that too if the text shall go on with it:
 * what was fed is in the cache, and stays there.
 */
#ifndef MODEL_GENERATOR_H
#define MODEL_GENERATOR_H

#include "model/forward.h"
#include "model/sampler.h"

struct generator {
    struct forward forward;
    struct kv_cache cache;
    struct sampler sampler;
    float *state, *logits; /* of the last token fed */
};

/* An empty text with room for `context` tokens.  The weights must stay open.  Fails as the openers
 * of the parts do; *g is then closed. */
bool generator_open(struct generator *g, const struct weights *w, const struct kernels *k,
                    struct pool *pool, enum dtype_id cache, size_t context,
                    const struct sampler_options *sampler, struct err *err);
void generator_close(struct generator *g);

/* Appends tokens to the text.  Fails with ERR_USAGE (no room, no such token) or ERR_STOPPED (asked
 * between pieces of a long text); the text is then as before. */
bool generator_feed(struct generator *g, const uint32_t *id, size_t count, struct err *err);

/* Draws what may come next.  Something was fed before. */
bool generator_next(struct generator *g, uint32_t *id, struct err *err);

/* Tokens in the text, and how many more there is room for. */
size_t generator_length(const struct generator *g);
size_t generator_room(const struct generator *g);

/* Begins a new text. */
void generator_reset(struct generator *g);

#endif
