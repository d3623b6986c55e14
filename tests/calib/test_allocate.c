/* Types within a budget: never over it, nothing that fits is left out, and the best where a full search
 * can tell. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/allocate.h"
#include "core/rng.h"

#include <string.h>

enum { ITEMS = 5, OPTIONS = 4 };

/* Costs fall as bytes rise, by random steps; order is mixed. */
static void make_items(struct allocate_item *item, struct rng *rng)
{
    memset(item, 0, ITEMS * sizeof *item);
    for (size_t i = 0; i < ITEMS; i++) {
        uint64_t bytes = 1 + rng_u64(rng) % 40;
        double cost = 1000.0;
        for (size_t o = 0; o < OPTIONS; o++) {
            item[i].option[(o * 3 + i) % OPTIONS] =
                (struct allocate_option){(enum dtype_id)o, bytes, cost};
            bytes += 1 + rng_u64(rng) % 40;
            cost *= (double)(rng_u64(rng) % 100) / 100.0;
        }
        item[i].options = OPTIONS;
    }
}

static uint64_t bytes_of(const struct allocate_item *item)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < ITEMS; i++)
        sum += item[i].option[item[i].chosen].bytes;
    return sum;
}

static double cost_of(const struct allocate_item *item)
{
    double sum = 0.0;
    for (size_t i = 0; i < ITEMS; i++)
        sum += item[i].option[item[i].chosen].cost;
    return sum;
}

/* The least cost of all combinations within the budget. */
static double search(struct allocate_item *item, uint64_t budget)
{
    double best = 1e300;
    for (size_t n = 0; n < 1024; n++) {
        for (size_t i = 0, rest = n; i < ITEMS; i++, rest /= OPTIONS)
            item[i].chosen = rest % OPTIONS;
        if (bytes_of(item) <= budget && cost_of(item) < best)
            best = cost_of(item);
    }
    return best;
}

static void budgets_are_kept_and_used(void **state)
{
    struct rng rng;
    struct allocate_item item[ITEMS];
    struct err err = {0};
    double found = 0.0, best = 0.0;
    (void)state;
    rng = (struct rng){4};
    for (int trial = 0; trial < 300; trial++) {
        uint64_t smallest;
        make_items(item, &rng);
        const uint64_t budget = 200 + rng_u64(&rng) % 300;
        assert_true(allocate_types(item, ITEMS, budget, &smallest, &err));
        const uint64_t used = bytes_of(item);
        const double cost = cost_of(item);
        assert_true(used <= budget);
        for (size_t i = 0; i < ITEMS; i++) /* no single step that saves still fits */
            for (size_t o = item[i].chosen + 1; o < OPTIONS; o++)
                assert_true(item[i].option[o].cost >= item[i].option[item[i].chosen].cost ||
                            item[i].option[o].bytes - item[i].option[item[i].chosen].bytes >
                                budget - used);
        found += cost;
        best += search(item, budget);
    }
    assert_true(found < 1.1 * best); /* over all: within a tenth of the best there is */
}

static void smallest_size_is_named(void **state)
{
    struct rng rng;
    struct allocate_item item[ITEMS];
    struct err err = {0};
    uint64_t smallest, least = 0;
    (void)state;
    rng = (struct rng){5};
    make_items(item, &rng);
    for (size_t i = 0; i < ITEMS; i++) {
        uint64_t own = UINT64_MAX;
        for (size_t o = 0; o < OPTIONS; o++)
            own = item[i].option[o].bytes < own ? item[i].option[o].bytes : own;
        least += own;
    }
    assert_false(allocate_types(item, ITEMS, least - 1, &smallest, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(smallest, least);
    assert_true(allocate_types(item, ITEMS, least, &smallest, &err));
    assert_int_equal(bytes_of(item), least);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(budgets_are_kept_and_used),
        cmocka_unit_test(smallest_size_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
