#include "model/sampler.h"

#include "core/mem.h"

#include <math.h>
#include <stdlib.h>

static bool check(const struct sampler_options *o, struct err *err)
{
    if (o->temperature < 0.0)
        return err_set(err, ERR_USAGE, "--temp %g: a temperature is 0 or above", o->temperature);
    if (o->top_p <= 0.0 || o->top_p > 1.0)
        return err_set(err, ERR_USAGE, "--top-p %g: it is above 0 and up to 1", o->top_p);
    if (o->min_p < 0.0 || o->min_p > 1.0)
        return err_set(err, ERR_USAGE, "--min-p %g: it is from 0 to 1", o->min_p);
    if (o->repeat_penalty <= 0.0)
        return err_set(err, ERR_USAGE, "--repeat-penalty %g: it is above 0", o->repeat_penalty);
    return true;
}

bool sampler_open(struct sampler *s, const struct sampler_options *options, size_t vocab,
                  struct err *err)
{
    *s = (struct sampler){.options = *options, .rng = {options->seed}, .vocab = vocab};
    if (!check(options, err))
        return false;
    s->candidate = mem_alloc(vocab, sizeof *s->candidate);
    s->seen = mem_alloc(options->repeat_last, sizeof *s->seen);
    if (s->candidate && s->seen)
        return true;
    sampler_close(s);
    return err_set(err, ERR_MEMORY, "a sampler of %zu tokens", vocab);
}

void sampler_close(struct sampler *s)
{
    free(s->candidate);
    free(s->seen);
    *s = (struct sampler){0};
}

void sampler_accept(struct sampler *s, uint32_t id)
{
    if (s->options.repeat_last > 0)
        s->seen[s->seen_count++ % s->options.repeat_last] = id;
}

void sampler_forget(struct sampler *s) { s->seen_count = 0; }

/* Each token once, however often it was seen.  candidate[id] is still id's. */
static void penalize(struct sampler *s, const float *logits)
{
    const size_t last = s->options.repeat_last;
    const size_t count = s->seen_count < last ? s->seen_count : last;
    const float penalty = (float)s->options.repeat_penalty;
    for (size_t i = 0; i < count; i++)
        if (s->seen[i] < s->vocab) {
            const float x = logits[s->seen[i]];
            s->candidate[s->seen[i]].logit = x > 0.0f ? x / penalty : x * penalty;
        }
}

static bool before(const struct sampler_candidate *a, const struct sampler_candidate *b)
{
    return a->logit > b->logit || (a->logit == b->logit && a->id < b->id);
}

static int compare(const void *a, const void *b) { return before(a, b) ? -1 : 1; }

/* A heap whose root comes after all others: moves item i down to its place among n. */
static void sift(struct sampler_candidate *heap, size_t i, size_t n)
{
    for (size_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && before(&heap[child], &heap[child + 1]))
            child++;
        if (!before(&heap[i], &heap[child]))
            return;
        const struct sampler_candidate moved = heap[i];
        heap[i] = heap[child];
        heap[child] = moved;
    }
}

/* The first k in order, in front.  Most of a vocabulary is only compared with the last of them. */
static void keep_first(struct sampler *s, size_t k)
{
    struct sampler_candidate *c = s->candidate;
    for (size_t i = k / 2; i-- > 0;)
        sift(c, i, k);
    for (size_t i = k; i < s->candidates; i++)
        if (before(&c[i], &c[0])) {
            c[0] = c[i];
            sift(c, 0, k);
        }
    s->candidates = k;
    qsort(c, k, sizeof *c, compare);
}

/* The probabilities of all that are left. */
static void softmax(struct sampler *s, double temperature)
{
    struct sampler_candidate *c = s->candidate;
    double sum = 0.0;
    for (size_t i = 0; i < s->candidates; i++)
        sum += c[i].p = exp(((double)c[i].logit - (double)c[0].logit) / temperature);
    for (size_t i = 0; i < s->candidates; i++)
        c[i].p /= sum;
}

static void keep_top_p(struct sampler *s)
{
    double sum = 0.0;
    size_t kept = 0;
    if (s->options.top_p >= 1.0)
        return;
    softmax(s, 1.0);
    while (kept < s->candidates && sum < s->options.top_p)
        sum += s->candidate[kept++].p;
    s->candidates = kept;
}

static void keep_min_p(struct sampler *s)
{
    const struct sampler_candidate *c = s->candidate;
    const double least = (double)c[0].logit + log(s->options.min_p);
    while (s->candidates > 1 && (double)c[s->candidates - 1].logit < least)
        s->candidates--;
}

bool sampler_choose(struct sampler *s, const float *logits, struct err *err)
{
    for (size_t i = 0; i < s->vocab; i++)
        s->candidate[i] = (struct sampler_candidate){(uint32_t)i, logits[i], 0.0};
    if (s->options.repeat_penalty != 1.0)
        penalize(s, logits);
    s->candidates = 0; /* what is no number can not be ordered */
    for (size_t i = 0; i < s->vocab; i++)
        if (isfinite(s->candidate[i].logit))
            s->candidate[s->candidates++] = s->candidate[i];
    if (s->candidates == 0)
        return err_set(err, ERR_NUMERIC, "none of the model's %zu logits is a number", s->vocab);

    const bool greedy = s->options.temperature == 0.0;
    const size_t k = greedy ? 1 : s->options.top_k;
    keep_first(s, k > 0 && k < s->candidates ? k : s->candidates);
    keep_top_p(s);
    keep_min_p(s);
    softmax(s, greedy ? 1.0 : s->options.temperature);
    return true;
}

bool sampler_draw(struct sampler *s, const float *logits, uint32_t *id, struct err *err)
{
    size_t i = 0;
    if (!sampler_choose(s, logits, err))
        return false;
    double left = s->options.temperature == 0.0 ? 0.0 : (double)rng_uniform(&s->rng);
    while (i + 1 < s->candidates && left >= s->candidate[i].p)
        left -= s->candidate[i++].p;
    *id = s->candidate[i].id;
    return true;
}
