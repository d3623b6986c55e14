/* vector_exp.h - the numbers of exp, for all versions of vector.h. */
#ifndef CORE_VECTOR_EXP_H
#define CORE_VECTOR_EXP_H

enum { VECTOR_LANES = 16, EXP_TERMS = 7 };

static const float exp_least = -87.0f, exp_most = 88.0f;
static const float exp_inverse = 0x1.715476p+0f; /* of ln 2 */
static const float exp_ln2 = 0x1.62e43p-1f, exp_ln2_low = -0x1.05c61p-29f;
static const float exp_round = 0x1.8p+23f;
static const float exp_term[EXP_TERMS] = {
    1.0f, 1.0f, 0x1.fffffcp-2f, 0x1.555492p-3f, 0x1.5558f2p-5f, 0x1.123a20p-7f, 0x1.6a23cep-10f};

#endif
