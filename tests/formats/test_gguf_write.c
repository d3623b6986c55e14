/* The GGUF writer: its bytes against files built by hand, and what it refuses. */
#include "formats/gguf_write.h"

#include "core/map.h"
#include "formats/gguf_read.h"
#include "tests/formats/bytes.h"
#include "tests/formats/fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

static struct tensor make(const char *name, enum dtype_id id, int dims, const uint64_t *shape)
{
    struct tensor t = {.name = name, .dtype = dtype_get(id), .dims = dims};
    for (int i = 0; i < dims; i++)
        t.shape[i] = shape[i];
    const bool ok = tensor_size(&t, &t.bytes, NULL);
    assert_true(ok);
    return t;
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

/* What the writer makes of one key and two tensors, the second written first and in pieces. */
static void bytes_are_those_of_the_format(void **state)
{
    struct scratch *s = *state;
    const char *path = scratch_path(s, "a.gguf");
    const struct tensor a = make("a", DTYPE_F32, 2, (const uint64_t[]){2, 3});
    const struct tensor b = make("b", DTYPE_I8, 1, (const uint64_t[]){5});
    const struct tensor *const list[] = {&a, &b};
    const float values[] = {0, 1, 2, 3, 4, 5};
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    uint64_t size = 0;
    meta_set_text(&meta, "general.name", "x");
    assert_true(gguf_write_size(&meta, list, 2, &size, &err));
    assert_true(gguf_write_open(&w, path, false, &meta, list, 2, &err));
    assert_true(gguf_write_data(&w, 1, 3, "45", 2, &err));
    assert_true(gguf_write_data(&w, 1, 0, "123", 3, &err));
    assert_true(gguf_write_data(&w, 0, 0, values, sizeof values, &err));
    assert_int_equal(w.bytes, size);
    assert_true(gguf_write_commit(&w, &err));
    gguf_write_close(&w);
    gguf_write_close(&w);
    meta_close(&meta);

    struct bytes want = {0};
    bytes_gguf(&want, 3, 2, 1);
    bytes_key(&want, "general.name", META_TEXT), bytes_text(&want, "x");
    bytes_text(&want, "a"), bytes_u32(&want, 2), bytes_u64(&want, 3), bytes_u64(&want, 2);
    bytes_u32(&want, 0), bytes_u64(&want, 0);
    bytes_info(&want, "b", 5, 24, 32);
    bytes_pad(&want, 32);
    bytes_put(&want, values, sizeof values), bytes_pad(&want, 32);
    bytes_put(&want, "12345", 5), bytes_pad(&want, 32);
    assert_file_is(path, &want);
    assert_int_equal(want.size, size);
    assert_int_equal(fixture_files(s), 1);
}

static void put_everything(struct meta *m)
{
    static const struct meta_text texts[] = {{"one", 3}, {"t\0wo", 4}, {"", 0}};
    static const uint8_t bools[] = {1, 0, 1};
    static const uint64_t longs[] = {1, UINT64_MAX};
    meta_set(m, "u8", &(struct meta_value){.type = META_U8, .as.u = 255});
    meta_set(m, "i8", &(struct meta_value){.type = META_I8, .as.i = -128});
    meta_set_u16(m, "u16", 65535);
    meta_set(m, "i16", &(struct meta_value){.type = META_I16, .as.i = -2});
    meta_set_u32(m, "u32", 0xffffffff);
    meta_set_i32(m, "i32", INT32_MIN);
    meta_set_f32(m, "f32", 0.1f);
    meta_set_bool(m, "bool", true);
    meta_set(m, "text", &(struct meta_value){.type = META_TEXT, .as.text = {"a\0b", 3}});
    meta_set(m, "u64", &(struct meta_value){.type = META_U64, .as.u = UINT64_MAX});
    meta_set(m, "i64", &(struct meta_value){.type = META_I64, .as.i = INT64_MIN});
    meta_set(m, "f64", &(struct meta_value){.type = META_F64, .as.f = 0.1});
    meta_set_texts(m, "texts", texts, 3);
    meta_set_i32s(m, "i32s", (const int32_t[]){-1, 2}, 2);
    meta_set_f32s(m, "f32s", (const float[]){0.1f, -0.0f}, 2);
    meta_set(
        m, "bools",
        &(struct meta_value){.type = META_ARRAY, .elem = META_BOOL, .count = 3, .as.array = bools});
    meta_set(
        m, "u64s",
        &(struct meta_value){.type = META_ARRAY, .elem = META_U64, .count = 2, .as.array = longs});
    meta_set_u32(m, "general.alignment", 128);
}

static void assert_values_equal(const struct meta_value *a, const struct meta_value *b)
{
    assert_int_equal(a->type, b->type);
    if (a->type == META_TEXT) {
        assert_int_equal(a->as.text.length, b->as.text.length);
        assert_memory_equal(a->as.text.text, b->as.text.text, a->as.text.length + 1);
    } else if (a->type != META_ARRAY) {
        assert_memory_equal(&a->as, &b->as, 8);
    } else {
        assert_int_equal(a->elem, b->elem);
        assert_int_equal(a->count, b->count);
        const struct meta_text *x = a->as.array, *y = b->as.array;
        if (a->elem != META_TEXT)
            assert_memory_equal(a->as.array, b->as.array, a->count * meta_type_bytes(a->elem));
        for (size_t i = 0; a->elem == META_TEXT && i < a->count; i++)
            assert_memory_equal(x[i].text, y[i].text, x[i].length + 1);
    }
}

static void what_is_written_is_read_back(void **state)
{
    struct scratch *s = *state;
    const char *path = scratch_path(s, "a.gguf");
    static const uint64_t shape[] = {2, 3, 256}, one[] = {1};
    struct tensor tensor[DTYPE_COUNT];
    const struct tensor *list[DTYPE_COUNT];
    size_t tensors = 0;
    for (int i = 0; i < DTYPE_COUNT; i++) {
        const struct dtype *d = dtype_get((enum dtype_id)i);
        if (d->gguf < 0)
            continue;
        tensor[tensors] =
            make(d->name, d->id, d->block_elems == 1 ? 1 : 3, d->block_elems == 1 ? one : shape);
        list[tensors] = &tensor[tensors];
        tensors++;
    }
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    put_everything(&meta);
    assert_true(gguf_write_open(&w, path, false, &meta, list, tensors, &err));
    for (size_t i = 0; i < tensors; i++)
        for (size_t at = 0; at < tensor[i].bytes; at++)
            assert_true(gguf_write_data(&w, i, at, &(uint8_t){(uint8_t)(i + at)}, 1, &err));
    assert_true(gguf_write_commit(&w, &err));

    struct map map;
    struct gguf_header h;
    assert_true(map_open(&map, path, &err));
    assert_true(gguf_read_header(&h, map.data, map.size, &err));
    assert_int_equal(h.alignment, 128);
    assert_int_equal(h.meta.pairs, meta.pairs);
    for (size_t i = 0; i < meta.pairs; i++) {
        assert_string_equal(h.meta.pair[i].key, meta.pair[i].key);
        assert_values_equal(&h.meta.pair[i].value, &meta.pair[i].value);
    }
    assert_int_equal(h.tensors, tensors);
    for (size_t i = 0; i < tensors; i++) {
        const struct tensor *t = &h.tensor[i];
        assert_string_equal(t->name, tensor[i].name);
        assert_ptr_equal(t->dtype, tensor[i].dtype);
        assert_int_equal(t->dims, tensor[i].dims);
        assert_memory_equal(t->shape, tensor[i].shape, sizeof t->shape);
        assert_int_equal(t->bytes, tensor[i].bytes);
        assert_int_equal((t->data - map.data) % 128, 0);
        for (size_t at = 0; at < t->bytes; at++)
            assert_int_equal(t->data[at], (uint8_t)(i + at));
    }
    gguf_header_close(&h);
    map_close(&map);
    gguf_write_close(&w);
    meta_close(&meta);
}

static void a_file_without_tensors_is_one(void **state)
{
    struct scratch *s = *state;
    const char *path = scratch_path(s, "vocab.gguf");
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    assert_true(gguf_write_open(&w, path, false, &meta, NULL, 0, &err));
    assert_true(gguf_write_commit(&w, &err));
    gguf_write_close(&w);
    struct bytes want = {0};
    bytes_gguf(&want, 3, 0, 0);
    bytes_pad(&want, 32);
    assert_file_is(path, &want);
}

static void nothing_is_left_of_a_file_that_was_given_up(void **state)
{
    struct scratch *s = *state;
    const struct tensor t = make("t", DTYPE_F32, 1, (const uint64_t[]){4});
    const struct tensor *const list[] = {&t};
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    assert_true(gguf_write_open(&w, scratch_path(s, "a.gguf"), false, &meta, list, 1, &err));
    assert_true(gguf_write_data(&w, 0, 0, &(float){1}, 4, &err));
    gguf_write_close(&w);
    assert_int_equal(fixture_files(s), 0);
}

static void a_file_that_exists_stays_unless_forced(void **state)
{
    struct scratch *s = *state;
    const char *path = scratch_path(s, "a.gguf");
    struct bytes before = {0};
    bytes_put(&before, "before", 6);
    bytes_save(&before, path);
    struct meta meta = {0};
    struct gguf_writer w;
    struct err err = {0};
    assert_false(gguf_write_open(&w, path, false, &meta, NULL, 0, &err));
    assert_int_equal(err.code, ERR_USAGE);
    assert_file_is(path, &before);
    assert_true(gguf_write_open(&w, path, true, &meta, NULL, 0, &err));
    assert_file_is(path, &before);
    assert_true(gguf_write_commit(&w, &err));
    gguf_write_close(&w);
    assert_int_equal(fixture_files(s), 1);
}

static void assert_refused(struct scratch *s, const struct meta *meta,
                           const struct tensor *const *list, size_t tensors, enum err_code code,
                           const char *text)
{
    struct gguf_writer w;
    struct err err = {0};
    uint64_t size;
    assert_false(gguf_write_open(&w, scratch_path(s, "bad.gguf"), true, meta, list, tensors, &err));
    if (err.code != code || !strstr(err.text, text))
        fail_msg("'%s' expected, got %d '%s'", text, (int)err.code, err.text);
    assert_false(gguf_write_size(meta, list, tensors, &size, &err));
    assert_int_equal(fixture_files(s), 0);
}

static void what_stock_would_not_read_is_refused(void **state)
{
    struct scratch *s = *state;
    static const uint64_t cols[] = {32}, ones[] = {1, 1, 1, 1, 1};
    char longest[64] = {0}, longer[65] = {0};
    memset(longest, 'n', 63);
    memset(longer, 'n', 64);
    struct tensor a = make("a", DTYPE_F32, 1, cols), b = make("a", DTYPE_F32, 1, cols);
    const struct tensor *const list[] = {&a, &b};
    struct meta none = {0}, m = {0};
    struct gguf_writer w;
    struct err err = {0};

    assert_refused(s, &none, list, 2, ERR_FORMAT, "bad.gguf: tensor 'a' is there twice");
    a.name = longest;
    assert_true(gguf_write_open(&w, scratch_path(s, "good.gguf"), false, &none, list, 2, &err));
    gguf_write_close(&w);
    a.name = longer;
    assert_refused(s, &none, list, 1, ERR_FORMAT, "its name has 64 bytes, at most 63 fit");
    a.name = "";
    assert_refused(s, &none, list, 1, ERR_FORMAT, "its name is empty");
    a = make("a", DTYPE_F32, 5, ones);
    assert_refused(s, &none, list, 1, ERR_FORMAT, "tensor 'a': 5 dimensions, at most 4 fit");
    a = make("a", DTYPE_U8, 1, cols);
    assert_refused(s, &none, list, 1, ERR_FORMAT, "tensor 'a': GGUF has no element type U8");
    a = make("a", DTYPE_Q8_0, 1, cols);
    a.shape[0] = 33;
    assert_refused(s, &none, list, 1, ERR_FORMAT, "33 columns are not whole Q8_0 blocks of 32");
    a.shape[0] = 0;
    assert_refused(s, &none, list, 1, ERR_FORMAT, "tensor 'a': shape 0 has a size of 0");

    meta_set_u32(&m, "general.alignment", 24);
    assert_refused(s, &m, NULL, 0, ERR_FORMAT, "general.alignment is 24, not a power of two");
    meta_set_i32(&m, "general.alignment", 32);
    assert_refused(s, &m, NULL, 0, ERR_FORMAT, "general.alignment is of type i32, not u32");
    meta_remove(&m, "general.alignment");
    meta_set_u32(&m, "", 1);
    assert_refused(s, &m, NULL, 0, ERR_FORMAT, "key 1 is empty");
    meta_close(&m);
    m.failed = true;
    assert_refused(s, &m, NULL, 0, ERR_MEMORY, "no memory for the metadata");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        FIXTURE_TEST(bytes_are_those_of_the_format),
        FIXTURE_TEST(what_is_written_is_read_back),
        FIXTURE_TEST(a_file_without_tensors_is_one),
        FIXTURE_TEST(nothing_is_left_of_a_file_that_was_given_up),
        FIXTURE_TEST(a_file_that_exists_stays_unless_forced),
        FIXTURE_TEST(what_stock_would_not_read_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
