/* kv_cache.h - keys and values of the tokens seen so far, of several sequences.
 *
 * One block of memory for all: by layer, sequence, head and position, so that the positions of
 * a head lie one behind the other and decode in one call.  Rows are stored in F16, F32 or Q8_0.
 * Positions beyond a sequence's length hold nothing.
 */
#ifndef MODEL_KV_CACHE_H
#define MODEL_KV_CACHE_H

#include "core/dtype.h"
#include "core/err.h"
#include "model/hparams.h"
#include "quantize/kernels.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kv_cache {
    const struct kernels *kernels;
    const struct dtype *dtype;
    size_t heads, key_dim, value_dim; /* of a layer */
    size_t sequences, context;        /* how many, and the most tokens of each */
    size_t *length;                   /* tokens in each sequence: the caller may shorten it */
    size_t key_bytes, value_bytes;    /* of a row: one head at one position */
    uint8_t *keys, *values;
    size_t bytes;
};

/* An empty cache.  Fails with ERR_USAGE (a type that is none of the three, or whose blocks do not
 * fit a head) or ERR_MEMORY. */
bool kv_cache_open(struct kv_cache *c, const struct hparams *h, const struct kernels *k,
                   enum dtype_id type, size_t sequences, size_t context, struct err *err);
void kv_cache_close(struct kv_cache *c);

/* Stores the keys and values of all heads (heads x key_dim, heads x value_dim floats).  Other
 * positions may be put by other threads at the same time. */
void kv_cache_put(struct kv_cache *c, size_t layer, size_t sequence, size_t position,
                  const float *key, const float *value);

/* Decodes `count` rows of a head from `position` on. */
void kv_cache_keys(const struct kv_cache *c, size_t layer, size_t sequence, size_t head,
                   size_t position, size_t count, float *dst);
void kv_cache_values(const struct kv_cache *c, size_t layer, size_t sequence, size_t head,
                     size_t position, size_t count, float *dst);

#endif
