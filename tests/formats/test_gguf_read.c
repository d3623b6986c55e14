/* The GGUF reader on files built byte by byte. */
#include "formats/gguf_read.h"

#include "tests/formats/bytes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

enum { F32 = 0, Q4_0 = 2, Q8_0 = 8, I8 = 24 };

/* The reader is given exactly the file's bytes on the heap: a step outside is seen by ASan. */
static bool read_bytes(struct gguf_header *h, const uint8_t *data, size_t size, uint8_t **copy,
                       struct err *err)
{
    *copy = malloc(size ? size : 1);
    assert_non_null(*copy);
    memcpy(*copy, data, size);
    return gguf_read_header(h, *copy, size, err);
}

static void put_every_scalar(struct bytes *b)
{
    bytes_key(b, "u8", 0), bytes_uint(b, 0xfe, 1);
    bytes_key(b, "i8", 1), bytes_uint(b, 0xfe, 1);
    bytes_key(b, "u16", 2), bytes_uint(b, 0xfffe, 2);
    bytes_key(b, "i16", 3), bytes_uint(b, 0xfffe, 2);
    bytes_key(b, "u32", 4), bytes_u32(b, 0xfffffffe);
    bytes_key(b, "i32", 5), bytes_u32(b, 0xfffffffe);
    bytes_key(b, "f32", 6), bytes_u32(b, 0x3fc00000); /* 1.5 */
    bytes_key(b, "bool", 7), bytes_uint(b, 1, 1);
    bytes_key(b, "text", 8), bytes_text(b, "hello");
    bytes_key(b, "u64", 10), bytes_u64(b, UINT64_MAX);
    bytes_key(b, "i64", 11), bytes_u64(b, UINT64_MAX);
    bytes_key(b, "f64", 12), bytes_u64(b, 0xbff8000000000000); /* -1.5 */
}

static void put_arrays(struct bytes *b)
{
    bytes_key(b, "texts", 9), bytes_u32(b, 8), bytes_u64(b, 2);
    bytes_text(b, "one"), bytes_text(b, "");
    bytes_key(b, "i16s", 9), bytes_u32(b, 3), bytes_u64(b, 3);
    bytes_uint(b, 1, 2), bytes_uint(b, 0xffff, 2), bytes_uint(b, 0x8000, 2);
    bytes_key(b, "bools", 9), bytes_u32(b, 7), bytes_u64(b, 2);
    bytes_uint(b, 1, 1), bytes_uint(b, 0, 1);
    bytes_key(b, "empty", 9), bytes_u32(b, 12), bytes_u64(b, 0);
}

static int64_t signed_of(const struct meta *m, const char *key) { return meta_find(m, key)->as.i; }

static void every_type_of_value_is_read(void **state)
{
    (void)state;
    for (uint32_t version = 2; version <= 3; version++) {
        struct bytes b = {0};
        bytes_gguf(&b, version, 0, 16);
        put_every_scalar(&b);
        put_arrays(&b);
        struct gguf_header h;
        struct err err = {0};
        uint8_t *copy;
        assert_true(read_bytes(&h, b.data, b.size, &copy, &err));
        assert_int_equal(h.version, version);
        assert_int_equal(h.meta.pairs, 16);
        for (size_t i = 0; i < 12; i++)
            assert_string_equal(h.meta.pair[i].key, meta_type_name(h.meta.pair[i].value.type));
        uint64_t u = 0;
        double f = 0;
        bool yes = false;
        assert_true(meta_get_u64(&h.meta, "u8", &u) && u == 0xfe);
        assert_true(meta_get_u64(&h.meta, "u16", &u) && u == 0xfffe);
        assert_true(meta_get_u64(&h.meta, "u32", &u) && u == 0xfffffffe);
        assert_true(meta_get_u64(&h.meta, "u64", &u) && u == UINT64_MAX);
        assert_true(signed_of(&h.meta, "i8") == -2 && signed_of(&h.meta, "i16") == -2);
        assert_true(signed_of(&h.meta, "i32") == -2 && signed_of(&h.meta, "i64") == -1);
        assert_true(meta_get_f64(&h.meta, "f32", &f) && f == 1.5);
        assert_true(meta_get_f64(&h.meta, "f64", &f) && f == -1.5);
        assert_true(meta_get_bool(&h.meta, "bool", &yes) && yes);
        assert_string_equal(meta_get_text(&h.meta, "text"), "hello");

        const struct meta_value *v = meta_find(&h.meta, "texts");
        const struct meta_text *text = v->as.array;
        assert_int_equal(v->count, 2);
        assert_string_equal(text[0].text, "one");
        assert_string_equal(text[1].text, "");
        v = meta_find(&h.meta, "i16s");
        assert_int_equal(v->elem, META_I16);
        assert_memory_equal(v->as.array, ((const int16_t[]){1, -1, INT16_MIN}), 6);
        v = meta_find(&h.meta, "bools");
        assert_memory_equal(v->as.array, ((const uint8_t[]){1, 0}), 2);
        v = meta_find(&h.meta, "empty");
        assert_int_equal(v->elem, META_F64);
        assert_int_equal(v->count, 0);
        gguf_header_close(&h);
        gguf_header_close(&h);
        free(copy);
    }
}

/* Three tensors under an alignment of their own: 2 x 3 f32 (24 bytes), a scalar, 2 x 32 Q8_0. */
static void put_three(struct bytes *b, uint32_t alignment)
{
    bytes_gguf(b, 3, 3, 1);
    bytes_key(b, "general.alignment", META_U32), bytes_u32(b, alignment);
    bytes_text(b, "a"), bytes_u32(b, 2), bytes_u64(b, 3), bytes_u64(b, 2), bytes_u32(b, F32);
    bytes_u64(b, 0);
    bytes_text(b, "b"), bytes_u32(b, 0), bytes_u32(b, I8);
    const uint64_t second = (24 + alignment - 1) / alignment * alignment;
    bytes_u64(b, second);
    bytes_text(b, "c"), bytes_u32(b, 2), bytes_u64(b, 32), bytes_u64(b, 2), bytes_u32(b, Q8_0);
    bytes_u64(b, (second + 1 + alignment - 1) / alignment * alignment);
    bytes_pad(b, alignment);
    for (uint8_t i = 0; i < 24; i++)
        bytes_put(b, &i, 1);
    bytes_pad(b, alignment);
    bytes_uint(b, 0x55, 1);
    bytes_pad(b, alignment);
    for (int i = 0; i < 68; i++)
        bytes_uint(b, 0x77, 1); /* not padded: readers do not ask for it */
}

static void tensors_are_found_in_the_order_of_pytorch(void **state)
{
    (void)state;
    static const uint32_t alignments[] = {1, 8, 32, 64, 256};
    for (size_t i = 0; i < sizeof alignments / sizeof *alignments; i++) {
        struct bytes b = {0};
        put_three(&b, alignments[i]);
        struct gguf_header h;
        struct err err = {0};
        uint8_t *copy;
        assert_true(read_bytes(&h, b.data, b.size, &copy, &err));
        assert_int_equal(h.alignment, alignments[i]);
        assert_int_equal(h.tensors, 3);
        const struct tensor *t = h.tensor;
        assert_string_equal(t[0].name, "a");
        assert_int_equal(t[0].dtype->id, DTYPE_F32);
        assert_true(t[0].dims == 2 && t[0].shape[0] == 2 && t[0].shape[1] == 3);
        assert_int_equal(t[0].bytes, 24);
        assert_int_equal(t[0].data[23], 23);
        assert_true(t[1].dims == 0 && t[1].bytes == 1 && *t[1].data == 0x55);
        assert_true(t[2].dims == 2 && t[2].shape[0] == 2 && t[2].shape[1] == 32);
        assert_int_equal(t[2].bytes, 68);
        assert_ptr_equal(t[2].data, copy + b.size - 68);
        gguf_header_close(&h);
        free(copy);
    }
}

/* Whatever is cut off, somebody says that the file ends too early. */
static void every_cut_is_noticed(void **state)
{
    (void)state;
    struct bytes b = {0};
    put_three(&b, 32);
    for (size_t size = 0; size < b.size; size++) {
        struct gguf_header h;
        struct err err = {0};
        uint8_t *copy;
        assert_false(read_bytes(&h, b.data, size, &copy, &err));
        assert_int_equal(err.code, ERR_FORMAT);
        free(copy);
    }
}

static void no_magic(struct bytes *b) { bytes_put(b, "GGML\3\0\0\0", 8); }
static void version_1(struct bytes *b) { bytes_gguf(b, 1, 0, 0); }
static void version_4(struct bytes *b) { bytes_gguf(b, 4, 0, 0); }
static void big_endian(struct bytes *b) { bytes_gguf(b, 3u << 24, 0, 0); }
static void many_tensors(struct bytes *b) { bytes_gguf(b, 3, UINT64_MAX, 0); }
static void many_pairs(struct bytes *b) { bytes_gguf(b, 3, 0, 1u << 30); }

static void empty_key(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "", META_U32), bytes_u32(b, 1);
}

static void key_with_nul(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_u64(b, 3), bytes_put(b, "a\0b", 3), bytes_u32(b, META_U8), bytes_uint(b, 1, 1);
}

static void key_twice(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 3);
    bytes_key(b, "k", META_U32), bytes_u32(b, 1);
    bytes_key(b, "other", META_U32), bytes_u32(b, 1);
    bytes_key(b, "k", META_BOOL), bytes_uint(b, 1, 1);
}

static void unknown_value_type(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", 13), bytes_u64(b, 1);
}

static void nested_array(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_ARRAY), bytes_u32(b, META_ARRAY), bytes_u64(b, 0);
}

static void unknown_array_type(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_ARRAY), bytes_u32(b, 99), bytes_u64(b, 0);
}

static void long_array(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_ARRAY), bytes_u32(b, META_U64), bytes_u64(b, UINT64_MAX / 8 + 2);
}

static void long_text(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_TEXT), bytes_u64(b, UINT64_MAX);
}

static void long_text_in_array(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_ARRAY), bytes_u32(b, META_TEXT), bytes_u64(b, 2);
    bytes_text(b, "fine"), bytes_u64(b, 1000);
}

static void half_a_bool(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_BOOL), bytes_uint(b, 2, 1);
}

static void half_a_bool_in_array(struct bytes *b)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "k", META_ARRAY), bytes_u32(b, META_BOOL), bytes_u64(b, 2);
    bytes_uint(b, 0x0301, 2);
}

static void alignment_of(struct bytes *b, uint32_t type, uint64_t v)
{
    bytes_gguf(b, 3, 0, 1);
    bytes_key(b, "general.alignment", type), bytes_u64(b, v);
}

static void alignment_u64(struct bytes *b) { alignment_of(b, META_U64, 32); }
static void alignment_0(struct bytes *b) { alignment_of(b, META_U32, 0); }
static void alignment_48(struct bytes *b) { alignment_of(b, META_U32, 48); }

/* One tensor of 32 f32 and its data. */
static void one(struct bytes *b, const char *name, uint64_t cols, uint32_t type, uint64_t offset)
{
    bytes_gguf(b, 3, 1, 0);
    bytes_info(b, name, cols, type, offset);
    bytes_pad(b, 32);
    for (int i = 0; i < 128; i++)
        bytes_uint(b, 0, 1);
}

static void unknown_type(struct bytes *b) { one(b, "t", 32, 31, 0); }
static void empty_name(struct bytes *b) { one(b, "", 32, F32, 0); }
static void part_of_a_block(struct bytes *b) { one(b, "t", 48, Q4_0, 0); }
static void no_columns(struct bytes *b) { one(b, "t", 0, F32, 0); }
static void too_many_elements(struct bytes *b) { one(b, "t", 1ull << 63, I8, 0); }
static void too_many_bytes(struct bytes *b) { one(b, "t", 1ull << 62, F32, 0); }
static void data_past_the_end(struct bytes *b) { one(b, "t", 33, F32, 0); }
static void offset_beyond(struct bytes *b) { one(b, "t", 1, F32, 32); }

static void name_of_64(struct bytes *b)
{
    char name[65] = {0};
    memset(name, 'n', 64);
    one(b, name, 32, F32, 0);
}

static void five_dimensions(struct bytes *b)
{
    bytes_gguf(b, 3, 1, 0);
    bytes_text(b, "t"), bytes_u32(b, 5);
    for (int i = 0; i < 5; i++)
        bytes_u64(b, 1);
    bytes_u32(b, F32), bytes_u64(b, 0);
}

static void two(struct bytes *b, const char *second, uint64_t offset)
{
    bytes_gguf(b, 3, 2, 0);
    bytes_info(b, "first", 8, F32, 0);
    bytes_info(b, second, 8, F32, offset);
    bytes_pad(b, 32);
    for (int i = 0; i < 128; i++)
        bytes_uint(b, 0, 1);
}

static void name_twice(struct bytes *b) { two(b, "first", 32); }
static void overlap(struct bytes *b) { two(b, "second", 0); }
static void gap(struct bytes *b) { two(b, "second", 64); }
static void not_aligned(struct bytes *b) { two(b, "second", 36); }

static void malformed_files_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const struct {
        void (*build)(struct bytes *b);
        enum err_code code;
        const char *text;
    } cases[] = {
        {no_magic, ERR_FORMAT, "not a GGUF file"},
        {version_1, ERR_UNSUPPORTED, "GGUF version 1, of August 2023 only"},
        {version_4, ERR_UNSUPPORTED, "GGUF version 4; versions 2 and 3 are read"},
        {big_endian, ERR_UNSUPPORTED, "a big-endian GGUF file"},
        {many_tensors, ERR_FORMAT, "claims 18446744073709551615 tensors in 0 bytes"},
        {many_pairs, ERR_FORMAT, "claims 1073741824 keys in 0 bytes"},
        {empty_key, ERR_FORMAT, "pair 1: its key is empty"},
        {key_with_nul, ERR_FORMAT, "pair 1: its key contains a NUL"},
        {key_twice, ERR_FORMAT, "key 'k' is there twice"},
        {unknown_value_type, ERR_FORMAT, "key 'k': value type 13 is unknown"},
        {nested_array, ERR_UNSUPPORTED, "key 'k': an array of arrays"},
        {unknown_array_type, ERR_FORMAT, "key 'k': value type 99 is unknown"},
        {long_array, ERR_FORMAT, "key 'k': an array of 2305843009213693953 u64 in 0 bytes"},
        {long_text, ERR_FORMAT, "key 'k': the file ends inside a text"},
        {long_text_in_array, ERR_FORMAT, "key 'k': text 2 of 2: the file ends inside a text"},
        {half_a_bool, ERR_FORMAT, "key 'k': a bool is 2, not 0 or 1"},
        {half_a_bool_in_array, ERR_FORMAT, "key 'k': a bool is 3, not 0 or 1"},
        {alignment_u64, ERR_FORMAT, "general.alignment is of type u64, not u32"},
        {alignment_0, ERR_FORMAT, "general.alignment is 0, not a power of two"},
        {alignment_48, ERR_FORMAT, "general.alignment is 48, not a power of two"},
        {unknown_type, ERR_UNSUPPORTED, "tensor 't': element type 31 is unknown"},
        {empty_name, ERR_FORMAT, "tensor 1 of 1: its name is empty"},
        {part_of_a_block, ERR_FORMAT, "tensor 't': 48 columns are not whole Q4_0 blocks of 32"},
        {no_columns, ERR_FORMAT, "tensor 't': shape 0 has a size of 0"},
        {too_many_elements, ERR_FORMAT, "tensor 't': shape 9223372036854775808 has more than"},
        {too_many_bytes, ERR_FORMAT, "tensor 't': a row of 4611686018427387904 F32 does not fit"},
        {data_past_the_end, ERR_FORMAT, "tensor 't': data at 64 + 132 bytes, file ends at 192"},
        {offset_beyond, ERR_FORMAT,
         "tensor 't': data at offset 32, but the tensors before it, padded to 32, end at 0"},
        {name_of_64, ERR_FORMAT, "its name has 64 bytes, at most 63 fit"},
        {five_dimensions, ERR_FORMAT, "tensor 't': 5 dimensions, at most 4 fit"},
        {name_twice, ERR_FORMAT, "tensor 'first' is there twice"},
        {overlap, ERR_FORMAT, "tensor 'second': data at offset 0, but"},
        {gap, ERR_FORMAT, "tensor 'second': data at offset 64, but"},
        {not_aligned, ERR_FORMAT, "tensor 'second': data at offset 36, but"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct bytes b = {0};
        cases[i].build(&b);
        struct gguf_header h;
        struct err err = {0};
        uint8_t *copy;
        assert_false(read_bytes(&h, b.data, b.size, &copy, &err));
        if (err.code != cases[i].code || !strstr(err.text, cases[i].text))
            fail_msg("'%s' expected, got %d '%s'", cases[i].text, (int)err.code, err.text);
        free(copy);
    }
}

static void a_file_is_known_by_its_first_bytes(void **state)
{
    (void)state;
    assert_true(gguf_probe("x", (const uint8_t *)"GGUF\3", 5));
    assert_false(gguf_probe("x.gguf", (const uint8_t *)"GGU", 3));
    assert_false(gguf_probe("x.gguf", (const uint8_t *)"FUGG\3", 5));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_of_value_is_read),
        cmocka_unit_test(tensors_are_found_in_the_order_of_pytorch),
        cmocka_unit_test(every_cut_is_noticed),
        cmocka_unit_test(malformed_files_are_refused_with_a_sentence),
        cmocka_unit_test(a_file_is_known_by_its_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
