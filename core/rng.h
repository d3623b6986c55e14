/* rng.h - seeded random numbers, the same on every machine (splitmix64). */
#ifndef CORE_RNG_H
#define CORE_RNG_H

#include <math.h>
#include <stdint.h>

struct rng {
    uint64_t state; /* the seed */
};

static inline uint64_t rng_u64(struct rng *r)
{
    uint64_t z = (r->state += 0x9e3779b97f4a7c15u);
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

/* Uniform in [0, 1), 24 bits. */
static inline float rng_uniform(struct rng *r) { return (float)(rng_u64(r) >> 40) * 0x1p-24f; }

/* Standard normal (Box and Muller). */
static inline float rng_normal(struct rng *r)
{
    const double u = ((double)(rng_u64(r) >> 11) + 1.0) * 0x1p-53;
    const double v = (double)(rng_u64(r) >> 11) * 0x1p-53;
    return (float)(sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v));
}

#endif
