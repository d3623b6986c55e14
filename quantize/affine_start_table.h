/* affine_start_table.h - where the searches for a scale and an offset begin.
 *
 * Taken from a grid of stretches and shifts one after the other, each for what it
 * adds to those before it, by the mean error of the best fit over 16,000 blocks:
 * half of trained layers, half of normal and heavy-tailed random numbers; the
 * weighted lists under an importance spread over three orders of magnitude.
 */
#ifndef QUANTIZE_AFFINE_START_TABLE_H
#define QUANTIZE_AFFINE_START_TABLE_H

enum { STARTS_MAX = 24 };

/* A grid to try on a block: scale = range / (largest code + stretch), codes
 * round((weight - lowest) / scale + shift). */
struct start {
    float stretch, shift;
};

/* How much to search.  The K types then try `sc_reach` scales to either side of
 * a block's own and, for each, `m_reach` minima around the one that suits it. */
struct search {
    struct start start[STARTS_MAX];
    int starts, sc_reach, m_reach;
};

static const struct search plain_q2 = {
    .start =
        {
            {0.70f, -0.30f}, {0.60f, -0.50f}, {0.50f, 0.00f}, {0.50f, -0.60f}, {0.50f, -0.30f},
            {0.60f, 0.10f}, {0.50f, -0.10f}, {1.30f, -0.80f}
        },
    .starts = 8,
    .sc_reach = 1,
    .m_reach = 0,
};

static const struct search weighted_q2 = {
    .start =
        {
            {0.80f, -0.40f}, {0.90f, -0.10f}, {0.90f, -0.80f}, {2.00f, -0.20f}, {1.60f, -1.50f},
            {0.10f, 0.00f}, {2.10f, -1.10f}, {-0.60f, -0.20f}, {0.20f, -0.30f}, {1.90f, -0.60f},
            {2.20f, -1.50f}, {0.30f, 0.10f}, {2.50f, -0.10f}, {1.20f, -1.50f}, {2.00f, -0.40f},
            {2.10f, -0.90f}
        },
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 1,
};

static const struct search plain_q4 = {
    .start =
        {
            {0.25f, -0.10f}, {0.25f, -0.40f}, {0.25f, 0.10f}, {-0.75f, -0.10f}, {0.25f, -0.20f},
            {0.50f, 0.10f}, {-0.75f, 0.70f}, {0.75f, -0.40f}, {-0.25f, 0.00f}, {0.25f, -0.50f},
            {0.25f, 0.00f}, {-1.00f, 0.20f}, {0.75f, -0.60f}, {-1.75f, -0.10f}, {-0.25f, 0.20f},
            {0.75f, -0.20f}
        },
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 0,
};

static const struct search weighted_q4 = {
    .start =
        {
            {0.50f, -0.30f}, {0.50f, 0.10f}, {0.50f, -0.60f}, {0.25f, 0.00f}, {-0.75f, -0.10f},
            {1.50f, -1.30f}, {2.00f, -0.20f}, {-0.25f, 0.00f}, {2.00f, -1.90f}, {-1.75f, -0.10f},
            {1.75f, -0.50f}, {1.50f, -0.90f}, {-0.75f, -0.30f}, {2.50f, -0.10f}, {-1.00f, 0.20f},
            {2.50f, -2.40f}, {1.50f, -0.20f}, {1.25f, -0.50f}, {3.50f, -0.10f}, {1.25f, -1.00f},
            {-0.25f, 0.20f}, {3.00f, -2.10f}, {0.50f, -0.50f}, {-2.00f, -0.20f}
        },
    .starts = 24,
    .sc_reach = 1,
    .m_reach = 1,
};

static const struct search plain_q5 = {
    .start =
        {
            {0.25f, -0.10f}, {-0.75f, 0.90f}, {0.00f, -0.20f}, {0.25f, 0.10f}, {-1.75f, 0.90f},
            {-1.00f, -0.20f}, {-1.00f, 0.20f}, {0.25f, -0.50f}, {-0.25f, 0.10f}, {-2.75f, -0.10f},
            {0.50f, -0.40f}, {-2.00f, -0.20f}, {0.25f, 0.20f}, {-2.00f, 0.20f}, {-0.25f, 0.30f},
            {-1.25f, 0.10f}
        },
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 0,
};

static const struct search weighted_q5 = {
    .start =
        {
            {0.25f, -0.10f}, {0.25f, -0.50f}, {0.25f, 0.20f}, {-1.00f, 0.00f}, {-1.75f, 0.90f},
            {0.25f, -0.30f}, {-3.00f, 1.00f}, {1.50f, -0.10f}, {1.75f, -1.70f}, {-1.00f, -0.20f},
            {-2.00f, -0.20f}, {1.25f, -1.10f}, {1.00f, -0.30f}, {-1.00f, 0.20f}, {2.25f, -0.10f},
            {-0.25f, 0.20f}, {2.25f, -2.30f}, {-2.25f, 0.30f}, {3.00f, -0.10f}, {1.00f, -0.10f},
            {1.25f, -0.80f}, {-3.00f, 0.20f}, {-3.00f, -0.20f}, {3.75f, -0.10f}
        },
    .starts = 24,
    .sc_reach = 1,
    .m_reach = 1,
};

#endif
