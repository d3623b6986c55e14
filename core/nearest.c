#include "core/nearest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

enum { WORD_MAX = 63 }; /* longer words are compared by their first letters */

static size_t least(size_t a, size_t b) { return a < b ? a : b; }

static bool same(char a, char b) { return tolower((unsigned char)a) == tolower((unsigned char)b); }

/* The edit distance with swaps of neighbours (optimal string alignment).  cost[i % 3][j] is
 * that of the first i letters of a and the first j of b. */
static size_t distance(const char *a, const char *b)
{
    const size_t rows = least(strlen(a), WORD_MAX), cols = least(strlen(b), WORD_MAX);
    size_t cost[3][WORD_MAX + 1];
    for (size_t j = 0; j <= cols; j++)
        cost[0][j] = j;
    for (size_t i = 1; i <= rows; i++) {
        size_t *now = cost[i % 3];
        const size_t *before = cost[(i - 1) % 3], *earlier = cost[(i + 1) % 3];
        now[0] = i;
        for (size_t j = 1; j <= cols; j++) {
            now[j] =
                least(before[j - 1] + !same(a[i - 1], b[j - 1]), least(before[j], now[j - 1]) + 1);
            if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) && same(a[i - 2], b[j - 1]))
                now[j] = least(now[j], earlier[j - 2] + 1);
        }
    }
    return cost[rows % 3][cols];
}

void nearest_offer(struct nearest *n, const char *known)
{
    const size_t d = distance(n->word, known);
    if (!n->best || d < n->distance) {
        n->best = known;
        n->distance = d;
    }
}

const char *nearest_best(const struct nearest *n)
{
    return n->best && n->distance <= (strlen(n->word) + 2) / 3 ? n->best : NULL;
}
