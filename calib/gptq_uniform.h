/* gptq_uniform.h - GPTQ into plain uniform groups, for checkpoints of other programs.
 *
 * As gptq.h, but into codes, scales and zeros (quantize/uniform.h): columns are rounded in order,
 * the error of each is fed back into those that follow; a group's scale and zero are chosen when
 * its turn comes, by the loss that rounding it with feedback really has (groups wider than
 * UNIFORM_SEARCH: by the diagonal of H alone); then single codes move while that lowers the loss
 * under the whole H.
 *
 * Rows are independent: any split of a weight into calls and threads gives the same bytes, and so
 * does any instruction set, given the factor.
 */
#ifndef CALIB_GPTQ_UNIFORM_H
#define CALIB_GPTQ_UNIFORM_H

#include "calib/factor.h"
#include "quantize/uniform.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { UNIFORM_ROWS = 16, UNIFORM_SEARCH = 128 };

struct gptq_uniform {
    const struct factor *factor; /* must stay */
    struct uniform form;
    unsigned sweeps; /* of single codes; 0: none */
    unsigned cpu;    /* core/cpu.h */
};

/* Rows of a weight, encoded: rows x cols codes, rows x groups scales (fp16) and zeros. */
struct uniform_rows {
    uint8_t *code;
    uint16_t *scale;
    uint8_t *zero;
};

/* Losses over rows, in units of the factor's H. */
struct uniform_sums {
    double loss, rounding; /* rounding: of plain rounding with the diagonal of H as importance */
    uint64_t rows, kept;   /* kept: rows whose plain rounding was no worse, and stands */
};

/* Floats that gptq_uniform_rows needs in `room`. */
size_t gptq_uniform_room(const struct gptq_uniform *g);

/* Encodes `rows` rows of w (row-major, finite) and adds to *sums (may be NULL).  The form has been
 * checked (uniform_check).  No row is worse than plain rounding. */
void gptq_uniform_rows(const struct gptq_uniform *g, const float *w, size_t rows,
                       const struct uniform_rows *to, float *room, struct uniform_sums *sums);

#endif
