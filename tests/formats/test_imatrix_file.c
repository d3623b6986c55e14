/* Importance matrices in both forms, built byte by byte, and as we write them. */
#include "formats/imatrix_file.h"

#include "core/map.h"
#include "formats/imatrix_write.h"
#include "tests/formats/bytes.h"
#include "tests/formats/fixture.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { F32 = 0, F16 = 1 };

static bool read_bytes(struct imatrix *m, const struct bytes *b, struct err *err)
{
    uint8_t *copy = malloc(b->size ? b->size : 1); /* exact: ASan sees a step outside */
    assert_non_null(copy);
    memcpy(copy, b->data, b->size);
    const bool ok = imatrix_read(m, copy, b->size, err);
    free(copy);
    return ok;
}

static void dat_text(struct bytes *b, const char *text)
{
    bytes_u32(b, (uint32_t)strlen(text));
    bytes_put(b, text, strlen(text));
}

/* An entry whose stored values are 3, 6, 9 ... */
static void dat_entry(struct bytes *b, const char *name, uint32_t calls, uint32_t values)
{
    dat_text(b, name);
    bytes_u32(b, calls);
    bytes_u32(b, values);
    for (uint32_t i = 0; i < values; i++)
        bytes_f32(b, 3.0f * (float)(i + 1));
}

static void a_dat_holds_means_times_calls(void **state)
{
    (void)state;
    struct bytes b = {0};
    bytes_u32(&b, 3);
    dat_entry(&b, "blk.0.ffn_up.weight", 3, 4);
    dat_entry(&b, "blk.0.attn_q.weight", 6, 2);
    dat_entry(&b, "blk.1.attn_q.weight", 0, 2); /* stock takes its values as they are */
    bytes_u32(&b, 40);
    dat_text(&b, "wiki.txt");
    struct imatrix m;
    struct err err = {0};
    assert_true(read_bytes(&m, &b, &err));
    assert_int_equal(m.entries, 3);
    assert_string_equal(m.entry[0].name, "blk.0.attn_q.weight"); /* sorted */
    assert_string_equal(m.entry[1].name, "blk.0.ffn_up.weight");
    assert_int_equal(m.entry[1].values, 4);
    assert_int_equal(m.entry[1].matrices, 1);
    assert_int_equal(m.entry[1].unseen, 0);
    for (int i = 0; i < 4; i++)
        assert_true(m.entry[1].mean[i] == (float)(i + 1));
    assert_true(m.entry[0].mean[1] == 1.0f && m.entry[0].count[0] == 6.0f);
    assert_true(m.entry[2].mean[1] == 6.0f && m.entry[2].unseen == 0);
    assert_int_equal(m.chunks, 40);
    assert_int_equal(m.datasets, 1);
    assert_string_equal(m.dataset[0].text, "wiki.txt");
    assert_ptr_equal(imatrix_find(&m, "blk.0.ffn_up.weight"), &m.entry[1]);
    assert_null(imatrix_find(&m, "blk.0.ffn_up"));
    imatrix_close(&m);
    imatrix_close(&m);
    assert_null(imatrix_find(&m, "blk.0.ffn_up.weight"));
}

static void an_old_dat_ends_with_its_entries(void **state)
{
    (void)state;
    struct bytes b = {0};
    bytes_u32(&b, 1);
    dat_entry(&b, "w", 3, 1);
    struct imatrix m;
    struct err err = {0};
    assert_true(read_bytes(&m, &b, &err));
    assert_int_equal(m.chunks, 0);
    assert_int_equal(m.datasets, 0);
    imatrix_close(&m);
}

static void info2(struct bytes *b, const char *name, uint64_t cols, uint64_t rows, uint32_t type,
                  uint64_t offset)
{
    bytes_text(b, name);
    bytes_u32(b, 2), bytes_u64(b, cols), bytes_u64(b, rows), bytes_u32(b, type);
    bytes_u64(b, offset);
}

static void imatrix_meta(struct bytes *b, uint64_t tensors)
{
    bytes_gguf(b, 3, tensors, 4);
    bytes_key(b, "general.type", META_TEXT), bytes_text(b, "imatrix");
    bytes_key(b, "imatrix.datasets", META_ARRAY), bytes_u32(b, META_TEXT), bytes_u64(b, 2);
    bytes_text(b, "a.txt"), bytes_text(b, "b.txt");
    bytes_key(b, "imatrix.chunk_count", META_U32), bytes_u32(b, 12);
    bytes_key(b, "imatrix.chunk_size", META_U32), bytes_u32(b, 512);
}

/* Sums of 3 experts x 2 columns, of which the second saw nothing. */
static void put_experts(struct bytes *b)
{
    imatrix_meta(b, 2);
    info2(b, "blk.0.ffn_up_exps.weight.in_sum2", 2, 3, F32, 0);
    info2(b, "blk.0.ffn_up_exps.weight.counts", 1, 3, F32, 32);
    bytes_pad(b, 32);
    static const float sums[] = {2, 4, 0, 0, 9, 0}, counts[] = {2, 0, 3};
    bytes_put(b, sums, sizeof sums), bytes_pad(b, 32);
    bytes_put(b, counts, sizeof counts), bytes_pad(b, 32);
}

static void a_gguf_holds_sums_and_counts(void **state)
{
    (void)state;
    struct bytes b = {0};
    struct imatrix m;
    struct err err = {0};
    put_experts(&b);
    assert_true(read_bytes(&m, &b, &err));
    assert_int_equal(m.entries, 1);
    const struct imatrix_entry *e = imatrix_find(&m, "blk.0.ffn_up_exps.weight");
    assert_non_null(e);
    assert_int_equal(e->matrices, 3);
    assert_int_equal(e->values, 6);
    assert_int_equal(e->unseen, 1);
    assert_memory_equal(e->mean, ((const float[]){1, 2, 1, 1, 3, 0}), 24);
    assert_memory_equal(e->count, ((const float[]){2, 0, 3}), 12);
    assert_int_equal(m.chunks, 12);
    assert_int_equal(m.chunk_size, 512);
    assert_int_equal(m.datasets, 2);
    assert_string_equal(m.dataset[1].text, "b.txt");
    imatrix_close(&m);
}

static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct bytes dat = {0}, gguf = {0};
    bytes_u32(&dat, 2);
    dat_entry(&dat, "first", 3, 4);
    dat_entry(&dat, "second", 3, 4);
    const size_t entries = dat.size; /* a trailer may be missing as a whole */
    bytes_u32(&dat, 1);
    dat_text(&dat, "text");
    put_experts(&gguf);
    gguf.size -= 20; /* the padding of its last tensor */
    struct imatrix m;
    struct err err = {0};
    for (size_t whole = dat.size; dat.size > 0;) {
        const bool ok = read_bytes(&m, &dat, &err);
        assert_int_equal(ok, dat.size == whole || dat.size == entries);
        imatrix_close(&m);
        dat.size--;
    }
    while (gguf.size-- > 0)
        assert_false(read_bytes(&m, &gguf, &err));
}

static void empty_file(struct bytes *b) { b->size = 0; }
static void no_entries(struct bytes *b) { bytes_u32(b, 0); }

static void a_model(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "general.type", META_TEXT), bytes_text(b, "model");
}

static void no_sums(struct bytes *b) { imatrix_meta(b, 0); }
static void text_file(struct bytes *b) { bytes_put(b, "Once upon a time there was", 26); }

static void entry_without_name(struct bytes *b)
{
    bytes_u32(b, 1);
    dat_entry(b, "", 1, 2);
}

static void entry_without_values(struct bytes *b)
{
    bytes_u32(b, 1);
    dat_entry(b, "w", 7, 0);
    bytes_u64(b, 0);
}

static void negative_calls(struct bytes *b)
{
    bytes_u32(b, 1);
    dat_entry(b, "w", UINT32_MAX, 2);
}

static void long_values(struct bytes *b)
{
    bytes_u32(b, 1);
    dat_text(b, "w");
    bytes_u32(b, 1), bytes_u32(b, UINT32_MAX), bytes_u64(b, 0);
}

static void entry_twice(struct bytes *b)
{
    bytes_u32(b, 2);
    dat_entry(b, "w", 1, 1);
    dat_entry(b, "w", 1, 1);
}

static void more_behind(struct bytes *b)
{
    bytes_u32(b, 1);
    dat_entry(b, "w", 1, 1);
    bytes_u32(b, 1), dat_text(b, "text"), bytes_u32(b, 1);
}

static void dat_value(struct bytes *b, float v)
{
    bytes_u32(b, 1);
    dat_entry(b, "w", 1, 3);
    b->size -= 4;
    bytes_f32(b, v);
}

static void dat_nan(struct bytes *b) { dat_value(b, NAN); }
static void dat_infinity(struct bytes *b) { dat_value(b, INFINITY); }
static void dat_negative(struct bytes *b) { dat_value(b, -1); }

static void sums_alone(struct bytes *b)
{
    imatrix_meta(b, 1);
    info2(b, "w.in_sum2", 2, 1, F32, 0);
    bytes_pad(b, 32), bytes_u64(b, 0);
}

static void counts_alone(struct bytes *b)
{
    imatrix_meta(b, 1);
    info2(b, "w.counts", 2, 1, F32, 0);
    bytes_pad(b, 32), bytes_u64(b, 0);
}

/* Two sums and a count of that number and type. */
static void pair(struct bytes *b, uint64_t counts, uint32_t type, float sum, float count)
{
    imatrix_meta(b, 2);
    info2(b, "w.in_sum2", 2, 1, type, 0);
    info2(b, "w.counts", 1, counts, F32, 32);
    bytes_pad(b, 32), bytes_f32(b, 1), bytes_f32(b, sum);
    bytes_pad(b, 32), bytes_f32(b, count), bytes_f32(b, count);
}

static void counts_of_another_shape(struct bytes *b) { pair(b, 2, F32, 1, 1); }
static void half_sums(struct bytes *b) { pair(b, 1, F16, 1, 1); }
static void gguf_nan(struct bytes *b) { pair(b, 1, F32, NAN, 1); }
static void gguf_negative_count(struct bytes *b) { pair(b, 1, F32, 1, -2); }
static void gguf_nan_count(struct bytes *b) { pair(b, 1, F32, 1, NAN); }
static void gguf_overflow(struct bytes *b) { pair(b, 1, F32, 1e30f, 1e-30f); }
static void gguf_nan_unseen(struct bytes *b) { pair(b, 1, F32, NAN, 0); }

static void malformed_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        void (*build)(struct bytes *b);
        enum err_code code;
        const char *text;
    } cases[] = {
        {empty_file, ERR_FORMAT, "not an importance matrix"},
        {no_entries, ERR_FORMAT, "not an importance matrix: claims 0 entries in 4 bytes"},
        {text_file, ERR_FORMAT, "not an importance matrix: claims 1701015119 entries in 26 bytes"},
        {a_model, ERR_FORMAT, "not an importance matrix: its general.type is 'model'"},
        {no_sums, ERR_FORMAT, "not an importance matrix: no tensor NAME.in_sum2"},
        {entry_without_name, ERR_FORMAT, "entry 1 of 1: its name is empty"},
        {entry_without_values, ERR_FORMAT, "entry 'w': 0 values of 7 calls"},
        {negative_calls, ERR_FORMAT, "entry 'w': 2 values of -1 calls"},
        {long_values, ERR_FORMAT, "entry 'w': the file ends inside its values"},
        {entry_twice, ERR_FORMAT, "entry 'w' is there twice"},
        {more_behind, ERR_FORMAT, "does not end with its name of the text"},
        {dat_nan, ERR_NUMERIC, "entry 'w': value 2 is nan"},
        {dat_infinity, ERR_NUMERIC, "entry 'w': value 2 is inf"},
        {dat_negative, ERR_NUMERIC, "entry 'w': value 2 is -1"},
        {sums_alone, ERR_FORMAT, "tensor 'w.in_sum2' has no 'w.counts' beside it"},
        {counts_alone, ERR_FORMAT, "tensor 'w.counts' has no 'w.in_sum2' beside it"},
        {counts_of_another_shape, ERR_FORMAT, "entry 'w': 2 counts for sums of shape 1 x 2"},
        {half_sums, ERR_FORMAT, "entry 'w': sums of type F16 and counts of type F32"},
        {gguf_nan, ERR_NUMERIC, "entry 'w': sum 1 is nan"},
        {gguf_nan_unseen, ERR_NUMERIC, "entry 'w': sum 1 is nan"},
        {gguf_negative_count, ERR_NUMERIC, "entry 'w': count 0 is -2"},
        {gguf_nan_count, ERR_NUMERIC, "entry 'w': count 0 is nan"},
        {gguf_overflow, ERR_NUMERIC, "entry 'w': value 1 is inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {0};
        struct imatrix m;
        struct err err = {0};
        cases[i].build(&b);
        assert_false(read_bytes(&m, &b, &err));
        if (err.code != cases[i].code || !strstr(err.text, cases[i].text))
            fail_msg("'%s' expected, got %d '%s'", cases[i].text, (int)err.code, err.text);
    }
}

static struct tensor weight(const char *name, int dims, const uint64_t *shape)
{
    struct tensor t = {.name = name, .dtype = dtype_get(DTYPE_F32), .dims = dims};
    for (int i = 0; i < dims; i++)
        t.shape[i] = shape[i];
    return t;
}

static void coverage_is_told_before_work_starts(void **state)
{
    (void)state;
    struct imatrix m = {0};
    struct err err = {0};
    static const float mean[] = {1, 2, 3, 4, 5, 6}, count[] = {4, 0, 2};
    const struct imatrix_entry entries[] = {
        {"experts", 3, 6, mean, count, 0}, {"plain", 1, 4, mean, count, 0},
        {"flat", 1, 6, mean, count, 0},    {"z.unused", 1, 1, mean, count, 0},
        {"unused", 1, 1, mean, count, 0},
    };
    for (size_t i = 0; i < 5; i++)
        assert_true(imatrix_add(&m, &entries[i], &err));
    assert_true(imatrix_sort(&m, &err));
    struct tensor experts = weight("experts", 3, (const uint64_t[]){3, 7, 2});
    struct tensor flat = weight("flat", 3, (const uint64_t[]){3, 5, 2}); /* from a .dat */
    struct tensor plain = weight("plain", 2, (const uint64_t[]){9, 4});
    struct tensor other = weight("other", 2, (const uint64_t[]){9, 4});
    const struct tensor *const list[] = {&other, &experts, &flat, &plain};
    struct imatrix_coverage c = {0};
    assert_true(imatrix_check(&m, list, 4, &c, &err));
    assert_int_equal(c.found, 3);
    assert_int_equal(c.missing, 1);
    assert_string_equal(c.first_missing, "other");
    assert_int_equal(c.unused, 2);
    assert_string_equal(c.first_unused, "unused");
    assert_int_equal(c.unseen, 1);

    plain.shape[1] = 5;
    assert_false(imatrix_check(&m, list, 4, &c, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    assert_string_equal(err.text, "tensor 'plain' of shape 9 x 5 needs 5 values of importance, its "
                                  "entry has 4");
    plain.shape[1] = 4;
    experts.shape[0] = 4;
    assert_false(imatrix_check(&m, list, 4, &c, &err));
    assert_non_null(strstr(err.text, "needs 8 values of importance, its entry has 6"));
    imatrix_close(&m);
}

static void values_that_are_no_mean_square_are_not_taken(void **state)
{
    (void)state;
    struct imatrix m = {0};
    struct err err = {0};
    const float mean[] = {1, NAN}, count[] = {1};
    assert_false(imatrix_add(&m, &(struct imatrix_entry){"w", 1, 2, mean, count, 0}, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_string_equal(err.text, "'w': value 1 is nan, which is no mean square");
    assert_true(imatrix_add(&m, &(struct imatrix_entry){"w", 1, 1, mean, count, 0}, &err));
    assert_true(imatrix_add(&m, &(struct imatrix_entry){"w", 1, 1, mean, count, 0}, &err));
    assert_false(imatrix_sort(&m, &err));
    assert_int_equal(err.code, ERR_FORMAT);
    imatrix_close(&m);
}

static void assert_file_is(const char *path, const struct bytes *b)
{
    struct map map;
    struct err err = {0};
    assert_true(map_open(&map, path, &err));
    assert_int_equal(map.size, b->size);
    assert_memory_equal(map.data, b->data, b->size);
    map_close(&map);
}

static void a_gguf_is_written_as_it_was_read(void **state)
{
    struct scratch *s = *state;
    struct bytes b = {0};
    struct imatrix m;
    struct err err = {0};
    put_experts(&b);
    assert_true(read_bytes(&m, &b, &err));
    assert_true(imatrix_write_gguf(&m, scratch_path(s, "i.gguf"), false, &err));
    /* The expert that saw nothing: 1 * 0. */
    assert_file_is(s->path, &b);
    assert_false(imatrix_write_gguf(&m, s->path, false, &err));
    assert_int_equal(err.code, ERR_USAGE);
    imatrix_close(&m);
    assert_int_equal(fixture_files(s), 1);
}

static void a_dat_is_written_as_it_was_read(void **state)
{
    struct scratch *s = *state;
    struct bytes b = {0};
    struct imatrix m;
    struct err err = {0};
    bytes_u32(&b, 2);
    dat_entry(&b, "a", 3, 4);
    dat_entry(&b, "b", 3, 2);
    bytes_u32(&b, 3);
    dat_text(&b, "text");
    assert_true(read_bytes(&m, &b, &err));
    assert_true(imatrix_write_dat(&m, scratch_path(s, "i.dat"), false, &err));
    assert_file_is(s->path, &b);
    imatrix_close(&m);
}

static void the_forms_agree(void **state)
{
    struct scratch *s = *state;
    struct bytes b = {0};
    struct imatrix m, back;
    struct err err = {0};
    put_experts(&b);
    assert_true(read_bytes(&m, &b, &err));
    assert_true(imatrix_write_dat(&m, scratch_path(s, "i.dat"), false, &err));
    assert_true(imatrix_open(&back, s->path, &err));
    assert_int_equal(back.entries, 1);
    assert_int_equal(back.chunks, 12);
    assert_int_equal(back.entry[0].values, 6);
    assert_memory_equal(back.entry[0].mean, m.entry[0].mean, 24);
    assert_true(imatrix_write_gguf(&back, scratch_path(s, "i.gguf"), false, &err));
    imatrix_close(&back);
    assert_true(imatrix_open(&back, s->path, &err));
    assert_memory_equal(back.entry[0].mean, m.entry[0].mean, 24);
    assert_string_equal(back.dataset[0].text, "a.txt");
    imatrix_close(&back);
    imatrix_close(&m);
}

static void a_sum_that_is_no_float_is_not_written(void **state)
{
    struct scratch *s = *state;
    struct imatrix m = {.chunks = 1000};
    struct err err = {0};
    const float mean[] = {1, 1e38f}, count[] = {1000};
    assert_true(imatrix_add(&m, &(struct imatrix_entry){"w", 1, 2, mean, count, 0}, &err));
    assert_false(imatrix_write_dat(&m, scratch_path(s, "i"), false, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_false(imatrix_write_gguf(&m, s->path, false, &err));
    assert_int_equal(err.code, ERR_NUMERIC);
    assert_non_null(strstr(err.text, "i: entry 'w': the sum of value 1, 1e+38, is not finite"));
    assert_int_equal(fixture_files(s), 0);
    imatrix_close(&m);
}

static void errors_name_the_file(void **state)
{
    struct scratch *s = *state;
    struct imatrix m;
    struct err err = {0};
    assert_false(imatrix_open(&m, scratch_path(s, "missing.dat"), &err));
    assert_int_equal(err.code, ERR_IO);
    bytes_save(&(struct bytes){0}, s->path);
    assert_false(imatrix_open(&m, s->path, &err));
    assert_non_null(strstr(err.text, "missing.dat: not an importance matrix"));
    struct bytes b = {0};
    dat_nan(&b);
    bytes_save(&b, s->path);
    assert_false(imatrix_open(&m, s->path, &err));
    assert_non_null(strstr(err.text, "missing.dat: entry 'w': value 2 is nan"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_dat_holds_means_times_calls),
        cmocka_unit_test(an_old_dat_ends_with_its_entries),
        cmocka_unit_test(a_gguf_holds_sums_and_counts),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(malformed_files_are_refused_with_a_sentence),
        cmocka_unit_test(coverage_is_told_before_work_starts),
        cmocka_unit_test(values_that_are_no_mean_square_are_not_taken),
        FIXTURE_TEST(a_gguf_is_written_as_it_was_read),
        FIXTURE_TEST(a_dat_is_written_as_it_was_read),
        FIXTURE_TEST(the_forms_agree),
        FIXTURE_TEST(a_sum_that_is_no_float_is_not_written),
        FIXTURE_TEST(errors_name_the_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
