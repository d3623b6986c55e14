/* sample_weights.h - rows of weights for the tests: seeded, easy and nasty. */
#ifndef TESTS_WEIGHTS_H
#define TESTS_WEIGHTS_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

struct seed {
    uint64_t state;
};

/* splitmix64 */
static inline uint64_t seed_next(struct seed *s)
{
    uint64_t z = s->state += 0x9e3779b97f4a7c15u;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* In (0, 1). */
static inline double seed_uniform(struct seed *s)
{
    return ((double)(seed_next(s) >> 11) + 0.5) * 0x1p-53;
}

static inline double seed_normal(struct seed *s)
{
    const double r = sqrt(-2.0 * log(seed_uniform(s)));
    return r * cos(6.283185307179586 * seed_uniform(s));
}

enum weights_kind {
    WEIGHTS_NORMAL,
    WEIGHTS_HEAVY,  /* a few far out */
    WEIGHTS_OFFSET, /* all of one sign, mostly */
    WEIGHTS_ZERO,
    WEIGHTS_EQUAL,
    WEIGHTS_ALTERNATE, /* +a, -a */
    WEIGHTS_SPIKE,     /* zeros but one */
    WEIGHTS_SUBNORMAL, /* under the least normal float */
    WEIGHTS_TINY,      /* scales are subnormal halves, or none */
    WEIGHTS_HUGE,      /* past every half */
    WEIGHTS_LIMIT,     /* up to the largest float */
    WEIGHTS_TIES,      /* multiples of a half */
    WEIGHTS_MIXED,     /* magnitudes from the least to the largest */
    WEIGHTS_TERNARY,
    WEIGHTS_KINDS
};

static inline void weights_fill(float *x, size_t n, enum weights_kind kind, uint64_t seed)
{
    struct seed s = {seed * 64 + (uint64_t)kind};
    const float level = (float)seed_normal(&s);
    const size_t spike = (size_t)(seed_next(&s) % n);
    for (size_t i = 0; i < n; i++) {
        const double z = seed_normal(&s);
        const float sign = seed_next(&s) & 1 ? 1.0f : -1.0f;
        switch (kind) {
        case WEIGHTS_HEAVY:
            x[i] = (float)(0.02 * z * z * z);
            break;
        case WEIGHTS_OFFSET:
            x[i] = (float)(0.05 + 0.03 * z);
            break;
        case WEIGHTS_ZERO:
            x[i] = sign * 0.0f;
            break;
        case WEIGHTS_EQUAL:
            x[i] = level;
            break;
        case WEIGHTS_ALTERNATE:
            x[i] = i % 2 ? level : -level;
            break;
        case WEIGHTS_SPIKE:
            x[i] = i == spike ? 1e3f * level : 0.0f;
            break;
        case WEIGHTS_SUBNORMAL:
            x[i] = (float)(1e-41 * z);
            break;
        case WEIGHTS_TINY:
            x[i] = (float)(1e-7 * z);
            break;
        case WEIGHTS_HUGE:
            x[i] = (float)(1e30 * z);
            break;
        case WEIGHTS_LIMIT:
            x[i] = sign * (float)(3.4e38 * seed_uniform(&s));
            break;
        case WEIGHTS_TIES:
            x[i] = sign * 0.5f * (float)(seed_next(&s) % 17);
            break;
        case WEIGHTS_MIXED:
            x[i] = sign * (float)exp(85.0 * (2.0 * seed_uniform(&s) - 1.0));
            break;
        case WEIGHTS_TERNARY:
            x[i] = (float)((int)(seed_next(&s) % 3) - 1) * 0.0371f;
            break;
        default:
            x[i] = (float)z;
            break;
        }
    }
}

enum importance_kind {
    IMPORTANCE_NONE,
    IMPORTANCE_SMOOTH,
    IMPORTANCE_ZERO,
    IMPORTANCE_SPREAD, /* 1e-12 .. 1e12 */
    IMPORTANCE_SPARSE, /* mostly zero */
    IMPORTANCE_KINDS
};

/* Fills w, and returns it, or NULL for none. */
static inline const float *importance_fill(float *w, size_t n, enum importance_kind kind,
                                           uint64_t seed)
{
    struct seed s = {seed * 64 + 32 + (uint64_t)kind};
    for (size_t i = 0; i < n; i++)
        switch (kind) {
        case IMPORTANCE_SMOOTH:
            w[i] = (float)exp(seed_normal(&s));
            break;
        case IMPORTANCE_SPREAD:
            w[i] = (float)pow(10.0, 24.0 * seed_uniform(&s) - 12.0);
            break;
        case IMPORTANCE_SPARSE:
            w[i] = seed_next(&s) % 8 ? 0.0f : (float)seed_uniform(&s);
            break;
        default:
            w[i] = 0.0f;
            break;
        }
    return kind == IMPORTANCE_NONE ? NULL : w;
}

#endif
