/* A calibration is read as it was written; what is no calibration is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/map.h"
#include "core/mem.h"
#include "tests/formats/stores.h"

static const struct store_options plain = {"feed", "llama", true, 640, 1.5f};

static void is_read_as_it_was_written(void **state)
{
    (void)state;
    struct err err = {0};
    struct calib_store s;
    char *path = path_of("a.h5");
    float *upper = mem_alloc(STORES_VALUES, sizeof *upper);
    assert_true(store_write(path, &plain, &err));
    assert_true(calib_store_probe(path));
    if (!calib_store_open(&s, path, &err))
        fail_msg("%s", err.text);
    assert_string_equal(s.info.quern, "1.2.3");
    assert_string_equal(s.info.architecture, "llama");
    assert_string_equal(s.info.model, "feed");
    assert_string_equal(s.info.through, "");
    assert_string_equal(s.info.tokenizer, "gpt2/x");
    assert_int_equal(s.info.texts, 2);
    assert_string_equal(s.info.text[1].name, "a second one");
    assert_string_equal(s.info.text[1].sha256, "");
    assert_true(s.info.hessians && s.info.context == 64 && s.info.windows == 10);
    assert_int_equal(s.groups, 2);
    assert_string_equal(s.group[0].name, "blk.0.attn_in");
    assert_ptr_equal(calib_store_find(&s, "blk.0.attn_k.weight"), &s.group[0]);
    assert_ptr_equal(calib_store_find(&s, "blk.0.ffn_down_exps.weight"), &s.group[1]);
    assert_null(calib_store_find(&s, "blk.0.attn_v.weight"));
    for (size_t g = 0; g < 2; g++)
        for (size_t m = 0; m < s.group[g].matrices; m++) {
            assert_int_equal(s.group[g].tokens[m], 640 * (m + 1));
            assert_true(calib_store_hessian(&s, &s.group[g], m, upper, &err));
            size_t at = 0;
            for (size_t r = 0; r < STORES_COLS; r++)
                for (size_t c = r; c < STORES_COLS; c++, at++)
                    assert_true(upper[at] == store_value(m, r, c, 1.5f));
        }
    assert_int_equal(s.group[1].matrices, STORES_EXPERTS);
    calib_store_close(&s);
    calib_store_close(&s);
    free(upper);
    free(path);
}

static void same_content_same_bytes(void **state)
{
    (void)state;
    struct err err = {0};
    struct map a, b;
    char *one = path_of("one.h5"), *two = path_of("two.h5");
    assert_true(store_write(one, &plain, &err) && store_write(two, &plain, &err));
    assert_true(map_open(&a, one, &err) && map_open(&b, two, &err));
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    map_close(&a);
    map_close(&b);
    free(one);
    free(two);
}

/* A file that ends anywhere, or in which a byte is another, is refused or still keeps its promises. */
static void damage_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct map whole;
    const struct store_options small = {"feed", "llama", false, 640, 1.5f};
    char *path = path_of("whole.h5"), *bad = path_of("bad.h5");
    assert_true(store_write(path, &small, &err) && map_open(&whole, path, &err));
    for (size_t size = 0; size < whole.size; size += size < 3000 ? 37 : 501) {
        struct calib_store s;
        scratch_write(&scratch, "bad.h5", whole.data, size);
        err = (struct err){0};
        assert_false(calib_store_open(&s, bad, &err));
        assert_non_null(strstr(err.text, "bad.h5: "));
    }
    map_close(&whole);
    free(path);
    free(bad);
}

static void what_is_none_is_named(void **state)
{
    (void)state;
    struct calib_store s;
    struct err err = {0};
    scratch_text(&scratch, "text", "no calibration at all\n");
    assert_false(calib_store_probe(scratch.path));
    assert_false(calib_store_open(&s, scratch.path, &err));
    assert_non_null(strstr(err.text, "is no HDF5 file"));
    assert_false(calib_store_open(&s, "nowhere.h5", &err));
    assert_int_equal(err.code, ERR_IO);
    assert_false(calib_store_open(&s, scratch.folder, &err));
}

/* The Hessian must have the mean squares in its diagonal. */
static bool give_ones(void *arg, size_t matrix, size_t first, size_t count, float *out,
                      struct err *err)
{
    (void)arg;
    (void)matrix;
    (void)first;
    for (size_t i = 0; i < count; i++)
        out[i] = 1;
    return arg == NULL || err_set(err, ERR_NUMERIC, "no values today");
}

static void write_odd(const char *path, void *arg, struct err *err)
{
    static const char *const name[] = {"blk.0.attn_q.weight"};
    const uint64_t tokens = 5;
    const float mean[2] = {1, 2};
    const struct calib_info info = {"", "", "", "", "", "", "", NULL, 0, 0, 0, 0, true};
    const struct calib_group g = {"odd", name, 1, 2, 1, &tokens, mean, false};
    const struct calib_hessian h = {give_ones, arg};
    struct calib_writer w;
    assert_true(calib_writer_open(&w, path, true, &info, err));
    if (calib_writer_add(&w, &g, &h, err))
        assert_true(calib_writer_commit(&w, err));
    calib_writer_close(&w);
}

static void a_diagonal_that_is_not_the_means_is_refused(void **state)
{
    (void)state;
    struct err err = {0};
    struct calib_store s;
    float upper[3];
    char *path = path_of("odd.h5");
    write_odd(path, NULL, &err);
    assert_true(calib_store_open(&s, path, &err));
    assert_false(calib_store_hessian(&s, &s.group[0], 0, upper, &err));
    assert_non_null(strstr(err.text, "odd.h5: group 'odd': column 1"));
    calib_store_close(&s);
    free(path);
}

static void a_giver_that_fails_is_quoted_and_nothing_is_left(void **state)
{
    (void)state;
    struct err err = {0};
    int any = 0;
    char *path = path_of("none.h5");
    write_odd(path, &any, &err);
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_string_equal(err.text, "no values today");
    assert_int_not_equal(access(path, F_OK), 0);
    assert_int_not_equal(access(scratch_path(&scratch, "none.h5.tmp"), F_OK), 0);
    free(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_read_as_it_was_written),
        cmocka_unit_test(same_content_same_bytes),
        cmocka_unit_test(damage_is_refused),
        cmocka_unit_test(what_is_none_is_named),
        cmocka_unit_test(a_diagonal_that_is_not_the_means_is_refused),
        cmocka_unit_test(a_giver_that_fails_is_quoted_and_nothing_is_left),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
