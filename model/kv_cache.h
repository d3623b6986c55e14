/* kv_cache.h - keys and values of the tokens seen so far, of several sequences.
 *
 * By layer, sequence and head, in F16, F32 or Q8_0, laid out as attention reads it: tiles of
 * KV_TILE positions, each of panels for outer products (core/vector.h):
 *
 *   keys    VECTOR_PANEL positions side by side: [position / 32][dim][position % 32]; in Q8_0
 *           each 32 dims behind the scales of their blocks
 *   values  VECTOR_PANEL dims side by side: [dim / 32][position][dim % 32], padded with zeros
 *
 * Positions beyond a sequence's length hold nothing that means anything.
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

enum { KV_TILE = 4 * VECTOR_PANEL };

struct kv_cache {
    const struct kernels *kernels;
    const struct dtype *dtype;
    size_t heads, key_dim, value_dim; /* of a layer */
    size_t value_panels;              /* of a head */
    size_t sequences, context;        /* how many, and the most tokens of each */
    size_t tiles;                     /* of a head */
    size_t *length;                   /* tokens in each sequence: the caller may shorten it */
    size_t key_bytes, value_bytes;    /* of one head at one position */
    uint8_t *keys, *values;
    size_t bytes;
};

struct kv_head {
    size_t layer, sequence, head;
};

/* A tile of a head, as numbers of `size` bytes; valid while cache and scratch are. */
struct kv_tile {
    const uint8_t *keys, *values;
    size_t size;
    void (*outer)(const struct vector_outer *o);
};

static inline size_t kv_cache_value_panels(size_t value_dim)
{
    return (value_dim + VECTOR_PANEL - 1) / VECTOR_PANEL;
}

/* An empty cache.  Fails with ERR_USAGE (a type that is none of the three, or whose blocks do not
 * fit a head) or ERR_MEMORY. */
bool kv_cache_open(struct kv_cache *c, const struct hparams *h, const struct kernels *k,
                   enum dtype_id type, size_t sequences, size_t context, struct err *err);
void kv_cache_close(struct kv_cache *c);

/* Stores the keys and values of all heads (heads x key_dim, heads x value_dim floats).  Other
 * positions may be put by other threads at the same time. */
void kv_cache_put(struct kv_cache *c, size_t layer, size_t sequence, size_t position,
                  const float *key, const float *value);

/* The tile of positions tile * KV_TILE to before that + `count`: F16 and F32 where they are, Q8_0
 * decoded into scratch, KV_TILE x (key_dim + value_dim) floats. */
struct kv_tile kv_cache_read(const struct kv_cache *c, const struct kv_head *h, size_t tile,
                             size_t count, float *scratch);

#endif
