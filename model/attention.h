/* attention.h - causal attention of grouped queries over a cache, by an online softmax.
 *
 * A tile of queries of one key-value head meets the cache tile after tile, keeping for each query
 * the largest score so far, the sum of exponentials and the weighted sum of values, all rescaled
 * when the largest grows (Milakov and Gimelshein, "Online normalizer calculation for softmax";
 * Dao et al., "FlashAttention").  Memory is a few hundred KB a thread for any context.
 *
 * Scores and weighted sums are outer products (core/vector.h): a score is one chain of fused
 * multiply-adds over the dims, a sum one over the keys of a tile, and nothing is computed of panels
 * of keys that causality or the window hides.  A token's result is the same bytes for any number of
 * threads, any instruction set and any batch that the token is part of.
 */
#ifndef MODEL_ATTENTION_H
#define MODEL_ATTENTION_H

#include "core/pool.h"
#include "model/kv_cache.h"

/* Consecutive tokens of one sequence within a batch. */
struct attention_span {
    size_t sequence, position; /* of its first token, in the cache */
    size_t first, tokens;      /* rows of the batch */
};

struct attention {
    struct pool *pool;
    size_t heads, kv_heads; /* of queries, of keys and values */
    size_t group;           /* of heads that share a key-value head */
    size_t key_dim, value_dim;
    size_t window;      /* a query sees so many tokens, itself included; 0: all before it */
    float scale;        /* of the scores */
    size_t tile_tokens; /* of queries */
    float *scratch;     /* of each thread */
    size_t scratch_floats;
};

/* Fails with ERR_MEMORY. */
bool attention_open(struct attention *a, const struct hparams *h, struct pool *pool,
                    struct err *err);
void attention_close(struct attention *a);

/* out (tokens x heads x value_dim) = softmax(scale * query keys) values for the tokens of all
 * spans, query being tokens x heads x key_dim.  The cache already has the spans' own keys and
 * values. */
void attention_run(const struct attention *a, const struct kv_cache *cache, size_t layer,
                   const struct attention_span *span, size_t spans, const float *query, float *out);

#endif
