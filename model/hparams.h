/* hparams.h - the sizes and constants of a transformer, from config.json or from GGUF keys.
 *
 * Every number that is read is checked before it is used as a size: after true, the sizes are
 * below 2^31 and heads divide what they must.  A key that a GGUF gives layer by layer (an
 * array) is read at its first layer.
 */
#ifndef MODEL_HPARAMS_H
#define MODEL_HPARAMS_H

#include "core/err.h"
#include "formats/hf_config.h"
#include "formats/meta.h"

#include <stdbool.h>
#include <stdint.h>

struct hparams {
    uint64_t layers;
    uint64_t embd;  /* width of the residual stream */
    uint64_t ffn;   /* width of the feed-forward's hidden layer */
    uint64_t vocab; /* rows of the embedding */
    uint64_t context;
    uint64_t heads, kv_heads;       /* kv_heads divides heads */
    uint64_t head_dim, value_dim;   /* a head's width: of queries and keys, of values */
    uint64_t rope_dims;             /* leading columns of a head that turn; even */
    uint64_t window;                /* sliding attention window; 0: none */
    uint64_t experts, experts_used; /* 0: none */
    double norm_eps;
    struct hf_rope rope;
    bool tied; /* the output matrix is the embedding: as the config says, or no output.weight */
};

/* Fails with ERR_FORMAT ("config.json: 'num_attention_heads' is 0 ...") or ERR_UNSUPPORTED. */
bool hparams_read_config(struct hparams *h, const json_t *config, struct err *err);

/* From the keys "<arch>.block_count" and so on.  `known`: an architecture of model/arch's table,
 * all keys are needed and checked; otherwise what is there is read and the rest is 0. */
bool hparams_read_meta(struct hparams *h, const char *arch, bool known, const struct meta *meta,
                       struct err *err);

/* Sets the keys that stock llama.cpp reads. */
void hparams_write(const struct hparams *h, const char *arch, struct meta *meta);

/* Llama 3.1's rope scaling as stock reads it, a tensor: rope_dims / 2 factors by which the
 * frequencies are divided.  Only for rope.type == HF_ROPE_LLAMA3. */
void hparams_rope_factors(const struct hparams *h, float *factor);

#endif
