/* rope.h - rotary position embedding: pairs of a head's columns turn with the position.
 *
 * Pair i of `dims` / 2 turns by position * frequency[i]; the frequencies carry the model's
 * scaling for long contexts (linear, yarn, Llama 3.1's factors).  A turn keeps lengths, but for
 * yarn's `magnitude`.  Columns behind the first `dims` stay as they are.
 */
#ifndef MODEL_ROPE_H
#define MODEL_ROPE_H

#include "core/arena.h"
#include "core/err.h"
#include "model/arch.h"
#include "model/hparams.h"

#include <stdbool.h>
#include <stddef.h>

struct rope {
    enum arch_rope layout;
    size_t dims;
    const float *frequency; /* dims / 2, radians a position */
    float magnitude;        /* of the turned columns: 1, or yarn's */
};

/* factors: dims / 2 by which frequencies are divided (the tensor rope_freqs), or NULL.  The
 * frequencies lie in the arena.  Fails with ERR_UNSUPPORTED or ERR_MEMORY. */
bool rope_init(struct rope *r, const struct hparams *h, enum arch_rope layout, const float *factors,
               struct arena *arena, struct err *err);

/* The turn of a position, for rope_turn: dims floats, cosine and sine of pair after pair. */
void rope_angles(const struct rope *r, size_t position, float *angle);

/* Turns one head in place. */
void rope_turn(const struct rope *r, const float *angle, float *head);

#endif
