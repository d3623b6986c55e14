#include "model/attention.h"

#include "core/mem.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A tile's keys and values stay in a core's second cache, while its rows meet them in blocks that
 * outer products take in one go. */
enum { PANEL = VECTOR_PANEL, TILE_ROWS = 96, BLOCK = 12 };

/* What a tile of queries needs; a row is one head of one token. */
struct tile {
    float *query;  /* rows x key_dim, scaled */
    float *stored; /* keys and values, where they are decoded */
    float *score;  /* BLOCK x KV_TILE */
    float *sum;    /* panels x rows x PANEL: values weighted with exp(score - largest) */
    float *weight; /* rows: the sum of those weights */
    float *largest;
};

/* Lays the tile out from `at` on; returns the floats that it takes. */
static size_t tile_lay(struct tile *t, const struct attention *a, float *at)
{
    const size_t rows = a->tile_tokens * a->group;
    const size_t value_width = kv_cache_value_panels(a->value_dim) * PANEL;
    const size_t size[] = {rows * a->key_dim,
                           KV_TILE * (a->key_dim + value_width),
                           (size_t)BLOCK * KV_TILE,
                           rows * value_width,
                           rows,
                           rows};
    float **const part[] = {&t->query, &t->stored, &t->score, &t->sum, &t->weight, &t->largest};
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
        .group = (size_t)(h->heads / h->kv_heads),
        .key_dim = (size_t)h->head_dim,
        .value_dim = (size_t)h->value_dim,
        .window = (size_t)h->window,
        .scale = (float)(1.0 / sqrt((double)h->head_dim)),
    };
    const size_t tokens = TILE_ROWS / a->group;
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

/* Rows that meet keys: those of consecutive tokens, the first one's at `position`. */
struct meeting {
    const struct attention *attention;
    const struct vector_kernels *vector;
    const struct tile *tile;
    size_t position, rows;
    size_t first, count; /* keys */
    struct kv_tile kv;
};

/* The keys that a row sees, of those it meets: from `begin` to before `end`. */
struct seen {
    size_t begin, end;
};

static struct seen seen_by(const struct meeting *m, size_t row)
{
    const size_t to = m->position + row / m->attention->group + 1, window = m->attention->window;
    const size_t from = window && to > window ? to - window : 0;
    return (struct seen){
        .begin = from > m->first ? from - m->first : 0,
        .end = to < m->first              ? 0
               : to - m->first < m->count ? to - m->first
                                          : m->count,
    };
}

static void hide(float *score, size_t begin, size_t end)
{
    for (size_t i = begin; i < end; i++)
        score[i] = -INFINITY;
}

/* Turns the scores of a row into weights: zero for keys that it does not see but others of its
 * block do.  In whole panels, so that nothing is left over.  Returns what becomes of the sums so
 * far. */
static float weigh(const struct meeting *m, size_t row, float *score, struct seen met)
{
    const struct tile *t = m->tile;
    const struct seen seen = seen_by(m, row);
    const size_t begin = met.begin - met.begin % PANEL;
    const size_t end = (met.end + PANEL - 1) / PANEL * PANEL;
    const size_t count = end - begin;
    if (seen.begin >= seen.end) {
        memset(score + begin, 0, count * sizeof *score);
        return 1.0f;
    }
    hide(score, begin, seen.begin);
    hide(score, seen.end, end);
    score += begin;
    const float here = m->vector->max(score, count), before = t->largest[row];
    const float largest = here > before ? here : before;
    const float keep = here > before ? expf(before - here) : 1.0f;
    t->weight[row] = t->weight[row] * keep + (float)m->vector->exp(score, score, largest, count);
    t->largest[row] = largest;
    return keep;
}

/* A block of rows meets the keys that any of them sees. */
static void meet_block(const struct meeting *m, size_t row, size_t rows)
{
    const struct tile *t = m->tile;
    const struct kv_tile *kv = &m->kv;
    const size_t key_dim = m->attention->key_dim, value_dim = m->attention->value_dim;
    const struct seen met = {seen_by(m, row).begin, seen_by(m, row + rows - 1).end};
    float keep[BLOCK];
    if (met.begin >= met.end)
        return;
    for (size_t key = met.begin - met.begin % PANEL; key < met.end; key += PANEL)
        kv->outer(&(struct vector_outer){.y = t->score + key,
                                         .y_stride = KV_TILE,
                                         .a = t->query + row * key_dim,
                                         .a_stride = key_dim,
                                         .b = kv->keys + key * key_dim * kv->size,
                                         .rows = rows,
                                         .depth = key_dim});
    for (size_t r = 0; r < rows; r++)
        keep[r] = weigh(m, row + r, t->score + r * KV_TILE, met);
    for (size_t i = 0; i < kv_cache_value_panels(value_dim); i++)
        kv->outer(
            &(struct vector_outer){.y = t->sum + (i * m->rows + row) * PANEL,
                                   .y_stride = PANEL,
                                   .a = t->score + met.begin,
                                   .a_stride = KV_TILE,
                                   .b = kv->values + (i * KV_TILE + met.begin) * PANEL * kv->size,
                                   .keep = keep,
                                   .rows = rows,
                                   .depth = met.end - met.begin});
}

/* All rows of a tile meet all the keys that they see. */
static void meet_keys(struct meeting *m, const struct kv_cache *cache, const struct kv_head *head)
{
    const size_t end = m->position + m->rows / m->attention->group;
    const size_t window = m->attention->window;
    const size_t from = window && m->position + 1 > window ? m->position + 1 - window : 0;
    for (m->first = from / KV_TILE * KV_TILE; m->first < end; m->first += KV_TILE) {
        m->count = end - m->first < KV_TILE ? end - m->first : KV_TILE;
        m->kv = kv_cache_read(cache, head, m->first / KV_TILE, m->count, m->tile->stored);
        for (size_t row = 0; row < m->rows; row += BLOCK)
            meet_block(m, row, m->rows - row < BLOCK ? m->rows - row : BLOCK);
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
    const size_t head = item % a->kv_heads, group = a->group;
    size_t tile = item / a->kv_heads;
    assert(group > 0);
    for (; tile >= tiles_of(a, span); span++)
        tile -= tiles_of(a, span);

    const size_t skip = tile * a->tile_tokens;
    const size_t left = span->tokens - skip;
    const size_t tokens = left < a->tile_tokens ? left : a->tile_tokens;
    const size_t rows = tokens * group, sums = rows * kv_cache_value_panels(a->value_dim) * PANEL;
    const size_t query_floats = group * a->key_dim, out_floats = group * a->value_dim;
    const size_t token = span->first + skip;
    const struct vector_kernels *v = &w->cache->kernels->vector;
    struct tile t;
    tile_lay(&t, a, a->scratch + (size_t)thread * a->scratch_floats);
    for (size_t i = 0; i < tokens; i++)
        v->scale(t.query + i * query_floats,
                 w->query + ((token + i) * a->kv_heads + head) * query_floats, a->scale,
                 query_floats);
    memset(t.sum, 0, sums * sizeof *t.sum);
    for (size_t row = 0; row < rows; row++) {
        t.weight[row] = 0.0f;
        t.largest[row] = -INFINITY;
    }
    meet_keys(&(struct meeting){.attention = a,
                                .vector = v,
                                .tile = &t,
                                .position = span->position + skip,
                                .rows = rows},
              w->cache, &(struct kv_head){w->layer, span->sequence, head});
    for (size_t row = 0; row < rows; row++) {
        float *out = w->out + ((token + row / group) * a->kv_heads + head) * out_floats +
                     row % group * a->value_dim;
        for (size_t i = 0; i < a->value_dim; i += PANEL)
            v->scale(out + i, t.sum + i * rows + row * PANEL, 1.0f / t.weight[row],
                     a->value_dim - i < PANEL ? a->value_dim - i : PANEL);
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
