/* Split sets of GGUF files: written, opened from any of their files, merged; and broken sets. */
#include "formats/gguf_split.h"

#include "core/map.h"
#include "core/stop.h"
#include "formats/gguf_read.h"
#include "formats/gguf_write.h"
#include "tests/formats/bytes.h"
#include "tests/formats/fixture.h"
#include "tests/formats/same_file.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>

#include <cmocka.h>

enum { TENSORS = 5 };

/* A model of five tensors of 1 to 5 times 32 bytes, less 4: 28, 60 ... 156. */
static void write_model(const char *path)
{
    struct tensor tensor[TENSORS];
    const struct tensor *list[TENSORS];
    static const char *const names[TENSORS] = {"a", "b", "c", "d", "e"};
    static const char *const texts[] = {"<s>", "</s>"};
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    meta_set_text(&meta, "general.architecture", "llama");
    meta_set_u32(&meta, "general.alignment", 64);
    meta_set_texts(&meta, "tokens", (const struct meta_text[]){{texts[0], 3}, {texts[1], 4}}, 2);
    for (int i = 0; i < TENSORS; i++) {
        tensor[i] = (struct tensor){.name = names[i],
                                    .dtype = dtype_get(DTYPE_F32),
                                    .dims = 1,
                                    .shape = {8 * ((uint64_t)i + 1) - 1},
                                    .bytes = 32 * ((size_t)i + 1) - 4};
        list[i] = &tensor[i];
    }
    assert_true(gguf_write_open(&w, path, true, &meta, list, TENSORS, &err));
    for (size_t i = 0; i < TENSORS; i++)
        for (size_t at = 0; at < tensor[i].bytes; at++)
            assert_true(gguf_write_data(&w, i, at, &(uint8_t){(uint8_t)(16 * i + at)}, 1, &err));
    assert_true(gguf_write_commit(&w, &err));
    gguf_write_close(&w);
    meta_close(&meta);
}

static void join(char path[512], const struct scratch *s, const char *name)
{
    snprintf(path, 512, "%s/%s", s->folder, name);
}

/* Splits a model into the scratch folder's m-0000i-of-0000n.gguf; returns n. */
static size_t split(const struct scratch *s, uint64_t max_bytes, size_t max_tensors)
{
    char source[512], prefix[512];
    struct checkpoint c;
    struct err err = {0};
    size_t files = 0;
    join(source, s, "source.gguf");
    join(prefix, s, "m");
    write_model(source);
    assert_true(checkpoint_open(&c, source, &err));
    assert_true(gguf_split_write(&c, prefix, max_bytes, max_tensors, false, NULL, &files, &err));
    checkpoint_close(&c);
    return files;
}

static void assert_part(const struct scratch *s, const char *name, uint64_t no, uint64_t count,
                        const char *tensors, size_t pairs)
{
    char path[512];
    struct map map;
    struct gguf_header h;
    struct err err = {0};
    uint64_t v = 99;
    join(path, s, name);
    assert_true(map_open(&map, path, &err));
    assert_true(gguf_read_header(&h, map.data, map.size, &err));
    assert_int_equal(h.meta.pairs, pairs);
    assert_true(meta_get_u64(&h.meta, "split.no", &v) && v == no);
    assert_true(meta_get_u64(&h.meta, "split.count", &v) && v == count);
    assert_true(meta_get_u64(&h.meta, "split.tensors.count", &v) && v == TENSORS);
    assert_int_equal(meta_find(&h.meta, "split.no")->type, META_U16);
    assert_int_equal(meta_find(&h.meta, "split.count")->type, META_U16);
    assert_int_equal(meta_find(&h.meta, "split.tensors.count")->type, META_I32);
    assert_int_equal(h.tensors, strlen(tensors));
    for (size_t i = 0; i < h.tensors; i++)
        assert_int_equal(h.tensor[i].name[0], tensors[i]);
    gguf_header_close(&h);
    map_close(&map);
}

static void tensors_are_dealt_by_number(void **state)
{
    const struct scratch *s = *state;
    assert_int_equal(split(s, 0, 2), 3);
    assert_int_equal(fixture_files(s), 4);
    assert_part(s, "m-00001-of-00003.gguf", 0, 3, "ab", 6);
    assert_part(s, "m-00002-of-00003.gguf", 1, 3, "cd", 3);
    assert_part(s, "m-00003-of-00003.gguf", 2, 3, "e", 3);
}

/* Padded to 32 the tensors have 32, 64, 96, 128, 160 bytes. */
static void tensors_are_dealt_by_size(void **state)
{
    const struct scratch *s = *state;
    assert_int_equal(split(s, 192, 0), 3);
    assert_part(s, "m-00001-of-00003.gguf", 0, 3, "abc", 6);
    assert_part(s, "m-00002-of-00003.gguf", 1, 3, "d", 3);
    assert_part(s, "m-00003-of-00003.gguf", 2, 3, "e", 3);
}

static void a_tensor_above_the_limit_stands_alone(void **state)
{
    assert_int_equal(split(*state, 1, 0), TENSORS);
    assert_part(*state, "m-00001-of-00005.gguf", 0, 5, "a", 6);
}

static void both_limits_hold(void **state)
{
    assert_int_equal(split(*state, 192, 2), 4);
    assert_part(*state, "m-00001-of-00004.gguf", 0, 4, "ab", 6); /* two */
    assert_part(*state, "m-00002-of-00004.gguf", 1, 4, "c", 3);  /* 224 bytes with d */
}

static void any_file_opens_the_set_and_a_merge_is_the_source(void **state)
{
    static const char *const parts[] = {"m-00001-of-00003.gguf", "m-00002-of-00003.gguf",
                                        "m-00003-of-00003.gguf"};
    struct scratch *s = *state;
    char path[512], merged[512], source[512];
    struct err err = {0};
    assert_int_equal(split(s, 0, 2), 3);
    join(merged, s, "merged.gguf");
    join(source, s, "source.gguf");
    for (int i = 0; i < 3; i++) {
        struct checkpoint c;
        join(path, s, parts[i]);
        if (!checkpoint_open(&c, path, &err))
            fail_msg("%s", err.text);
        assert_int_equal(c.tensors, TENSORS);
        assert_int_equal(c.maps, 3);
        assert_int_equal(c.meta.pairs, 3);
        assert_string_equal(meta_get_text(&c.meta, "general.architecture"), "llama");
        assert_string_equal(c.tensor[4].name, "e");
        assert_int_equal(c.tensor[4].data[155], (uint8_t)(64 + 155));
        assert_true(gguf_merge_write(&c, merged, true, NULL, &err));
        checkpoint_close(&c);
        assert_same_file(merged, source);
    }
}

static void count_bytes(struct progress *p, const char *what)
{
    assert_non_null(what);
    ++*(int *)p->context;
}

static void progress_is_told(void **state)
{
    struct scratch *s = *state;
    char source[512], merged[512];
    int calls = 0;
    struct progress p = {.show = count_bytes, .context = &calls};
    struct checkpoint c;
    struct err err = {0};
    join(source, s, "source.gguf");
    join(merged, s, "merged.gguf");
    write_model(source);
    assert_true(checkpoint_open(&c, source, &err));
    assert_true(gguf_merge_write(&c, merged, false, &p, &err));
    checkpoint_close(&c);
    assert_true(calls >= TENSORS);
    assert_int_equal(p.total, 28 + 60 + 92 + 124 + 156);
    assert_int_equal(p.done, p.total);
}

static void assert_not_opened(const struct scratch *s, const char *name, enum err_code code,
                              const char *text)
{
    char path[512];
    struct checkpoint c;
    struct err err = {0};
    join(path, s, name);
    assert_false(checkpoint_open(&c, path, &err));
    if (err.code != code || !strstr(err.text, text))
        fail_msg("'%s' expected, got %d '%s'", text, (int)err.code, err.text);
}

static void a_missing_file_is_named(void **state)
{
    struct scratch *s = *state;
    split(s, 0, 2);
    unlink(scratch_path(s, "m-00002-of-00003.gguf"));
    assert_not_opened(s, "m-00001-of-00003.gguf", ERR_IO, "m-00002-of-00003.gguf is missing");
    assert_not_opened(s, "m-00003-of-00003.gguf", ERR_IO, "m-00002-of-00003.gguf is missing");
}

static void move(const struct scratch *s, const char *from, const char *to)
{
    char a[512], b[512];
    join(a, s, from);
    join(b, s, to);
    assert_int_equal(rename(a, b), 0);
}

static void files_that_do_not_belong_together_are_refused(void **state)
{
    struct scratch *s = *state;
    split(s, 0, 2);
    move(s, "m-00002-of-00003.gguf", "other.gguf");
    assert_not_opened(s, "other.gguf", ERR_FORMAT,
                      "file 2 of 3 of a split model, but its name does not say so");
    move(s, "m-00003-of-00003.gguf", "m-00002-of-00003.gguf");
    move(s, "other.gguf", "m-00003-of-00003.gguf");
    assert_not_opened(s, "m-00001-of-00003.gguf", ERR_FORMAT,
                      "m-00002-of-00003.gguf: named as file 2 of 3, but says that it is file 3 "
                      "of 3");
    move(s, "m-00001-of-00003.gguf", "n-00001-of-00002.gguf");
    move(s, "m-00003-of-00003.gguf", "n-00002-of-00002.gguf");
    assert_not_opened(s, "n-00002-of-00002.gguf", ERR_FORMAT,
                      "n-00001-of-00002.gguf: named as file 1 of 2, but says that it is file 1 "
                      "of 3");
    move(s, "source.gguf", "n-00001-of-00002.gguf");
    assert_not_opened(s, "n-00001-of-00002.gguf", ERR_FORMAT,
                      "named as file 1 of 2, but has no split.count");
}

static void put_split(struct bytes *b, uint16_t no, const char *tensor, uint32_t tensors)
{
    bytes_gguf(b, 3, 1, 3);
    bytes_key(b, "split.no", META_U16), bytes_uint(b, no, 2);
    bytes_key(b, "split.count", META_U16), bytes_uint(b, 2, 2);
    bytes_key(b, "split.tensors.count", META_I32), bytes_u32(b, tensors);
    bytes_info(b, tensor, 1, 0, 0);
    bytes_pad(b, 32);
    bytes_u32(b, 0);
}

static void a_set_with_other_tensors_than_it_says_is_refused(void **state)
{
    struct scratch *s = *state;
    struct bytes one = {0}, two = {0};
    put_split(&one, 0, "one", 3);
    put_split(&two, 1, "two", 3);
    bytes_save(&one, scratch_path(s, "m-00001-of-00002.gguf"));
    bytes_save(&two, scratch_path(s, "m-00002-of-00002.gguf"));
    assert_not_opened(s, "m-00002-of-00002.gguf", ERR_FORMAT,
                      "2 tensors in 2 files, but split.tensors.count is 3");
}

static void a_tensor_in_two_files_is_refused(void **state)
{
    struct scratch *s = *state;
    struct bytes one = {0}, two = {0};
    put_split(&one, 0, "same", 2);
    put_split(&two, 1, "same", 2);
    bytes_save(&one, scratch_path(s, "m-00001-of-00002.gguf"));
    bytes_save(&two, scratch_path(s, "m-00002-of-00002.gguf"));
    assert_not_opened(s, "m-00001-of-00002.gguf", ERR_FORMAT, "'same'");
}

/* A merge by stock llama.cpp leaves split.count = 0. */
static void a_merged_file_is_whole(void **state)
{
    struct scratch *s = *state;
    struct bytes b = {0};
    struct checkpoint c;
    struct err err = {0};
    bytes_gguf(&b, 3, 0, 2);
    bytes_key(&b, "split.no", META_U16), bytes_uint(&b, 0, 2);
    bytes_key(&b, "split.count", META_U16), bytes_uint(&b, 0, 2);
    bytes_save(&b, scratch_path(s, "merged.gguf"));
    assert_true(checkpoint_open(&c, s->path, &err));
    assert_int_equal(c.meta.pairs, 0);
    checkpoint_close(&c);
}

static void no_file_appears_where_one_cannot(void **state)
{
    struct scratch *s = *state;
    char source[512], prefix[512];
    struct checkpoint c;
    struct err err = {0};
    size_t files = 7;
    join(source, s, "source.gguf");
    join(prefix, s, "m");
    write_model(source);
    assert_true(checkpoint_open(&c, source, &err));

    assert_false(gguf_split_write(&c, prefix, 0, 0, false, NULL, &files, &err));
    assert_int_equal(err.code, ERR_USAGE);

    bytes_save(&(struct bytes){0}, scratch_path(s, "m-00003-of-00003.gguf"));
    assert_false(gguf_split_write(&c, prefix, 0, 2, false, NULL, &files, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_int_equal(fixture_files(s), 2); /* the source, and what was there */
    assert_true(gguf_split_write(&c, prefix, 0, 2, true, NULL, &files, &err));
    assert_int_equal(files, 3);
    assert_int_equal(fixture_files(s), 4);

    join(prefix, s, "no/such/folder");
    assert_false(gguf_split_write(&c, prefix, 0, 2, false, NULL, &files, &err));
    assert_int_equal(err.code, ERR_IO);
    checkpoint_close(&c);
}

/* The last of all: nobody takes the request back. */
static void a_stop_leaves_nothing(void **state)
{
    struct scratch *s = *state;
    char source[512], prefix[512];
    struct checkpoint c;
    struct err err = {0};
    size_t files = 7;
    join(source, s, "source.gguf");
    join(prefix, s, "m");
    write_model(source);
    assert_true(checkpoint_open(&c, source, &err));
    stop_on_signals();
    raise(SIGINT);
    assert_false(gguf_split_write(&c, prefix, 0, 2, false, NULL, &files, &err));
    assert_int_equal(err.code, ERR_STOPPED);
    assert_false(gguf_merge_write(&c, prefix, false, NULL, &err));
    assert_int_equal(err.code, ERR_STOPPED);
    assert_int_equal(fixture_files(s), 1);
    checkpoint_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(tensors_are_dealt_by_number),
        FIXTURE_TEST(tensors_are_dealt_by_size),
        FIXTURE_TEST(a_tensor_above_the_limit_stands_alone),
        FIXTURE_TEST(both_limits_hold),
        FIXTURE_TEST(any_file_opens_the_set_and_a_merge_is_the_source),
        FIXTURE_TEST(progress_is_told),
        FIXTURE_TEST(a_missing_file_is_named),
        FIXTURE_TEST(files_that_do_not_belong_together_are_refused),
        FIXTURE_TEST(a_set_with_other_tensors_than_it_says_is_refused),
        FIXTURE_TEST(a_tensor_in_two_files_is_refused),
        FIXTURE_TEST(a_merged_file_is_whole),
        FIXTURE_TEST(no_file_appears_where_one_cannot),
        FIXTURE_TEST(a_stop_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
