/* affine_start_table.h - where the searches for a scale and an offset begin.
 *
 * Taken from a lattice of stretches and shifts one after the other, each for what it
 * adds to those before it, by the mean error of the best fit over 16,000 blocks: half
 * of trained layers, half of normal and heavy-tailed random numbers; the weighted lists
 * under an importance spread over three orders of magnitude.  The method is that of
 * tests/oracle/affine_starts.py.
 */
#ifndef QUANTIZE_AFFINE_START_TABLE_H
#define QUANTIZE_AFFINE_START_TABLE_H

enum { STARTS_MAX = 24 };

/* How much to search.  Grid k to try on a block has scale = range / (largest code
 * + stretch[k]) and codes round((weight - lowest) / scale + shift[k]).  The K types
 * then try `sc_reach` scales to either side of a block's own and, for each,
 * `m_reach` minima around the one that suits it. */
struct affine_search {
    float stretch[STARTS_MAX], shift[STARTS_MAX];
    int starts, sc_reach, m_reach;
};

/* For codes of two, four and five bits; weights that count alike, or not. */
extern const struct affine_search affine_plain_q2, affine_weighted_q2;
extern const struct affine_search affine_plain_q4, affine_weighted_q4;
extern const struct affine_search affine_plain_q5, affine_weighted_q5;

#endif
