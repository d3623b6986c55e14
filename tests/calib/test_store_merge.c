/* Merging weights by tokens and refuses what does not belong together; importance matrices and
 * back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "calib/coverage.h"
#include "calib/store_imatrix.h"
#include "calib/store_merge.h"
#include "core/mem.h"
#include "tests/formats/stores.h"

static const struct store_options base = {"feed", "llama", true, 100, 1.0f};

static void means_are_weighted_by_tokens(void **state)
{
    (void)state;
    struct err err = {0};
    struct store_options second = base;
    struct calib_store in[2], out;
    float *upper = mem_alloc(STORES_VALUES, sizeof *upper);
    second.tokens = 300;
    second.factor = 2.0f;
    second.model = ""; /* not known: fits any */
    write_and_open(&in[0], "a.h5", &base);
    write_and_open(&in[1], "b.h5", &second);
    char *path = path_of("c.h5");
    assert_true(store_merge(in, 2, false, path, false, &err));
    assert_true(calib_store_open(&out, path, &err));
    assert_string_equal(out.info.model, "feed");
    assert_int_equal(out.info.tokens, 400);
    assert_int_equal(out.info.windows, 20);
    assert_int_equal(out.info.texts, 4);
    for (size_t g = 0; g < 2; g++)
        for (size_t m = 0; m < out.group[g].matrices; m++) {
            assert_int_equal(out.group[g].tokens[m], 400 * (m + 1));
            assert_true(calib_store_hessian(&out, &out.group[g], m, upper, &err));
            size_t at = 0;
            for (size_t r = 0; r < STORES_COLS; r++)
                for (size_t c = r; c < STORES_COLS; c++, at++) {
                    const double want = (100.0 * (double)store_value(m, r, c, 1.0f) +
                                         300.0 * (double)store_value(m, r, c, 2.0f)) /
                                        400.0;
                    assert_true(fabs((double)upper[at] - want) <= 6e-8 * fabs(want));
                }
        }
    for (size_t i = 0; i < 2; i++)
        calib_store_close(&in[i]);
    calib_store_close(&out);
    free(path);
    free(upper);
}

static void refuses(const struct store_options *other, bool importance_only, const char *says)
{
    struct err err = {0};
    struct calib_store in[2];
    write_and_open(&in[0], "a.h5", &base);
    write_and_open(&in[1], "b.h5", other);
    char *path = path_of("never.h5");
    const bool ok = store_merge(in, 2, importance_only, path, true, &err);
    assert_true(ok == (says == NULL));
    if (says && !strstr(err.text, says))
        fail_msg("%s", err.text);
    assert_true((access(path, F_OK) == 0) == ok);
    for (size_t i = 0; i < 2; i++)
        calib_store_close(&in[i]);
    free(path);
}

static void what_does_not_belong_together_is_refused(void **state)
{
    (void)state;
    struct store_options o = base;
    o.architecture = "qwen2";
    refuses(&o, false, "of other models: llama and qwen2");
    o = base;
    o.model = "food";
    refuses(&o, false, "their gains are not");
    o = base;
    o.hessians = false;
    refuses(&o, false, "b.h5 has importance alone");
    refuses(&o, true, NULL);
}

static void an_imatrix_and_back(void **state)
{
    (void)state;
    const char *const form[] = {"m.gguf", "m.dat"};
    struct err err = {0};
    struct calib_store s, again;
    write_and_open(&s, "a.h5", &base);
    for (size_t f = 0; f < 2; f++) {
        size_t assumed;
        char *path = path_of(form[f]);
        assert_true(store_write_imatrix(&s, path, true, &err));
        if (!store_from_imatrix(&again, path, &assumed, &err))
            fail_msg("%s", err.text);
        assert_int_equal(assumed, f == 0 ? 0 : 512);
        assert_int_equal(again.groups, 2);
        assert_string_equal(again.group[0].name, "blk.0.attn_in");
        assert_int_equal(again.group[0].tensors, 2);
        assert_string_equal(again.group[1].name, "blk.0.ffn_mid_exps");
        assert_false(again.info.hessians);
        for (size_t c = 0; c < STORES_COLS; c++)
            assert_true(fabsf(again.group[0].mean_square[c] - store_square(0, c, 1)) <=
                        2e-7f * store_square(0, c, 1));
        if (f == 0) { /* a .dat does not tell experts apart */
            assert_int_equal(again.group[1].matrices, STORES_EXPERTS);
            assert_int_equal(again.group[1].tokens[2], 300);
        }
        calib_store_close(&again);
        free(path);
    }
    calib_store_close(&s);
}

static void coverage_counts(void **state)
{
    (void)state;
    const uint64_t tokens[3] = {8, 0, 3};
    const float mean[3][4] = {{1, 2, 0, 1e-6f}, {0, 0, 0, 0}, {1, 1, 1, 1}};
    const struct calib_group g = {"g", NULL, 0, 4, 3, tokens, mean[0], false};
    const struct coverage c = coverage_of(&g);
    assert_int_equal(c.dead, 1);
    assert_int_equal(c.weak, 1);
    assert_int_equal(c.unseen, 1);
    assert_int_equal(c.few, 1);
    assert_true(c.least == 0 && c.most == 8);
    assert_true(fabs(c.mean_square - (3.000001 / 4 + 1) / 2) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(means_are_weighted_by_tokens),
        cmocka_unit_test(what_does_not_belong_together_is_refused),
        cmocka_unit_test(an_imatrix_and_back),
        cmocka_unit_test(coverage_counts),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
