/* nearest.h - "did you mean": the known word that comes nearest to a mistyped one.
 *
 * Set `word`, offer every known word, ask for the best.  Letters match in any case.
 */
#ifndef CORE_NEAREST_H
#define CORE_NEAREST_H

#include <stddef.h>

struct nearest {
    const char *word;
    const char *best; /* so far; points to what was offered */
    size_t distance;  /* of best */
};

void nearest_offer(struct nearest *n, const char *known);

/* The word offered that needs the fewest letters changed, added, dropped or swapped with
 * their neighbour (the first of equals), or NULL where that is over a third of the word. */
const char *nearest_best(const struct nearest *n);

#endif
