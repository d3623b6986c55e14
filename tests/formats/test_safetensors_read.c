/* What the safetensors reader takes, and the sentence for each thing it does not. */
#include "formats/safetensors_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Reads header + `bytes` of data from a heap block of just that size; `length`: what the file says
 * of the header. */
static bool read_file(struct checkpoint *c, const char *header, uint64_t length, size_t bytes,
                      uint8_t **file, struct err *err)
{
    const size_t size = 8 + strlen(header) + bytes;
    *file = calloc(size, 1);
    assert_non_null(*file);
    for (int i = 0; i < 8; i++)
        (*file)[i] = (uint8_t)(length >> 8 * i);
    memcpy(*file + 8, header, strlen(header));
    *c = (struct checkpoint){0};
    *err = (struct err){0};
    const struct map m = {.data = *file, .size = size};
    return safetensors_read(c, "m.st", &m, err);
}

/* `sentence`: all of it, or for JSON's own errors its beginning. */
static void refused(const char *header, uint64_t length, size_t bytes, enum err_code code,
                    const char *sentence)
{
    struct checkpoint c;
    struct err err;
    uint8_t *file;
    if (read_file(&c, header, length, bytes, &file, &err))
        fail_msg("was taken: %s", header);
    if (err.code != code || strncmp(err.text, sentence, strlen(sentence)) != 0)
        fail_msg("for %s:\n  expected %d %s\n  but was  %d %s", header, code, sentence, err.code,
                 err.text);
    checkpoint_close(&c);
    free(file);
}

#define TENSOR(name, dtype, shape, begin, end)                                                     \
    "\"" name "\":{\"dtype\":\"" dtype "\",\"shape\":" shape ",\"data_offsets\":[" #begin "," #end \
    "]}"

static void a_malformed_header_is_named(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        size_t bytes;
        enum err_code code;
        const char *sentence;
    } bad[] = {
        {"", 0, ERR_FORMAT, "m.st: header: line 1, column "},
        {"[]", 0, ERR_FORMAT, "m.st: the header is not a JSON object"},
        {"{\"a\":1}", 0, ERR_FORMAT, "m.st: tensor 'a': no dtype"},
        {"{" TENSOR("a", "U16", "[2]", 0, 4) "}", 4, ERR_UNSUPPORTED,
         "m.st: tensor 'a': quern does not read the dtype 'U16'"},
        {"{" TENSOR("a", "f32", "[1]", 0, 4) "}", 4, ERR_UNSUPPORTED,
         "m.st: tensor 'a': quern does not read the dtype 'f32'"},
        {"{" TENSOR("a", "F32", "4", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': its shape is not a list"},
        {"{" TENSOR("a", "F32", "[1,-1]", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': size 2 of its shape is not a whole number from 0"},
        {"{" TENSOR("a", "F32", "[1.0]", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': size 1 of its shape is not a whole number from 0"},
        {"{" TENSOR("a", "F32", "[1,1,1,1,1,1,1,1,1]", 0, 4) "}", 4, ERR_UNSUPPORTED,
         "m.st: tensor 'a': its shape has 9 sizes, quern reads up to 8"},
        {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 4, ERR_FORMAT,
         "m.st: tensor 'a': its data_offsets are not two whole numbers from 0"},
        {"{" TENSOR("a", "F32", "[1]", -4, 0) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': its data_offsets are not two whole numbers from 0"},
        {"{" TENSOR("a", "F32", "[1]", 4, 0) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': data begins at byte 4 and ends before, at 0"},
        {"{" TENSOR("a", "F32", "[2]", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: tensor 'a': 2 of F32 takes 8 bytes, its data has 4"},
        {"{" TENSOR("a", "F32", "[2]", 0, 8) "}", 7, ERR_FORMAT,
         "m.st: tensor 'a': data ends at byte 8 after the header, the file at 7: it is cut short"},
        {"{" TENSOR("a", "F32", "[2]", 0, 8) "}", 11, ERR_FORMAT,
         "m.st: the last 3 of 11 data bytes belong to no tensor"},
        {"{" TENSOR("a", "I8", "[4]", 0, 4) "," TENSOR("b", "I8", "[4]", 2, 6) "}", 6, ERR_FORMAT,
         "m.st: tensor 'b': data begins at byte 2, inside that of 'a', which ends at 4"},
        {"{" TENSOR("a", "I8", "[4]", 0, 4) "," TENSOR("b", "I8", "[4]", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: tensor 'b': data begins at byte 0, inside that of 'a', which ends at 4"},
        {"{" TENSOR("b", "I8", "[4]", 6, 10) "," TENSOR("a", "I8", "[4]", 0, 4) "}", 10, ERR_FORMAT,
         "m.st: tensor 'b': data begins at byte 6, and the bytes from 4 on belong to no tensor"},
        {"{" TENSOR("a", "F32", "[4611686018427387904,4]", 0, 0) "}", 0, ERR_FORMAT,
         "m.st: tensor 'a': 4611686018427387904 x 4 F32 does not fit in memory"},
        {"{" TENSOR("a", "I8", "[4611686018427387904,4,0]", 0, 0) "}", 0, ERR_FORMAT,
         "m.st: tensor 'a': 4611686018427387904 x 4 x 0 I8 does not fit in memory"},
        {"{" TENSOR("a", "F32", "[99999999999999999999]", 0, 4) "}", 4, ERR_FORMAT,
         "m.st: header: line 1, column "},
        {"{" TENSOR("a", "I8", "[1]", 0, 1) "," TENSOR("a", "I8", "[1]", 1, 2) "}", 2, ERR_FORMAT,
         "m.st: header: line 1, column "},
        {"{\"__metadata__\":[]}", 0, ERR_FORMAT, "m.st: __metadata__ is not an object"},
        {"{\"__metadata__\":{\"format\":1}}", 0, ERR_FORMAT,
         "m.st: __metadata__: 'format' is not a text"},
        {"{\"\xff\":1}", 0, ERR_FORMAT, "m.st: header: line 1, column "},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(bad[i].header, strlen(bad[i].header), bad[i].bytes, bad[i].code, bad[i].sentence);
}

static void a_header_longer_than_the_file_or_the_limit_is_named(void **state)
{
    (void)state;
    refused("{}", 3, 0, ERR_FORMAT, "m.st: the header has 3 bytes, the file 10: it is cut short");
    refused("{}", 100000000, 0, ERR_FORMAT,
            "m.st: the header has 100000000 bytes, the file 10: it is cut short");
    refused("{}", 100000001, 0, ERR_FORMAT,
            "m.st: not a safetensors file: its header would have 100000001 bytes, at most "
            "100000000 are allowed");
    refused("{}", UINT64_MAX, 0, ERR_FORMAT,
            "m.st: not a safetensors file: its header would have 18446744073709551615 bytes, at "
            "most 100000000 are allowed");
    struct checkpoint c = {0};
    struct err err = {0};
    const struct map empty = {0};
    assert_false(safetensors_read(&c, "m.st", &empty, &err));
    assert_string_equal(err.text, "m.st: 0 bytes are too few for a safetensors file");
    checkpoint_close(&c);
}

static void tensors_are_described_and_stand_in_the_order_of_their_data(void **state)
{
    (void)state;
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"}," TENSOR("late", "BF16", "[2,3]", 4, 16) "," TENSOR(
            "empty", "F32", "[0,7]", 4, 4) "," TENSOR("scalar", "F32", "[]", 0, 4) "}   ";
    struct checkpoint c;
    struct err err;
    uint8_t *file;
    assert_true(read_file(&c, header, strlen(header), 16, &file, &err));
    assert_int_equal(c.tensors, 3);
    assert_string_equal(c.tensor[0].name, "scalar");
    assert_int_equal(c.tensor[0].dims, 0);
    assert_int_equal(c.tensor[0].bytes, 4);
    assert_string_equal(c.tensor[1].name, "empty");
    assert_int_equal(c.tensor[1].bytes, 0);
    const struct tensor *late = &c.tensor[2];
    assert_string_equal(late->name, "late");
    assert_int_equal(late->dtype->id, DTYPE_BF16);
    assert_int_equal(late->dims, 2);
    assert_int_equal(late->shape[0], 2);
    assert_int_equal(late->shape[1], 3);
    assert_ptr_equal(late->data, file + 8 + strlen(header) + 4);
    assert_int_equal(late->bytes, 12);
    assert_string_equal(json_string_value(json_object_get(c.header, "format")), "pt");
    checkpoint_close(&c);
    free(file);
}

/* One element each: the bytes are the size of the type. */
static void every_dtype_of_the_table_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        size_t bytes;
    } known[] = {
        {"F16", 2}, {"BF16", 2}, {"F32", 4}, {"F64", 8},  {"I8", 1},      {"I16", 2},
        {"I32", 4}, {"I64", 8},  {"U8", 1},  {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        char header[128];
        snprintf(header, sizeof header,
                 "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}", known[i].name,
                 known[i].bytes);
        struct checkpoint c;
        struct err err;
        uint8_t *file;
        assert_true(read_file(&c, header, strlen(header), known[i].bytes, &file, &err));
        assert_string_equal(c.tensor[0].dtype->safetensors, known[i].name);
        checkpoint_close(&c);
        free(file);
    }
}

static void a_file_is_known_by_its_first_bytes(void **state)
{
    (void)state;
    const uint8_t head[] = {2, 0, 0, 0, 0, 0, 0, 0, '{', '}'};
    const uint8_t other[] = {'G', 'G', 'U', 'F', 3, 0, 0, 0, '{', '}'};
    assert_true(safetensors_probe("blob", head, sizeof head));
    assert_false(safetensors_probe("blob", head, 8));
    assert_false(safetensors_probe("blob", other, sizeof other));
    assert_true(safetensors_probe("a/model.safetensors.index.json", other, 2));
    assert_false(safetensors_probe("a/tokenizer.json", other, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_malformed_header_is_named),
        cmocka_unit_test(a_header_longer_than_the_file_or_the_limit_is_named),
        cmocka_unit_test(tensors_are_described_and_stand_in_the_order_of_their_data),
        cmocka_unit_test(every_dtype_of_the_table_is_read),
        cmocka_unit_test(a_file_is_known_by_its_first_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
