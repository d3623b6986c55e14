#include "calib/allocate.h"

#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>

/* From one option of an item to a larger one. */
struct step {
    size_t item, from, to;
    double saved; /* cost a byte */
};

static int by_bytes(const void *a, const void *b)
{
    const struct allocate_option *x = a, *y = b;
    if (x->bytes != y->bytes)
        return x->bytes < y->bytes ? -1 : 1;
    if (x->cost != y->cost)
        return x->cost < y->cost ? -1 : 1;
    return (x->type > y->type) - (x->type < y->type);
}

static int by_saving(const void *a, const void *b)
{
    const struct step *x = a, *y = b;
    if (x->saved != y->saved)
        return x->saved > y->saved ? -1 : 1;
    return (x->item > y->item) - (x->item < y->item);
}

static double saving(const struct allocate_item *item, size_t from, size_t to)
{
    const struct allocate_option *a = &item->option[from], *b = &item->option[to];
    return b->bytes > a->bytes ? (a->cost - b->cost) / (double)(b->bytes - a->bytes) : 0.0;
}

/* The steps of an item's hull: each saves less a byte than the one before. */
static size_t hull_of(const struct allocate_item *item, size_t index, struct step *step)
{
    size_t steps = 0;
    for (size_t from = 0; from < item->options;) {
        size_t best = from;
        for (size_t to = from + 1; to < item->options; to++)
            if (saving(item, from, to) > (best == from ? 0.0 : saving(item, from, best)))
                best = to;
        if (best == from)
            break;
        step[steps++] = (struct step){index, from, best, saving(item, from, best)};
        from = best;
    }
    return steps;
}

/* The one that saves the most among all that fit in `left`; false: none does. */
static bool fill_one(struct allocate_item *item, size_t items, uint64_t *left)
{
    struct step best = {0};
    for (size_t i = 0; i < items; i++)
        for (size_t to = item[i].chosen + 1; to < item[i].options; to++) {
            const struct allocate_option *a = &item[i].option[item[i].chosen];
            const struct allocate_option *b = &item[i].option[to];
            const double saved = a->cost - b->cost;
            if (b->bytes - a->bytes <= *left && saved > best.saved)
                best = (struct step){i, item[i].chosen, to, saved};
        }
    if (!(best.saved > 0.0))
        return false;
    struct allocate_item *to = &item[best.item];
    *left -= to->option[best.to].bytes - to->option[best.from].bytes;
    to->chosen = best.to;
    return true;
}

static void take_steps(struct allocate_item *item, const struct step *step, size_t steps,
                       uint64_t *left)
{
    for (size_t i = 0; i < steps; i++) {
        struct allocate_item *it = &item[step[i].item];
        const uint64_t more = it->option[step[i].to].bytes - it->option[step[i].from].bytes;
        if (it->chosen != step[i].from || more > *left)
            continue;
        it->chosen = step[i].to;
        *left -= more;
    }
}

bool allocate_types(struct allocate_item *item, size_t items, uint64_t budget, uint64_t *smallest,
                    struct err *err)
{
    struct step *step = mem_alloc(items, DTYPE_COUNT * sizeof *step);
    size_t steps = 0;
    if (!step)
        return err_set(err, ERR_MEMORY, "steps of %zu tensors", items);
    *smallest = 0;
    for (size_t i = 0; i < items; i++) {
        qsort(item[i].option, item[i].options, sizeof *item[i].option, by_bytes);
        item[i].chosen = 0;
        *smallest += item[i].option[0].bytes;
        steps += hull_of(&item[i], i, step + steps);
    }
    const bool ok = *smallest <= budget || err_set(err, ERR_USAGE,
                                                   "%" PRIu64 " bytes are too few: the smallest "
                                                   "types take %" PRIu64,
                                                   budget, *smallest);
    uint64_t left = ok ? budget - *smallest : 0;
    if (ok) {
        qsort(step, steps, sizeof *step, by_saving);
        take_steps(item, step, steps, &left);
        while (fill_one(item, items, &left))
            ;
    }
    free(step);
    return ok;
}
