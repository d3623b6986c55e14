#include "model/attention.h"

#include "core/mem.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { TILE_ROWS = 64, TILE_KEYS = 128 };

/* What a tile of queries needs; a row is one head of one token. */
struct tile {
    float *query;  /* rows x key_dim */
    float *key;    /* TILE_KEYS x key_dim */
    float *value;  /* TILE_KEYS x value_dim */
    float *score;  /* rows x TILE_KEYS */
    float *sum;    /* rows x value_dim: values weighted with exp(score - largest) */
    float *weight; /* rows: the sum of those weights */
    float *largest;
};

static size_t group_of(const struct attention *a) { return a->heads / a->kv_heads; }

/* Lays the tile out from `at` on; returns the floats that it takes. */
static size_t tile_lay(struct tile *t, const struct attention *a, float *at)
{
    const size_t rows = a->tile_tokens * group_of(a);
    const size_t size[] = {rows * a->key_dim,
                           TILE_KEYS * a->key_dim,
                           TILE_KEYS * a->value_dim,
                           rows * TILE_KEYS,
                           rows * a->value_dim,
                           rows,
                           rows};
    float **const part[] = {&t->query, &t->key,    &t->value,  &t->score,
                            &t->sum,   &t->weight, &t->largest};
    size_t used = 0;
    for (size_t i = 0; i < sizeof size / sizeof size[0]; i++) {
        *part[i] = at ? at + used : NULL;
        used += (size[i] + 15) / 16 * 16;
    }
    return used;
}

bool attention_open(struct attention *a, const struct hparams *h, struct pool *pool,
                    struct err *err)
{
    *a = (struct attention){
        .pool = pool,
        .heads = (size_t)h->heads,
        .kv_heads = (size_t)h->kv_heads,
        .key_dim = (size_t)h->head_dim,
        .value_dim = (size_t)h->value_dim,
        .window = (size_t)h->window,
        .scale = (float)(1.0 / sqrt((double)h->head_dim)),
    };
    const size_t tokens = TILE_ROWS / group_of(a);
    struct tile tile;
    a->tile_tokens = tokens ? tokens : 1;
    a->scratch_floats = tile_lay(&tile, a, NULL);
    a->scratch =
        mem_alloc_large((size_t)pool_threads(pool), a->scratch_floats * sizeof *a->scratch);
    return a->scratch || err_set(err, ERR_MEMORY, "scratch for attention");
}

void attention_close(struct attention *a)
{
    free(a->scratch);
    *a = (struct attention){0};
}

struct work {
    const struct attention *attention;
    const struct kv_cache *cache;
    size_t layer;
    const struct attention_span *span;
    const float *query;
    float *out;
};

/* Turns the scores of one query (of keys `first` .. first + keys) into weights; those outside
 * [from, to] are not seen. */
static void weigh(const struct vector_kernels *v, const struct tile *t, size_t row,
                  size_t value_dim, size_t first, size_t keys, size_t from, size_t to)
{
    float *score = t->score + row * TILE_KEYS, *sum = t->sum + row * value_dim;
    const size_t begin = from > first ? from - first : 0;
    const size_t end = to < first ? 0 : to - first + 1 < keys ? to - first + 1 : keys;
    if (begin >= end) {
        memset(score, 0, keys * sizeof *score);
        return;
    }
    const float here = v->max(score + begin, end - begin), before = t->largest[row];
    const float largest = here > before ? here : before;
    const float shrink = expf(before - largest);
    memset(score, 0, begin * sizeof *score);
    const double weight = v->exp(score + begin, score + begin, largest, end - begin);
    memset(score + end, 0, (keys - end) * sizeof *score);
    if (shrink != 1.0f)
        v->scale(sum, sum, shrink, value_dim);
    t->weight[row] = t->weight[row] * shrink + (float)weight;
    t->largest[row] = largest;
}

/* Queries of `tokens` tokens from `position` on meet all the keys that they see. */
static void meet_keys(const struct work *w, const struct tile *t, size_t head, size_t sequence,
                      size_t position, size_t tokens)
{
    const struct attention *a = w->attention;
    const size_t group = group_of(a), rows = tokens * group, window = a->window;
    const size_t last = position + tokens - 1;
    const size_t seen = window && position + 1 > window ? position + 1 - window : 0;
    const int key_dim = (int)a->key_dim, value_dim = (int)a->value_dim;
    for (size_t first = seen / TILE_KEYS * TILE_KEYS; first <= last; first += TILE_KEYS) {
        const size_t keys = last - first + 1 < TILE_KEYS ? last - first + 1 : TILE_KEYS;
        kv_cache_keys(w->cache, w->layer, sequence, head, first, keys, t->key);
        kv_cache_values(w->cache, w->layer, sequence, head, first, keys, t->value);
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)rows, (int)keys, key_dim,
                    a->scale, t->query, key_dim, t->key, key_dim, 0.0f, t->score, TILE_KEYS);
        for (size_t row = 0; row < rows; row++) {
            const size_t to = position + row / group;
            const size_t from = window && to + 1 > window ? to + 1 - window : 0;
            weigh(&w->cache->kernels->vector, t, row, a->value_dim, first, keys, from, to);
        }
        cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasNoTrans, (int)rows, value_dim, (int)keys,
                    1.0f, t->score, TILE_KEYS, t->value, value_dim, 1.0f, t->sum, value_dim);
    }
}

static size_t tiles_of(const struct attention *a, const struct attention_span *span)
{
    return (span->tokens + a->tile_tokens - 1) / a->tile_tokens;
}

/* An item is a tile of a span's tokens and a key-value head. */
static void attend(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const struct attention *a = w->attention;
    const struct attention_span *span = w->span;
    const size_t head = item % a->kv_heads, group = group_of(a);
    size_t tile = item / a->kv_heads;
    for (; tile >= tiles_of(a, span); span++)
        tile -= tiles_of(a, span);

    const size_t skip = tile * a->tile_tokens;
    const size_t left = span->tokens - skip;
    const size_t tokens = left < a->tile_tokens ? left : a->tile_tokens;
    const size_t query_floats = group * a->key_dim, out_floats = group * a->value_dim;
    const struct vector_kernels *v = &w->cache->kernels->vector;
    struct tile t;
    tile_lay(&t, a, a->scratch + (size_t)thread * a->scratch_floats);
    for (size_t i = 0; i < tokens; i++)
        memcpy(t.query + i * query_floats,
               w->query + ((span->first + skip + i) * a->kv_heads + head) * query_floats,
               query_floats * sizeof *t.query);
    memset(t.sum, 0, tokens * out_floats * sizeof *t.sum);
    for (size_t row = 0; row < tokens * group; row++) {
        t.weight[row] = 0.0f;
        t.largest[row] = -INFINITY;
    }
    meet_keys(w, &t, head, span->sequence, span->position + skip, tokens);
    for (size_t i = 0; i < tokens; i++) {
        float *out = w->out + ((span->first + skip + i) * a->kv_heads + head) * out_floats;
        for (size_t row = i * group; row < (i + 1) * group; row++, out += a->value_dim)
            v->scale(out, t.sum + row * a->value_dim, 1.0f / t.weight[row], a->value_dim);
    }
}

void attention_run(const struct attention *a, const struct kv_cache *cache, size_t layer,
                   const struct attention_span *span, size_t spans, const float *query, float *out)
{
    struct work w = {a, cache, layer, span, query, out};
    size_t tiles = 0;
    for (size_t i = 0; i < spans; i++)
        tiles += tiles_of(a, &span[i]);
    pool_for(a->pool, tiles * a->kv_heads, attend, &w);
}
