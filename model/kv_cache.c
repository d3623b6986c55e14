#include "model/kv_cache.h"

#include "core/block.h"
#include "core/mem.h"

#include <assert.h>
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

static uint8_t *tiles_alloc(const struct kv_cache *c, uint64_t layers, size_t row, size_t *total)
{
    size_t tiles, bytes;
    if (!size_mul(layers, c->sequences, &tiles) || !size_mul(tiles, c->heads, &tiles) ||
        !size_mul(tiles, c->tiles, &tiles) || !size_mul(row, KV_TILE, &row) ||
        !size_mul(tiles, row, &bytes) || !size_add(*total, bytes, total))
        return NULL;
    return mem_alloc_large(tiles, row);
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
        .value_panels = kv_cache_value_panels((size_t)h->value_dim),
        .sequences = sequences,
        .context = context,
        .tiles = context / KV_TILE + (context % KV_TILE != 0),
    };
    if (type != DTYPE_F16 && type != DTYPE_F32 && type != DTYPE_Q8_0)
        return err_set(err, ERR_USAGE, "a cache can be F16, F32 or Q8_0, not %s", c->dtype->name);
    if (!row_bytes(c->dtype, c->key_dim, &c->key_bytes, err) ||
        !row_bytes(c->dtype, c->value_dim, &c->value_bytes, err) || /* Q8_0 is not padded */
        !row_bytes(c->dtype, c->value_panels * VECTOR_PANEL, &c->value_bytes, err))
        return false;
    c->length = mem_alloc(sequences, sizeof *c->length);
    c->keys = tiles_alloc(c, h->layers, c->key_bytes, &c->bytes);
    c->values = tiles_alloc(c, h->layers, c->value_bytes, &c->bytes);
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

static size_t tile_of(const struct kv_cache *c, const struct kv_head *h, size_t tile)
{
    return ((h->layer * c->sequences + h->sequence) * c->heads + h->head) * c->tiles + tile;
}

/* Bytes of a position in a panel of values. */
static size_t panel_row(const struct kv_cache *c) { return c->value_bytes / c->value_panels; }

/* Some dims of a panel of keys in Q8_0: of each position a block. */
enum { GROUP = sizeof((struct block_q8_0 *)NULL)->qs };
struct key_group {
    uint16_t d[VECTOR_PANEL];
    int8_t q[GROUP][VECTOR_PANEL];
};
static_assert(sizeof(struct key_group) == VECTOR_PANEL * sizeof(struct block_q8_0),
              "the same bytes");

static void put_column_f32(float *to, const float *key, size_t dim)
{
    for (size_t i = 0; i < dim; i++)
        to[i * VECTOR_PANEL] = key[i];
}

static void put_column_f16(const struct kv_cache *c, uint16_t *to, const float *key)
{
    enum { PIECE = 64 };
    uint16_t piece[PIECE];
    for (size_t i = 0; i < c->key_dim; i += PIECE) {
        const size_t count = c->key_dim - i < PIECE ? c->key_dim - i : PIECE;
        c->kernels->encode[DTYPE_F16](piece, key + i, NULL, count);
        for (size_t j = 0; j < count; j++, to += VECTOR_PANEL)
            *to = piece[j];
    }
}

static void put_column_q8(const struct kv_cache *c, struct key_group *to, size_t column,
                          const float *key)
{
    struct block_q8_0 block;
    for (size_t i = 0; i < c->key_dim; i += GROUP, to++) {
        c->kernels->encode[DTYPE_Q8_0](&block, key + i, NULL, GROUP);
        to->d[column] = block.d;
        for (size_t j = 0; j < GROUP; j++)
            to->q[j][column] = block.qs[j];
    }
}

/* A key into its column of the panel that holds its position. */
static void put_key(const struct kv_cache *c, uint8_t *keys, size_t position, const float *key)
{
    const size_t column = position % VECTOR_PANEL;
    void *panel = keys + (position - column) * c->key_bytes;
    if (c->dtype->id == DTYPE_F32)
        put_column_f32((float *)panel + column, key, c->key_dim);
    else if (c->dtype->id == DTYPE_F16)
        put_column_f16(c, (uint16_t *)panel + column, key);
    else
        put_column_q8(c, panel, column, key);
}

static void put_value(const struct kv_cache *c, uint8_t *values, size_t position,
                      const float *value)
{
    const size_t bytes = panel_row(c);
    uint8_t *to = values + position * bytes;
    for (size_t i = 0; i < c->value_dim; i += VECTOR_PANEL, to += KV_TILE * bytes) {
        const size_t left = c->value_dim - i;
        c->kernels->encode[c->dtype->id](to, value + i, NULL,
                                         left < VECTOR_PANEL ? left : VECTOR_PANEL);
    }
}

void kv_cache_put(struct kv_cache *c, size_t layer, size_t sequence, size_t position,
                  const float *key, const float *value)
{
    for (size_t head = 0; head < c->heads; head++) {
        const struct kv_head h = {layer, sequence, head};
        const size_t row = tile_of(c, &h, position / KV_TILE) * KV_TILE;
        put_key(c, c->keys + row * c->key_bytes, position % KV_TILE, key + head * c->key_dim);
        put_value(c, c->values + row * c->value_bytes, position % KV_TILE,
                  value + head * c->value_dim);
    }
}

static void decode_keys(const struct kv_cache *c, float *dst, const void *keys, size_t panels)
{
    const struct key_group *group = keys;
    for (size_t i = 0; i < panels * c->key_dim; i += GROUP, group++) {
        float scale[VECTOR_PANEL];
        c->kernels->decode[DTYPE_F16](scale, group->d, VECTOR_PANEL);
        c->kernels->vector.widen(dst + i * VECTOR_PANEL, group->q[0], scale, GROUP);
    }
}

struct kv_tile kv_cache_read(const struct kv_cache *c, const struct kv_head *h, size_t tile,
                             size_t count, float *scratch)
{
    const size_t row = tile_of(c, h, tile) * KV_TILE;
    const struct vector_kernels *v = &c->kernels->vector;
    struct kv_tile t = {
        .keys = c->keys + row * c->key_bytes,
        .values = c->values + row * c->value_bytes,
        .size = c->dtype->block_bytes,
        .outer = c->dtype->id == DTYPE_F16 ? v->outer_f16 : v->outer_f32,
    };
    if (c->dtype->id != DTYPE_Q8_0)
        return t;
    float *values = scratch + KV_TILE * c->key_dim;
    decode_keys(c, scratch, t.keys, (count + VECTOR_PANEL - 1) / VECTOR_PANEL);
    for (size_t i = 0; i < c->value_panels; i++)
        c->kernels->decode[DTYPE_Q8_0](values + i * KV_TILE * VECTOR_PANEL,
                                       t.values + i * KV_TILE * panel_row(c), count * VECTOR_PANEL);
    t.keys = (const uint8_t *)scratch;
    t.values = (const uint8_t *)values;
    t.size = sizeof *scratch;
    return t;
}
