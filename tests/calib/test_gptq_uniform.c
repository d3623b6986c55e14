/* GPTQ into uniform groups: rows do not depend on their company, none is worse than rounding. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "calib/gptq_uniform.h"
#include "core/cpu.h"
#include "core/mem.h"
#include "core/rng.h"
#include "hessians.h"

#include <stdlib.h>
#include <string.h>

enum { COLS = 96, ROWS = 37, TOKENS = 300 };

struct linear {
    float w[ROWS * COLS], upper[COLS * (COLS + 1) / 2];
    struct factor factor;
};

static void linear_open(struct linear *l, bool dead)
{
    struct err err;
    struct rng rng = {11};
    static float x[TOKENS][COLS];
    for (size_t t = 0; t < TOKENS; t++) { /* a walk: columns are like their neighbours */
        float walk = 0.0f;
        for (size_t c = 0; c < COLS; c++) {
            walk = 0.8f * walk + rng_normal(&rng);
            x[t][c] = dead && c % 7 == 3 ? 0.0f : walk * (c % 5 ? 1 : 4);
        }
    }
    size_t at = 0;
    for (size_t i = 0; i < COLS; i++)
        for (size_t j = i; j < COLS; j++, at++) {
            l->upper[at] = 0.0f;
            for (size_t t = 0; t < TOKENS; t++)
                l->upper[at] += x[t][i] * x[t][j] / TOKENS;
        }
    for (size_t i = 0; i < ROWS * COLS; i++)
        l->w[i] = i / COLS == 5 ? 0.0f : rng_normal(&rng);
    assert_true(hessian_factor(&l->factor, l->upper, COLS, &(struct factor_options){0}, &err));
}

struct encoded {
    uint8_t code[ROWS * COLS], zero[ROWS * COLS / 32];
    uint16_t scale[ROWS * COLS / 32];
    struct uniform_sums sums;
};

/* Rows so many at a time. */
static struct encoded *encode(const struct linear *l, struct uniform form, size_t at_a_time,
                              unsigned cpu)
{
    const struct gptq_uniform g = {.factor = &l->factor, .form = form, .sweeps = 2, .cpu = cpu};
    const size_t groups = uniform_groups(&form, COLS);
    struct encoded *e = mem_alloc(1, sizeof *e);
    float *room = mem_alloc(gptq_uniform_room(&g), sizeof *room);
    for (size_t r = 0; r < ROWS; r += at_a_time) {
        const struct uniform_rows to = {e->code + r * COLS, e->scale + r * groups,
                                        e->zero + r * groups};
        gptq_uniform_rows(&g, l->w + r * COLS, ROWS - r < at_a_time ? ROWS - r : at_a_time, &to,
                          room, &e->sums);
    }
    free(room);
    return e;
}

static double loss_of(const struct linear *l, const struct uniform *form, const struct encoded *e)
{
    const size_t groups = uniform_groups(form, COLS);
    double loss = 0.0;
    for (size_t r = 0; r < ROWS; r++) {
        float v[COLS];
        uniform_decode_row(form, e->code + r * COLS, e->scale + r * groups, e->zero + r * groups,
                           COLS, v);
        for (size_t i = 0; i < COLS; i++)
            for (size_t j = 0; j < COLS; j++)
                loss += ((double)v[i] - l->w[r * COLS + i]) * ((double)v[j] - l->w[r * COLS + j]) *
                        factor_h_at(&l->factor, i, j);
    }
    return loss;
}

static const struct uniform forms[] = {{2, 32, false}, {3, 32, true}, {4, 0, false}, {8, 0, true}};
enum { FORMS = sizeof forms / sizeof forms[0] };

static void any_split_and_instructions_give_the_same_bytes(void **state)
{
    (void)state;
    static struct linear l;
    linear_open(&l, false);
    for (size_t f = 0; f < FORMS; f++) {
        struct encoded *whole = encode(&l, forms[f], ROWS, 0);
        for (size_t n = 1; n < 20; n += 6) {
            struct encoded *parts = encode(&l, forms[f], n, cpu_features());
            assert_memory_equal(whole, parts, offsetof(struct encoded, sums));
            free(parts);
        }
        free(whole);
    }
    factor_close(&l.factor);
}

static void the_loss_is_the_one_that_is_told(void **state)
{
    (void)state;
    for (int dead = 0; dead < 2; dead++) {
        static struct linear l;
        linear_open(&l, dead != 0);
        for (size_t f = 0; f < FORMS; f++) {
            struct encoded *e = encode(&l, forms[f], ROWS, 0);
            const double loss = loss_of(&l, &forms[f], e);
            assert_int_equal(e->sums.rows, ROWS);
            assert_true(e->sums.kept >= 1 && e->sums.kept <= 3); /* the row of zeros */
            assert_true(e->sums.loss > loss * 0.999 && e->sums.loss < loss * 1.001);
            assert_true(e->sums.loss < 0.75 * e->sums.rounding);
            free(e);
        }
        factor_close(&l.factor);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(any_split_and_instructions_give_the_same_bytes),
        cmocka_unit_test(the_loss_is_the_one_that_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
