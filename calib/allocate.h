/* allocate.h - a type for each tensor, so that the sum of costs is small and the bytes suffice.
 *
 * From the smallest types on, the step up that saves the most cost a byte is taken as long as it fits:
 * steps are those of each tensor's lower convex hull, so that until the budget runs short the
 * result is the best there is for its bytes (Lagrange).  What is left over goes to any step
 * that still fits.
 */
#ifndef CALIB_ALLOCATE_H
#define CALIB_ALLOCATE_H

#include "core/dtype.h"
#include "core/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct allocate_option {
    enum dtype_id type;
    uint64_t bytes;
    double cost;
};

struct allocate_item {
    struct allocate_option option[DTYPE_COUNT]; /* in any order; sorted by bytes afterwards */
    size_t options;                             /* at least 1 */
    size_t chosen;
};

/* Chooses for all within `budget` bytes.  False where the smallest types need more: *smallest says
 * how much.  Fails with ERR_MEMORY. */
bool allocate_types(struct allocate_item *item, size_t items, uint64_t budget, uint64_t *smallest,
                    struct err *err);

#endif
