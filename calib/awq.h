/* awq.h - activation-aware scaling of a whole plan: every site's factors found, folded and proved.
 *
 * For each site of model/fold.h the statistics of its readers' input come from a calib.h5, their
 * weights from the plan, a sample of rows where there are many, and awq_search() finds the
 * factors for the types that they will have, each row weighing what the store's gradients say where
 * it has them.  Sites do not depend on one another: a row that
 * another site scales counts as before.  From then on plan_read gives folded weights, and fold_proof
 * has shown that they are the same model.
 *
 * What is quantized afterwards needs folded statistics, too: awq_use, fold_hessian.
 */
#ifndef CALIB_AWQ_H
#define CALIB_AWQ_H

#include "calib/awq_search.h"
#include "core/progress.h"
#include "formats/calib_store.h"
#include "model/produce.h"

#include <stdbool.h>

enum { AWQ_ROWS = 256 };

struct awq_options {
    const struct kernels *kernels;
    struct pool *pool;
    struct progress *progress;     /* in sites; may be NULL */
    const struct uniform *uniform; /* readers become these groups, not blocks; or NULL */
    size_t rows;                   /* that the search looks at, of a reader, at most; 0: AWQ_ROWS */
    bool gptq; /* is what rounds the folded weights, and not the encoder alone */
};

/* How a site of the fold did. */
struct awq_site {
    bool searched; /* else no reader's type takes a search: its factors are 1 */
    struct awq_choice choice;
    float *mean_square; /* of the readers' input, folded */
};

struct awq {
    struct fold fold;
    struct awq_site *site; /* of fold.site */
    double before, after;  /* sums over the sites' losses */
    double proof;          /* fold_proof's error */
    uint64_t memory; /* bytes that all this took, at most, beside what a forward pass in each of
                      * two models takes */
};

/* dtype[i]: what the plan's tensor i becomes.  The plan is folded while *a is open.  Fails with what
 * fold_open and fold_proof say, ERR_USAGE (the store has no statistics, or no Hessian, of a
 * tensor), ERR_FORMAT (other sizes), what reading the store says, ERR_STOPPED or ERR_MEMORY; *a is
 * then closed. */
bool awq_open(struct awq *a, struct plan *p, const struct calib_store *store,
              const struct dtype *const *dtype, const struct awq_options *o, struct err *err);
void awq_close(struct awq *a);

/* Where the item has importance and its input is folded, the importance becomes that of the fold. */
void awq_use(const struct awq *a, struct produce_item *item);

#endif
