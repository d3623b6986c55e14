/* gptq_matrix.h - GPTQ over all rows of a matrix, whose errors make up for each other.
 *
 * Where it is known what errors of the outputs cost together (G, the mean of g g' over the gradients
 * of the outputs: calib/gradients.h), what is made small is tr(G E H E'), E the error of the
 * weight.  With G = M' D M, M unit lower triangular, that is
 *
 *     sum over rows j of  D_j | e_j + sum over k < j of M_jk e_k |^2   (in the norm of H)
 *
 * so each row is rounded (calib/gptq.h) not to its weights but to those less what the rows before
 * it left to make up for: feedback between rows as there is between columns.  It is the two-sided
 * rounding of Tseng et al., arXiv 2505.22988, without the rounding on both sides at once.
 *
 * Rows go in blocks, about GPTQ_MATRIX_BLOCKS of them, each of rows that lie far apart; a block
 * hears from those before it, and not from itself.  The order and the blocks follow from the number
 * of rows: bytes do not depend on the pool.
 */
#ifndef CALIB_GPTQ_MATRIX_H
#define CALIB_GPTQ_MATRIX_H

#include "calib/gptq.h"
#include "core/pool.h"

enum { GPTQ_MATRIX_BLOCKS = 32, GPTQ_MATRIX_ROWS = 16 }; /* rows: of an item of the pool */

struct gptq_matrix {
    const struct gptq *gptq;
    struct gptq_scratch *scratch; /* one a thread */
    struct pool *pool;
    size_t rows, cols;
    size_t blocks; /* block b: positions first[b] .. first[b + 1] - 1 */
    size_t *first;
    size_t *order;   /* of the matrix's rows: position to row */
    float *feedback; /* M, by positions: rows x rows */
    double damp;     /* added to G's diagonal, in units of its mean */
};

#define GPTQ_MATRIX_DAMP 0.05

/* gradient: the packed upper triangle of G, not needed later.  *usable: false where no damping makes G
 * positive definite.  Fails with ERR_MEMORY. */
bool gptq_matrix_open(struct gptq_matrix *m, const struct gptq *g, struct gptq_scratch *scratch,
                      struct pool *pool, const float *gradient, size_t rows, bool *usable,
                      struct err *err);
void gptq_matrix_close(struct gptq_matrix *m);

/* Encodes the matrix.  w: rows x cols in the order of m->order, finite; overwritten with errors.
 * blocks are in the order of rows.  The sums are of the losses to what rows were rounded to.  Fails
 * with ERR_MEMORY or ERR_STOPPED. */
bool gptq_matrix_run(const struct gptq_matrix *m, float *w, uint8_t *blocks, struct gptq_sums *sums,
                     struct err *err);

#endif
