/* awq_search.h - which factors of its channels a group of linears is best quantized with.
 *
 * A column multiplied by s > 1 before it is quantized, its input divided by s, keeps more of its
 * digits at the expense of its neighbours in a block (Lin et al., "AWQ", arXiv 2306.00978).
 * Factors s = x^a w^-b of a channel's activations x (root of the mean square) and weights w (the
 * same, over rows) are tried on a lattice of (a, b), each through the encoder of the type that
 * the weight will have, and judged by what the quantized linears give out: the sum over readers
 * of tr((V - W) H (V - W)'), relative to tr(W H W').  s = 1 is among them: no result is worse.
 *
 * Programs that multiply with blocks round the input, too, to eight bits with a step for a block of
 * it (quantize/dot.h), which the largest column sets; factors that even out columns make the step
 * small (Xiao et al., "SmoothQuant", arXiv 2211.10438).  With e = m_j / s_j^2 the mean squares of
 * the inputs as they will be, that adds
 *
 *     sum over blocks of  peak sqrt(sum of e^2) / (12 127^2)  sum over columns of s_j^2 |W_j|^2
 *
 * for peak sqrt(sum of e^2) is, measured, the mean over tokens of a block's largest square: peak is 1
 * for inputs that a norm or attention gives, 4 for those that are products of two.
 *
 * The result depends on neither threads nor instruction sets, but for BLAS's last bits in H.
 */
#ifndef CALIB_AWQ_SEARCH_H
#define CALIB_AWQ_SEARCH_H

#include "core/pool.h"
#include "model/fold.h"
#include "quantize/kernels.h"
#include "quantize/uniform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct awq_reader {
    const float *weight; /* rows x cols */
    const float *worth;  /* of an error of each row, in place of 1 / tr(W H W'); all or none */
    size_t rows;
    enum dtype_id dtype;
    const struct uniform *uniform; /* or NULL: blocks of dtype */
};

struct awq_problem {
    const struct fold_site *site; /* cols, channels and how they belong together */
    struct awq_reader reader[FOLD_READERS];
    size_t readers;
    const float *mean_square; /* of the columns: the encoder's importance, too */
    const float *hessian;     /* cols x cols, row-major: its upper triangle counts */
    double remains; /* how much of an encoder's error a better one leaves: GPTQ, about half */
    double peak;    /* 0: the input is not rounded */
};

struct awq_choice {
    double before, after;      /* the loss with s = 1, with the steps: relative to no output */
    double activation, weight; /* a, b */
};

/* Sets site->channels steps.  Fails with ERR_MEMORY or ERR_STOPPED. */
bool awq_search(const struct awq_problem *p, const struct kernels *k, struct pool *pool,
                int8_t *step, struct awq_choice *choice, struct err *err);

/* Bytes that a search takes beside the problem. */
uint64_t awq_search_memory(const struct awq_problem *p, int threads);

/* The relative loss with those steps. */
bool awq_loss(const struct awq_problem *p, const struct kernels *k, struct pool *pool,
              const int8_t *step, double *loss, struct err *err);

#endif
