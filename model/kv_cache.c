#include "model/kv_cache.h"

#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>

static bool row_bytes(const struct dtype *d, uint64_t dim, size_t *bytes, struct err *err)
{
    if (dim % d->block_elems != 0)
        return err_set(
            err, ERR_USAGE,
            "a cache in %s needs heads of whole blocks of %zu, the model's have %" PRIu64, d->name,
            d->block_elems, dim);
    return dtype_row_bytes(d, dim, bytes, err);
}

static uint8_t *rows_alloc(const struct kv_cache *c, uint64_t layers, size_t row, size_t *total)
{
    size_t rows, bytes;
    if (!size_mul(layers, c->sequences, &rows) || !size_mul(rows, c->heads, &rows) ||
        !size_mul(rows, c->context, &rows) || !size_mul(rows, row, &bytes) ||
        !size_add(*total, bytes, total))
        return NULL;
    return mem_alloc(rows, row);
}

bool kv_cache_open(struct kv_cache *c, const struct hparams *h, const struct kernels *k,
                   enum dtype_id type, size_t sequences, size_t context, struct err *err)
{
    *c = (struct kv_cache){
        .kernels = k,
        .dtype = dtype_get(type),
        .heads = (size_t)h->kv_heads,
        .key_dim = (size_t)h->head_dim,
        .value_dim = (size_t)h->value_dim,
        .sequences = sequences,
        .context = context,
    };
    if (type != DTYPE_F16 && type != DTYPE_F32 && type != DTYPE_Q8_0)
        return err_set(err, ERR_USAGE, "a cache can be F16, F32 or Q8_0, not %s", c->dtype->name);
    if (!row_bytes(c->dtype, c->key_dim, &c->key_bytes, err) ||
        !row_bytes(c->dtype, c->value_dim, &c->value_bytes, err))
        return false;
    c->length = mem_alloc(sequences, sizeof *c->length);
    c->keys = rows_alloc(c, h->layers, c->key_bytes, &c->bytes);
    c->values = rows_alloc(c, h->layers, c->value_bytes, &c->bytes);
    if (c->length && c->keys && c->values)
        return true;
    kv_cache_close(c);
    return err_set(err, ERR_MEMORY, "a cache of %zu x %zu tokens", sequences, context);
}

void kv_cache_close(struct kv_cache *c)
{
    free(c->length);
    free(c->keys);
    free(c->values);
    *c = (struct kv_cache){0};
}

/* The number of a row. */
static size_t row_of(const struct kv_cache *c, size_t layer, size_t sequence, size_t head,
                     size_t position)
{
    return ((layer * c->sequences + sequence) * c->heads + head) * c->context + position;
}

void kv_cache_put(struct kv_cache *c, size_t layer, size_t sequence, size_t position,
                  const float *key, const float *value)
{
    const encode_row_fn encode = c->kernels->encode[c->dtype->id];
    for (size_t head = 0; head < c->heads; head++) {
        const size_t row = row_of(c, layer, sequence, head, position);
        encode(c->keys + row * c->key_bytes, key + head * c->key_dim, NULL, c->key_dim);
        encode(c->values + row * c->value_bytes, value + head * c->value_dim, NULL, c->value_dim);
    }
}

void kv_cache_keys(const struct kv_cache *c, size_t layer, size_t sequence, size_t head,
                   size_t position, size_t count, float *dst)
{
    const size_t row = row_of(c, layer, sequence, head, position);
    c->kernels->decode[c->dtype->id](dst, c->keys + row * c->key_bytes, count * c->key_dim);
}

void kv_cache_values(const struct kv_cache *c, size_t layer, size_t sequence, size_t head,
                     size_t position, size_t count, float *dst)
{
    const size_t row = row_of(c, layer, sequence, head, position);
    c->kernels->decode[c->dtype->id](dst, c->values + row * c->value_bytes, count * c->value_dim);
}
