/* The online softmax over tiles against the plain softmax in double, over every kind of cache. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "core/cpu.h"
#include "core/mem.h"
#include "core/rng.h"
#include "model/attention.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>

enum { CONTEXT = 400, KEY = 64, VALUE = 32, KV_HEADS = 2, LAYERS = 2 };

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

static void open_setting(struct setting *s, size_t heads, size_t window, enum dtype_id type,
                         float spread)
{
    struct err err = {0};
    *s = (struct setting){.h = {.layers = LAYERS,
                                .heads = heads,
                                .kv_heads = KV_HEADS,
                                .head_dim = KEY,
                                .value_dim = VALUE,
                                .window = window}};
    openblas_set_num_threads(1); /* in each of ours, as linear_open leaves it */
    kernels_init(&s->kernels, cpu_features());
    assert_true(pool_open(&s->pool, 2, &err));
    assert_true(kv_cache_open(&s->cache, &s->h, &s->kernels, type, 2, CONTEXT, &err));
    s->key = normals(CONTEXT * KV_HEADS * KEY, 1, spread);
    s->value = normals(CONTEXT * KV_HEADS * VALUE, 2, 1.0f);
    s->query = normals(CONTEXT * heads * KEY, 3, spread);
    s->got = mem_alloc(CONTEXT * heads * VALUE, sizeof *s->got);
    for (size_t p = 0; p < CONTEXT; p++)
        kv_cache_put(&s->cache, 1, 1, p, s->key + p * KV_HEADS * KEY,
                     s->value + p * KV_HEADS * VALUE);
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
    const size_t from = window && position + 1 > window ? position + 1 - window : 0;
    double score[CONTEXT], max = -INFINITY, sum = 0.0;
    for (size_t k = from; k <= position; k++) {
        score[k] = 0.0;
        for (size_t i = 0; i < KEY; i++)
            score[k] += (double)s->query[(row * heads + head) * KEY + i] *
                        s->key[(k * KV_HEADS + kv) * KEY + i] / sqrt((double)KEY);
        max = fmax(max, score[k]);
    }
    for (size_t i = 0; i < VALUE; i++)
        out[i] = 0.0;
    for (size_t k = from; k <= position; k++) {
        const double weight = exp(score[k] - max);
        sum += weight;
        for (size_t i = 0; i < VALUE; i++)
            out[i] += weight * s->value[(k * KV_HEADS + kv) * VALUE + i];
    }
    for (size_t i = 0; i < VALUE; i++)
        out[i] /= sum;
}

/* Runs the spans and gives the largest difference from the plain softmax. */
static double largest_error(struct setting *s, const struct attention_span *span, size_t spans)
{
    struct err err = {0};
    struct attention a;
    double worst = 0.0;
    assert_true(attention_open(&a, &s->h, s->pool, &err));
    attention_run(&a, &s->cache, 1, span, spans, s->query, s->got);
    for (size_t i = 0; i < spans; i++)
        for (size_t t = 0; t < span[i].tokens; t++)
            for (size_t head = 0; head < s->h.heads; head++) {
                const size_t row = span[i].first + t;
                double want[VALUE];
                plain_softmax(s, row, span[i].position + t, head, want);
                const float *got = s->got + (row * s->h.heads + head) * VALUE;
                for (size_t j = 0; j < VALUE; j++) {
                    const double error = fabs((double)got[j] - want[j]);
                    worst = error > worst ? error : worst;
                }
            }
    attention_close(&a);
    return worst;
}

static const struct attention_span whole = {.sequence = 1, .tokens = CONTEXT};

static void online_softmax_is_the_plain_one(void **state)
{
    (void)state;
    static const size_t heads[] = {2, 8, 142}; /* groups of 1, 4 and 71 */
    static const size_t window[] = {0, 1, 32, 200};
    for (size_t i = 0; i < 3; i++)
        for (size_t w = 0; w < 4; w++) {
            struct setting s;
            if (i == 2 && w > 0)
                continue;
            open_setting(&s, heads[i], window[w], DTYPE_F32, 1.0f);
            assert_true(largest_error(&s, &whole, 1) < 2e-6);
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
        cmocka_unit_test(huge_scores_do_not_overflow),
        cmocka_unit_test(spans_of_many_sequences_share_a_batch),
        cmocka_unit_test(a_smaller_cache_costs_its_rounding),
    };
    return cmocka_run_group_tests_name("attention", tests, NULL, NULL);
}
