/* Which tensors are raised: those whose few columns hold most, within the weights that may be. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/salient.h"
#include "core/cpu.h"
#include "core/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Four tensors of 8 x 64 ones, and statistics: one column of tensor i counts 4^i times the others. */
enum { TENSORS = 4, ROWS = 8, COLS = 64 };

struct made {
    float weight[ROWS * COLS], mean[TENSORS][COLS];
    char name[TENSORS][16];
    const char *names[TENSORS];
    uint64_t tokens;
    struct tensor source;
    struct plan_tensor tensor[TENSORS];
    struct calib_group group[TENSORS];
    struct calib_by_tensor by_tensor[TENSORS];
    struct plan plan;
    struct calib_store store;
    struct kernels kernels;
    struct pool *pool;
    const struct dtype *dtype[TENSORS];
};

static void made_open(struct made *m)
{
    struct err err;
    memset(m, 0, sizeof *m);
    kernels_init(&m->kernels, cpu_features());
    assert_true(pool_open(&m->pool, 2, &err));
    for (size_t i = 0; i < ROWS * COLS; i++)
        m->weight[i] = i % 2 ? 1.0f : -1.0f;
    m->tokens = 1;
    for (size_t i = 0; i < TENSORS; i++) {
        snprintf(m->name[i], sizeof m->name[i], "t%zu.weight", i);
        m->names[i] = m->name[i];
        for (size_t c = 0; c < COLS; c++)
            m->mean[i][c] = c == 7 ? (float)(1 << 2 * i) : 1.0f;
        m->source = (struct tensor){.name = m->name[0],
                                    .dtype = dtype_get(DTYPE_F32),
                                    .dims = 2,
                                    .shape = {ROWS, COLS},
                                    .data = (const uint8_t *)m->weight,
                                    .bytes = sizeof m->weight};
        m->tensor[i] = (struct plan_tensor){.out = m->source, .source = &m->source};
        m->tensor[i].out.name = m->name[i];
        m->group[i] = (struct calib_group){.name = m->name[i],
                                           .tensor = &m->names[i],
                                           .tensors = 1,
                                           .cols = COLS,
                                           .matrices = 1,
                                           .tokens = &m->tokens,
                                           .mean_square = m->mean[i]};
        m->by_tensor[i] = (struct calib_by_tensor){m->name[i], i};
        m->dtype[i] = dtype_get(DTYPE_Q4_0);
    }
    m->plan = (struct plan){.tensor = m->tensor, .tensors = TENSORS};
    m->store = (struct calib_store){.path = "made",
                                    .group = m->group,
                                    .groups = TENSORS,
                                    .by_tensor = m->by_tensor,
                                    .tensors = TENSORS};
}

static bool raised(struct made *m, double columns, double weights, struct salient *s,
                   struct err *err)
{
    const struct salient_options o = {columns, weights, &m->kernels, m->pool};
    return salient_raise(&m->plan, &m->store, &o, m->dtype, s, err);
}

static void the_largest_shares_are_raised(void **state)
{
    (void)state;
    for (int quarters = 0; quarters <= TENSORS; quarters++) {
        struct made m;
        struct salient s[TENSORS];
        struct err err;
        made_open(&m);
        assert_true(raised(&m, 0.01, quarters / 4.0, s, &err));
        for (int i = 0; i < TENSORS; i++) {
            const double top = (double)(1 << 2 * i), want = top / (top + COLS - 1);
            assert_true(fabs(s[i].share - want) < 1e-9);
            assert_int_equal(s[i].raised, i >= TENSORS - quarters);
            assert_int_equal(m.dtype[i]->id, s[i].raised ? DTYPE_Q5_0 : DTYPE_Q4_0);
        }
        pool_close(m.pool);
    }
}

static void more_columns_hold_more(void **state)
{
    (void)state;
    struct made m;
    struct salient s[TENSORS];
    struct err err;
    made_open(&m);
    assert_true(raised(&m, 0.5, 0.0, s, &err));
    assert_true(fabs(s[0].share - 0.5) < 1e-9);
    assert_true(raised(&m, 1.0, 0.0, s, &err));
    assert_true(fabs(s[3].share - 1.0) < 1e-9);
    pool_close(m.pool);
}

static void what_is_unknown_stays(void **state)
{
    (void)state;
    struct made m;
    struct salient s[TENSORS];
    struct err err;
    made_open(&m);
    m.tensor[3].out.name = "other.weight";
    m.dtype[2] = dtype_get(DTYPE_F16);
    assert_true(raised(&m, 0.01, 1.0, s, &err));
    assert_false(s[3].raised || s[2].raised);
    assert_true(s[3].share == 0.0);
    assert_true(s[1].raised && s[0].raised);
    m.group[1].cols = 32;
    assert_false(raised(&m, 0.01, 1.0, s, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_false(raised(&m, 0.01, 1.5, s, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_false(raised(&m, NAN, 0.5, s, &err));
    pool_close(m.pool);
}

static void a_next_type_has_more_bits_and_its_blocks_fit(void **state)
{
    (void)state;
    size_t found = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i), *next = salient_next(d);
        if (!next)
            continue;
        found++;
        assert_true(dtype_bits(next) > dtype_bits(d));
        assert_int_equal(d->block_elems % next->block_elems, 0);
    }
    assert_true(found > 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_largest_shares_are_raised),
        cmocka_unit_test(more_columns_hold_more),
        cmocka_unit_test(what_is_unknown_stays),
        cmocka_unit_test(a_next_type_has_more_bits_and_its_blocks_fit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
