#include "quantize/affine_start_table.h"

const struct affine_search affine_plain_q2 = {
    .stretch = {0.70f, 0.60f, 0.50f, 0.50f, 0.50f, 0.60f, 0.50f, 1.30f},
    .shift = {-0.30f, -0.50f, 0.00f, -0.60f, -0.30f, 0.10f, -0.10f, -0.80f},
    .starts = 8,
    .sc_reach = 1,
    .m_reach = 0,
};

const struct affine_search affine_weighted_q2 = {
    .stretch = {0.80f, 0.90f, 0.90f, 2.00f, 1.60f, 0.10f, 2.10f, -0.60f, 0.20f, 1.90f, 2.20f, 0.30f,
                2.50f, 1.20f, 2.00f, 2.10f},
    .shift = {-0.40f, -0.10f, -0.80f, -0.20f, -1.50f, 0.00f, -1.10f, -0.20f, -0.30f, -0.60f, -1.50f,
              0.10f, -0.10f, -1.50f, -0.40f, -0.90f},
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 1,
};

const struct affine_search affine_plain_q4 = {
    .stretch = {0.25f, 0.25f, 0.25f, -0.75f, 0.25f, 0.50f, -0.75f, 0.75f, -0.25f, 0.25f, 0.25f,
                -1.00f, 0.75f, -1.75f, -0.25f, 0.75f},
    .shift = {-0.10f, -0.40f, 0.10f, -0.10f, -0.20f, 0.10f, 0.70f, -0.40f, 0.00f, -0.50f, 0.00f,
              0.20f, -0.60f, -0.10f, 0.20f, -0.20f},
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 0,
};

const struct affine_search affine_weighted_q4 = {
    .stretch = {0.50f, 0.50f,  0.50f, 0.25f, -0.75f, 1.50f, 2.00f,  -0.25f,
                2.00f, -1.75f, 1.75f, 1.50f, -0.75f, 2.50f, -1.00f, 2.50f,
                1.50f, 1.25f,  3.50f, 1.25f, -0.25f, 3.00f, 0.50f,  -2.00f},
    .shift = {-0.30f, 0.10f,  -0.60f, 0.00f,  -0.10f, -1.30f, -0.20f, 0.00f,
              -1.90f, -0.10f, -0.50f, -0.90f, -0.30f, -0.10f, 0.20f,  -2.40f,
              -0.20f, -0.50f, -0.10f, -1.00f, 0.20f,  -2.10f, -0.50f, -0.20f},
    .starts = 24,
    .sc_reach = 1,
    .m_reach = 1,
};

const struct affine_search affine_plain_q5 = {
    .stretch = {0.25f, -0.75f, 0.00f, 0.25f, -1.75f, -1.00f, -1.00f, 0.25f, -0.25f, -2.75f, 0.50f,
                -2.00f, 0.25f, -2.00f, -0.25f, -1.25f},
    .shift = {-0.10f, 0.90f, -0.20f, 0.10f, 0.90f, -0.20f, 0.20f, -0.50f, 0.10f, -0.10f, -0.40f,
              -0.20f, 0.20f, 0.20f, 0.30f, 0.10f},
    .starts = 16,
    .sc_reach = 1,
    .m_reach = 0,
};

const struct affine_search affine_weighted_q5 = {
    .stretch = {0.25f, 0.25f,  0.25f,  -1.00f, -1.75f, 0.25f,  -3.00f, 1.50f,
                1.75f, -1.00f, -2.00f, 1.25f,  1.00f,  -1.00f, 2.25f,  -0.25f,
                2.25f, -2.25f, 3.00f,  1.00f,  1.25f,  -3.00f, -3.00f, 3.75f},
    .shift = {-0.10f, -0.50f, 0.20f,  0.00f,  0.90f,  -0.30f, 1.00f,  -0.10f,
              -1.70f, -0.20f, -0.20f, -1.10f, -0.30f, 0.20f,  -0.10f, 0.20f,
              -2.30f, 0.30f,  -0.10f, -0.10f, -0.80f, 0.20f,  -0.20f, -0.10f},
    .starts = 24,
    .sc_reach = 1,
    .m_reach = 1,
};
