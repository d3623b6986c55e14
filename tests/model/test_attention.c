/* The online softmax over tiles against the plain softmax in double, over every kind of cache and
 * heads of any size; and the same bytes of every version, number of threads and batch. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/mem.h"
#include "core/rng.h"
#include "model/attention.h"
#include "tests/core/versions.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { CONTEXT = 400, KEY = 64, VALUE = 32, VALUE_MOST = 256, KV_HEADS = 2, LAYERS = 2 };

struct setting {
    struct hparams h;
    struct kernels kernels;
    struct pool *pool;
    struct kv_cache cache;
    float *key, *value; /* CONTEXT x heads x dim: of sequence 1, layer 1 */
    float *query, *got; /* CONTEXT x heads x dim */
};

static float *normals(size_t n, uint64_t seed, float scale)
{
    struct rng rng = {seed};
    float *x = mem_alloc(n, sizeof *x);
    for (size_t i = 0; i < n; i++)
        x[i] = rng_normal(&rng) * scale;
    return x;
}

static void put_all(struct setting *s)
{
    const size_t key = KV_HEADS * (size_t)s->h.head_dim, value = KV_HEADS * (size_t)s->h.value_dim;
    for (size_t p = 0; p < CONTEXT; p++)
        kv_cache_put(&s->cache, 1, 1, p, s->key + p * key, s->value + p * value);
}

static void open_shape(struct setting *s, const struct hparams *h, unsigned cpu, int threads,
                       enum dtype_id type, float spread)
{
    struct err err = {0};
    *s = (struct setting){.h = *h};
    s->h.layers = LAYERS;
    s->h.kv_heads = KV_HEADS;
    kernels_init(&s->kernels, cpu);
    assert_true(pool_open(&s->pool, threads, &err));
    assert_true(kv_cache_open(&s->cache, &s->h, &s->kernels, type, 2, CONTEXT, &err));
    s->key = normals(CONTEXT * KV_HEADS * h->head_dim, 1, spread);
    s->value = normals(CONTEXT * KV_HEADS * h->value_dim, 2, 1.0f);
    s->query = normals(CONTEXT * h->heads * h->head_dim, 3, spread);
    s->got = mem_alloc(CONTEXT * h->heads * h->value_dim, sizeof *s->got);
    put_all(s);
}

static void open_setting(struct setting *s, size_t heads, size_t window, enum dtype_id type,
                         float spread)
{
    const struct hparams h = {
        .heads = heads, .head_dim = KEY, .value_dim = VALUE, .window = window};
    open_shape(s, &h, cpu_features(), 2, type, spread);
}

static void close_setting(struct setting *s)
{
    kv_cache_close(&s->cache);
    pool_close(s->pool);
    free(s->key);
    free(s->value);
    free(s->query);
    free(s->got);
}

/* What head `head` of the query at `row`, which stands at `position`, should come to. */
static void plain_softmax(const struct setting *s, size_t row, size_t position, size_t head,
                          double *out)
{
    const size_t heads = (size_t)s->h.heads, kv = head / (heads / KV_HEADS);
    const size_t window = (size_t)s->h.window;
    const size_t key = (size_t)s->h.head_dim, value = (size_t)s->h.value_dim;
    const size_t from = window && position + 1 > window ? position + 1 - window : 0;
    double score[CONTEXT], max = -INFINITY, sum = 0.0;
    for (size_t k = from; k <= position; k++) {
        score[k] = 0.0;
        for (size_t i = 0; i < key; i++)
            score[k] += (double)s->query[(row * heads + head) * key + i] *
                        s->key[(k * KV_HEADS + kv) * key + i];
        score[k] /= sqrt((double)key);
        max = fmax(max, score[k]);
    }
    for (size_t i = 0; i < value; i++)
        out[i] = 0.0;
    for (size_t k = from; k <= position; k++) {
        const double weight = exp(score[k] - max);
        sum += weight;
        for (size_t i = 0; i < value; i++)
            out[i] += weight * s->value[(k * KV_HEADS + kv) * value + i];
    }
    for (size_t i = 0; i < value; i++)
        out[i] /= sum;
}

static void run(struct setting *s, const struct attention_span *span, size_t spans)
{
    struct err err = {0};
    struct attention a;
    assert_true(attention_open(&a, &s->h, s->pool, &err));
    attention_run(&a, &s->cache, 1, span, spans, s->query, s->got);
    attention_close(&a);
}

/* Runs the spans and gives the largest difference from the plain softmax. */
static double largest_error(struct setting *s, const struct attention_span *span, size_t spans)
{
    const size_t value = (size_t)s->h.value_dim;
    double worst = 0.0;
    run(s, span, spans);
    for (size_t i = 0; i < spans; i++)
        for (size_t t = 0; t < span[i].tokens; t++)
            for (size_t head = 0; head < s->h.heads; head++) {
                const size_t row = span[i].first + t;
                double want[VALUE_MOST];
                plain_softmax(s, row, span[i].position + t, head, want);
                const float *got = s->got + (row * s->h.heads + head) * value;
                for (size_t j = 0; j < value; j++) {
                    const double error = fabs((double)got[j] - want[j]);
                    worst = error > worst ? error : worst;
                }
            }
    return worst;
}

static const struct attention_span whole = {.sequence = 1, .tokens = CONTEXT};

/* Tokens that end in the middle of panels and tiles, behind some of a cache. */
static const struct attention_span odd[] = {
    {.sequence = 1, .position = 399, .first = 0, .tokens = 1},
    {.sequence = 1, .position = 0, .first = 1, .tokens = 1},
    {.sequence = 1, .position = 29, .first = 2, .tokens = 7},
    {.sequence = 1, .position = 127, .first = 9, .tokens = 2},
    {.sequence = 1, .position = 100, .first = 11, .tokens = 50},
};
enum { ODD_SPANS = sizeof odd / sizeof odd[0] };

static void online_softmax_is_the_plain_one(void **state)
{
    (void)state;
    static const size_t heads[] = {2, 8, 142}; /* groups of 1, 4 and 71 */
    static const size_t window[] = {0, 1, 32, 200};
    for (size_t i = 0; i < 3; i++)
        for (size_t w = 0; w < 4; w++) {
            struct setting s;
            open_setting(&s, heads[i], window[w], DTYPE_F32, 1.0f);
            const double error =
                i == 0 ? largest_error(&s, &whole, 1) : largest_error(&s, odd, ODD_SPANS);
            assert_true(error < 2e-6);
            close_setting(&s);
        }
}

static const struct hparams shapes[] = {
    {.heads = 2, .head_dim = 16, .value_dim = 16},
    {.heads = 4, .head_dim = 24, .value_dim = 80, .window = 33},
    {.heads = 6, .head_dim = 80, .value_dim = 24},
    {.heads = 14, .head_dim = 96, .value_dim = 96, .window = 5},
    {.heads = 4, .head_dim = 256, .value_dim = 256},
    {.heads = 26, .head_dim = 7, .value_dim = 1, .window = 130},
};
enum { SHAPES = sizeof shapes / sizeof shapes[0] };

static void heads_of_any_size(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES; i++) {
        struct setting s;
        open_shape(&s, &shapes[i], cpu_features(), 2, DTYPE_F32, 1.0f);
        assert_true(largest_error(&s, odd, ODD_SPANS) < 3e-6);
        close_setting(&s);
        open_shape(&s, &shapes[i], cpu_features(), 2, DTYPE_F16, 1.0f);
        assert_true(largest_error(&s, odd, ODD_SPANS) < 5e-3);
        close_setting(&s);
    }
}

static size_t odd_bytes(const struct hparams *h)
{
    const struct attention_span *last = &odd[ODD_SPANS - 1];
    return (last->first + last->tokens) * h->heads * h->value_dim * sizeof(float);
}

/* What a version gives with so many threads, against the reference with one. */
static void compare(const struct hparams *h, enum dtype_id type, const struct version *v,
                    int threads, const float *want)
{
    struct setting s;
    open_shape(&s, h, v->cpu, threads, type, 1.0f);
    run(&s, odd, ODD_SPANS);
    if (memcmp(s.got, want, odd_bytes(h)) != 0)
        fail_msg("%s, %d threads, %s cache, heads of %d: other bytes", v->name, threads,
                 dtype_get(type)->name, (int)h->head_dim);
    close_setting(&s);
}

static void same_bytes_of_every_version_and_number_of_threads(void **state)
{
    (void)state;
    static const enum dtype_id type[] = {DTYPE_F32, DTYPE_F16, DTYPE_Q8_0};
    const struct version *here[VERSIONS];
    const size_t count = versions_here(here);
    for (size_t i = 0; i < SHAPES; i++)
        for (size_t j = 0; j < 3; j++) {
            struct setting s;
            if (type[j] == DTYPE_Q8_0 && (shapes[i].head_dim % 32 || shapes[i].value_dim % 32))
                continue;
            open_shape(&s, &shapes[i], 0, 1, type[j], 1.0f);
            run(&s, odd, ODD_SPANS);
            for (size_t v = 1; v < count; v++)
                compare(&shapes[i], type[j], here[v], 2, s.got);
            compare(&shapes[i], type[j], here[count - 1], 5, s.got);
            close_setting(&s);
        }
}

/* Tokens come to the same in one span, a few at a time, and one by one. */
static void same_bytes_of_every_batch(void **state)
{
    (void)state;
    static const size_t step[] = {1, 7, 50};
    for (size_t window = 0; window < 100; window += 70)
        for (size_t i = 0; i < 3; i++) {
            const size_t row = 6 * VALUE;
            struct setting s;
            open_setting(&s, 6, window, DTYPE_F16, 1.0f);
            run(&s, &whole, 1);
            float *want = s.got;
            s.got = mem_alloc(CONTEXT * row, sizeof *s.got);
            struct attention_span span[CONTEXT];
            size_t spans = 0;
            for (size_t at = 0; at < CONTEXT; at += span[spans++].tokens) {
                const size_t left = CONTEXT - at;
                span[spans] = (struct attention_span){1, at, at, left < step[i] ? left : step[i]};
            }
            run(&s, span, spans);
            assert_memory_equal(s.got, want, CONTEXT * row * sizeof *want);
            free(want);
            close_setting(&s);
        }
}

/* What another sequence left behind the end of a shorter one is not seen, be it no number. */
static void nothing_is_seen_beyond_the_token(void **state)
{
    (void)state;
    static const struct attention_span early = {.sequence = 1, .position = 38, .tokens = 5};
    static const enum dtype_id type[] = {DTYPE_F32, DTYPE_F16};
    for (size_t i = 0; i < 2; i++) {
        const size_t bytes = early.tokens * 4 * VALUE * sizeof(float);
        float key[KV_HEADS * KEY], value[KV_HEADS * VALUE], want[5 * 4 * VALUE];
        struct setting s;
        open_setting(&s, 4, 9, type[i], 1.0f);
        run(&s, &early, 1);
        memcpy(want, s.got, bytes);
        for (size_t j = 0; j < KV_HEADS * KEY; j++)
            key[j] = j % 2 ? INFINITY : NAN;
        for (size_t j = 0; j < KV_HEADS * VALUE; j++)
            value[j] = j % 2 ? INFINITY : NAN;
        for (size_t p = 0; p < CONTEXT; p++)
            if (p < 30 || p > 42)
                kv_cache_put(&s.cache, 1, 1, p, key, value);
        run(&s, &early, 1);
        assert_memory_equal(s.got, want, bytes);
        close_setting(&s);
    }
}

/* Scores in the thousands: without the largest subtracted the exponentials would overflow. */
static void huge_scores_do_not_overflow(void **state)
{
    (void)state;
    struct setting s;
    open_setting(&s, 4, 0, DTYPE_F32, 20.0f);
    assert_true(largest_error(&s, &whole, 1) < 1e-3);
    close_setting(&s);
}

static void spans_of_many_sequences_share_a_batch(void **state)
{
    (void)state;
    static const struct attention_span span[] = {
        {.sequence = 1, .position = 399, .first = 0, .tokens = 1},
        {.sequence = 1, .position = 0, .first = 1, .tokens = 5},
        {.sequence = 1, .position = 120, .first = 6, .tokens = 150},
    };
    struct setting s;
    open_setting(&s, 8, 0, DTYPE_F32, 1.0f);
    assert_true(largest_error(&s, span, 3) < 2e-6);
    close_setting(&s);
}

static void a_smaller_cache_costs_its_rounding(void **state)
{
    (void)state;
    struct setting s;
    open_setting(&s, 4, 0, DTYPE_F16, 1.0f);
    assert_true(s.cache.bytes == (size_t)2 * LAYERS * KV_HEADS * 512 * (KEY + VALUE) * 2);
    const double half = largest_error(&s, &whole, 1);
    close_setting(&s);
    open_setting(&s, 4, 0, DTYPE_Q8_0, 1.0f);
    const double eight = largest_error(&s, &whole, 1);
    close_setting(&s);
    assert_true(half > 1e-6 && half < 3e-3);
    assert_true(eight > half && eight < 5e-2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(online_softmax_is_the_plain_one),
        cmocka_unit_test(heads_of_any_size),
        cmocka_unit_test(same_bytes_of_every_version_and_number_of_threads),
        cmocka_unit_test(same_bytes_of_every_batch),
        cmocka_unit_test(nothing_is_seen_beyond_the_token),
        cmocka_unit_test(huge_scores_do_not_overflow),
        cmocka_unit_test(spans_of_many_sequences_share_a_batch),
        cmocka_unit_test(a_smaller_cache_costs_its_rounding),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
