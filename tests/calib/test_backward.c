/* The backward pass against differences of the loss that the forward pass makes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/backward.h"
#include "tests/model/running.h"

#include <math.h>

static const char *const models[] = {"llama",   "llama3", "deepseek_coder",
                                     "mistral", "qwen2",  "qwen3"};
enum { MODELS = sizeof models / sizeof models[0], TOKENS = 48, PUSHED = 16 };

struct fixture {
    struct running r;
    struct backward b;
    uint32_t token[TOKENS], next[TOKENS];
    struct linear *linear[PUSHED]; /* that are pushed */
    double push[PUSHED];           /* gradient' direction, as the tap saw it */
    float *direction[PUSHED];
    size_t pushed;
};

static void open_fixture(struct fixture *f, const char *model, int threads)
{
    struct err err = {0};
    struct rng rng = {7};
    memset(f, 0, sizeof *f);
    running_open(&f->r, model, threads, &(struct running_change){.type = DTYPE_F32});
    assert_true(backward_open(&f->b, &f->r.weights, &f->r.kernels, f->r.pool, TOKENS, &err));
    for (size_t i = 0; i < TOKENS; i++) {
        f->token[i] = (uint32_t)(rng_u64(&rng) % f->r.weights.hparams.vocab);
        f->next[i] = (uint32_t)(rng_u64(&rng) % f->r.weights.hparams.vocab);
    }
}

static void close_fixture(struct fixture *f)
{
    for (size_t i = 0; i < f->pushed; i++)
        free(f->direction[i]);
    backward_close(&f->b);
    running_close(&f->r);
}

static void project(void *arg, const struct linear *linear, const float *x, const float *gradient,
                    size_t tokens)
{
    struct fixture *f = arg;
    const size_t rows = (size_t)tensor_rows(linear->weight);
    (void)x;
    for (size_t i = 0; i < f->pushed; i++)
        for (size_t t = 0; f->linear[i] == linear && t < tokens; t++)
            for (size_t j = 0; j < rows; j++)
                f->push[i] += (double)gradient[t * rows + j] * f->direction[i][j];
}

/* The fixture's first tokens through the model and back; the loss. */
static double back_and_forth(struct fixture *f, size_t tokens, const uint32_t *next,
                             struct rng *rng)
{
    const struct hparams *h = &f->r.weights.hparams;
    const size_t halves = 2 * (size_t)h->layers, size = tokens * (size_t)h->embd;
    float *x = mem_alloc(halves + 1, size * sizeof *x);
    assert_true(backward_embed(&f->b, f->token, tokens, x, NULL));
    for (size_t half = 0; half < halves; half++) {
        memcpy(x + (half + 1) * size, x + half * size, size * sizeof *x);
        backward_ahead(&f->b, half, x + (half + 1) * size, tokens);
    }
    const double loss = backward_output(&f->b, x + halves * size, tokens, next, rng);
    for (size_t half = halves; half-- > 0;)
        backward_half(&f->b, half, x + half * size, tokens);
    free(x);
    return loss;
}

static double loss_of(struct fixture *f)
{
    struct rng rng = {1};
    return back_and_forth(f, TOKENS, f->next, &rng);
}

static void add_linear(struct fixture *f, struct linear *l)
{
    const size_t rows = (size_t)tensor_rows(l->weight);
    struct rng rng = {f->pushed};
    f->linear[f->pushed] = l;
    float *d = f->direction[f->pushed++] = mem_alloc(rows, sizeof *d);
    for (size_t j = 0; j < rows; j++)
        d[j] = rng_normal(&rng);
}

/* Outputs of one linear pushed by step * direction, through its bias. */
static double loss_pushed(struct fixture *f, size_t i, float step)
{
    struct linear *l = f->linear[i];
    const size_t rows = (size_t)tensor_rows(l->weight);
    const float *own = l->bias;
    float *bias = mem_alloc(rows, sizeof *bias);
    for (size_t j = 0; j < rows; j++)
        bias[j] = (own ? own[j] : 0.0f) + step * f->direction[i][j];
    l->bias = bias;
    const double loss = loss_of(f);
    l->bias = own;
    free(bias);
    return loss;
}

static void gradients_are_differences_of_the_loss(void **state)
{
    (void)state;
    for (size_t m = 0; m < MODELS; m++) {
        struct fixture f;
        open_fixture(&f, models[m], 2);
        struct weights *w = &f.r.weights;
        for (size_t at = 0; at < 2; at++) {
            struct weights_layer *l = &w->layer[at ? w->hparams.layers - 1 : 0];
            struct linear *const all[] = {&l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down};
            for (size_t i = 0; i < sizeof all / sizeof all[0]; i++)
                add_linear(&f, all[i]);
        }
        add_linear(&f, &w->output);
        f.b.tap = (struct backward_tap){project, &f};
        loss_of(&f);
        f.b.tap.look = NULL;
        for (size_t i = 0; i < f.pushed; i++) {
            const float step = (float)(0.004 / fmax(fabs(f.push[i]), 1.0));
            const double wide = loss_pushed(&f, i, step) - loss_pushed(&f, i, -step);
            const double measured = wide / (2.0 * (double)step);
            if (!(fabs(measured - f.push[i]) < 0.01 * fabs(f.push[i]) + 0.02))
                fail_msg("%s, %s: the loss changes by %g, the gradient says %g", models[m],
                         f.linear[i]->weight->name, measured, f.push[i]);
        }
        close_fixture(&f);
    }
}

struct copy {
    float *values;
    size_t used;
};

static void keep(void *arg, const struct linear *linear, const float *x, const float *gradient,
                 size_t tokens)
{
    struct copy *c = arg;
    const size_t floats = tokens * (size_t)tensor_rows(linear->weight);
    (void)x;
    memcpy(c->values + c->used, gradient, floats * sizeof *gradient);
    c->used += floats;
}

static void threads_change_nothing(void **state)
{
    enum { MOST = 1 << 20 };
    struct copy copy[2];
    double loss[2];
    (void)state;
    for (size_t i = 0; i < 2; i++) {
        struct fixture f;
        struct rng rng = {3};
        open_fixture(&f, "qwen3", i ? 5 : 1);
        copy[i] = (struct copy){mem_alloc(MOST, sizeof(float)), 0};
        f.b.tap = (struct backward_tap){keep, &copy[i]};
        loss[i] = back_and_forth(&f, TOKENS, NULL, &rng);
        close_fixture(&f);
    }
    assert_true(loss[0] == loss[1] && copy[0].used == copy[1].used);
    assert_memory_equal(copy[0].values, copy[1].values, copy[0].used * sizeof(float));
    free(copy[0].values);
    free(copy[1].values);
}

/* A gradient of p - onehot, where the next token is drawn from p: each row sums to 0, and over many
 * draws the drawn tokens come as often as p says. */
static void draws_follow_the_prediction(void **state)
{
    enum { DRAWS = 400 };
    struct fixture f;
    struct err err = {0};
    struct rng rng = {11};
    double mean = 0.0, entropy = 0.0;
    (void)state;
    open_fixture(&f, "llama", 2);
    const size_t vocab = (size_t)f.r.weights.hparams.vocab;
    for (size_t i = 0; i < DRAWS; i++)
        mean += back_and_forth(&f, 4, NULL, &rng) / DRAWS;
    struct forward_sequence s = {f.token, 4, 0, 4};
    struct kv_cache cache;
    float *states = mem_alloc(4, f.r.weights.hparams.embd * sizeof *states);
    float *logits = mem_alloc(4, vocab * sizeof *logits);
    assert_true(kv_cache_open(&cache, &f.r.weights.hparams, &f.r.kernels, DTYPE_F32, 1, 4, &err));
    assert_true(forward_run(&f.r.forward, &cache, &s, 1, states, &err));
    forward_logits(&f.r.forward, states, 4, logits);
    for (size_t t = 0; t < 4; t++) {
        double sum = 0.0;
        for (size_t i = 0; i < vocab; i++)
            sum += exp((double)logits[t * vocab + i]);
        for (size_t i = 0; i < vocab; i++) {
            const double p = exp((double)logits[t * vocab + i]) / sum;
            entropy -= p * log(p);
        }
    }
    assert_true(fabs(mean - entropy) < 0.02 * entropy);
    kv_cache_close(&cache);
    free(states);
    free(logits);
    close_fixture(&f);
}

static void a_window_too_long_is_refused(void **state)
{
    struct fixture f;
    struct err err = {0};
    (void)state;
    open_fixture(&f, "llama", 1);
    assert_false(backward_embed(&f.b, f.token, TOKENS + 1, NULL, &err));
    assert_int_equal(err.code, ERR_USAGE);
    close_fixture(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_are_differences_of_the_loss),
        cmocka_unit_test(threads_change_nothing),
        cmocka_unit_test(draws_follow_the_prediction),
        cmocka_unit_test(a_window_too_long_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
