#include "model/rope.h"

#include <math.h>

static const double PI = 3.141592653589793;

/* Yarn (Peng et al., "YaRN: Efficient Context Window Extension", section 3.2): pairs that turn
 * more than beta_fast times within the original context keep their frequency, those that turn
 * less than beta_slow times are slowed down by `factor`, and in between one ramps into the other.
 * As every engine does, the ramp begins and ends at whole pairs. */
struct ramp {
    double from, to; /* pairs */
};

/* The pair that turns that many times within the original context. */
static double pair_of_turns(const struct hparams *h, double turns)
{
    const double context = (double)h->rope.original_context;
    return (double)h->rope_dims * log(context / (turns * 2.0 * PI)) / (2.0 * log(h->rope.theta));
}

static struct ramp yarn_ramp(const struct hparams *h)
{
    const struct hf_rope *r = &h->rope;
    const double fast = r->beta_fast > 0.0 ? r->beta_fast : 32.0;
    const double slow = r->beta_slow > 0.0 ? r->beta_slow : 1.0;
    return (struct ramp){
        .from = fmax(0.0, floor(pair_of_turns(h, fast))),
        .to = fmin((double)h->rope_dims - 1.0, ceil(pair_of_turns(h, slow))),
    };
}

/* How much of pair i is slowed down, 0 to 1. */
static double ramp_at(struct ramp ramp, size_t i)
{
    const double at = ((double)i - ramp.from) / fmax(0.001, ramp.to - ramp.from);
    return fmin(1.0, fmax(0.0, at));
}

static double yarn_magnitude(const struct hf_rope *r)
{
    if (r->attention_factor > 0.0)
        return r->attention_factor;
    return r->factor > 1.0 ? 1.0 + 0.1 * log(r->factor) : 1.0;
}

bool rope_init(struct rope *r, const struct hparams *h, enum arch_rope layout, const float *factors,
               struct arena *arena, struct err *err)
{
    const size_t pairs = (size_t)h->rope_dims / 2;
    const enum hf_rope_type type = h->rope.type;
    float *frequency = arena_alloc(arena, pairs, sizeof *frequency);
    if (!frequency)
        return err_set(err, ERR_MEMORY, "rotary embedding of %zu pairs", pairs);
    if (type == HF_ROPE_DYNAMIC || type == HF_ROPE_LONGROPE)
        return err_set(err, ERR_UNSUPPORTED, "rope scaling that depends on the text's length");
    const bool yarn = type == HF_ROPE_YARN, linear = type == HF_ROPE_LINEAR;
    const double factor = yarn || linear ? h->rope.factor : 1.0;
    const struct ramp ramp = yarn ? yarn_ramp(h) : (struct ramp){0};
    for (size_t i = 0; i < pairs; i++) {
        const double exponent = -2.0 * (double)i / (double)h->rope_dims;
        const double plain = pow(h->rope.theta, exponent) / (factors ? (double)factors[i] : 1.0);
        const double slowed = yarn ? ramp_at(ramp, i) : 1.0;
        frequency[i] = (float)(plain / factor * slowed + plain * (1.0 - slowed));
    }
    *r = (struct rope){
        .layout = layout,
        .dims = (size_t)h->rope_dims,
        .frequency = frequency,
        .magnitude = yarn ? (float)yarn_magnitude(&h->rope) : 1.0f,
    };
    return true;
}

void rope_angles(const struct rope *r, size_t position, float *angle)
{
    for (size_t i = 0; i < r->dims / 2; i++) {
        const float turn = (float)position * r->frequency[i];
        angle[2 * i] = cosf(turn) * r->magnitude;
        angle[2 * i + 1] = sinf(turn) * r->magnitude;
    }
}

void rope_turn(const struct rope *r, const float *angle, float *head)
{
    const bool halves = r->layout == ARCH_ROPE_HALVES;
    const size_t step = halves ? 1 : 2, apart = halves ? r->dims / 2 : 1;
    for (size_t i = 0; i < r->dims / 2; i++) {
        float *a = head + i * step, *b = a + apart;
        const float x = *a, y = *b, cosine = angle[2 * i], sine = angle[2 * i + 1];
        *a = x * cosine - y * sine;
        *b = x * sine + y * cosine;
    }
}
