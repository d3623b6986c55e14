/* KL base files: built byte by byte, and as they are written. */
#include "eval/base_file.h"

#include "core/mem.h"
#include "tests/formats/bytes.h"
#include "tests/formats/scratch.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

enum { CONTEXT = 6, VOCAB = 5, WINDOWS = 2, ROWS = 4, ROW = 8 + 2 * 6 };

static bool read_bytes(struct base_file *b, const struct bytes *from, size_t size, struct err *err)
{
    uint8_t *copy = malloc(size ? size : 1); /* exact: ASan sees a step outside */
    assert_non_null(copy);
    memcpy(copy, from->data, size);
    const bool ok = base_file_read(b, copy, size, err);
    free(copy);
    return ok;
}

static void header(struct bytes *b, uint32_t context, uint32_t vocab, uint32_t windows)
{
    bytes_put(b, "_logits_", 8);
    bytes_u32(b, context);
    bytes_u32(b, vocab);
    bytes_u32(b, windows);
}

/* Two windows of six tokens, of which positions 3 and 4 have rows. */
static void example(struct bytes *b)
{
    header(b, CONTEXT, VOCAB, WINDOWS);
    for (uint32_t i = 0; i < WINDOWS * CONTEXT; i++)
        bytes_u32(b, i % VOCAB);
    for (uint32_t row = 0; row < ROWS; row++) {
        bytes_f32(b, 0.5f);
        bytes_f32(b, -8.0f - (float)row);
        for (uint32_t i = 0; i < VOCAB + 1; i++)
            bytes_uint(b, i * 3 + row * 256, 2);
    }
}

static void a_file_is_read_as_described(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct base_file b = {0};
    struct err err = {0};
    uint32_t token[WINDOWS * CONTEXT];
    float log_p[VOCAB];
    example(&bytes);
    assert_true(base_file_read(&b, bytes.data, bytes.size, &err));
    assert_int_equal(b.context, CONTEXT);
    assert_int_equal(b.vocab, VOCAB);
    assert_int_equal(b.windows, WINDOWS);
    assert_int_equal(b.scored, 2);
    base_file_tokens(&b, token);
    for (uint32_t i = 0; i < WINDOWS * CONTEXT; i++)
        assert_int_equal(token[i], i % VOCAB);
    base_row_decode(base_file_row(&b, 1, 1), log_p, VOCAB);
    for (int i = 0; i < VOCAB; i++)
        assert_true(log_p[i] == -11.0f + 0.5f * (float)(i * 3 + 3 * 256));
}

static void no_length_but_the_right_one_is_read(void **state)
{
    (void)state;
    struct bytes bytes = {0};
    struct base_file b = {0};
    struct err err = {0};
    example(&bytes);
    for (size_t size = 0; size < bytes.size; size++) {
        err = (struct err){0};
        assert_false(read_bytes(&b, &bytes, size, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    assert_true(read_bytes(&b, &bytes, bytes.size, &err));
    bytes_put(&bytes, "", 1);
    assert_false(read_bytes(&b, &bytes, bytes.size, &err));
    assert_non_null(strstr(err.text, "2 windows of 6 tokens of 5 do not make a file of"));
}

static void headers_without_sense_are_refused(void **state)
{
    (void)state;
    static const uint32_t wrong[][3] = {
        {3, 5, 2},           {0, 5, 2},
        {6, 0, 2},           {6, 5, 0},
        {0x80000000u, 5, 2}, {6, 0xffffffffu, 2},
        {6, 5, 0x80000000u}, {0x7fffffff, 0x7fffffff, 0x7fffffff},
    };
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        struct bytes bytes = {0};
        struct base_file b = {0};
        struct err err = {0};
        header(&bytes, wrong[i][0], wrong[i][1], wrong[i][2]);
        assert_false(read_bytes(&b, &bytes, bytes.size, &err));
        assert_int_equal(err.code, ERR_FORMAT);
    }
    struct bytes other = {0};
    struct base_file b = {0};
    struct err err = {0};
    bytes_put(&other, "GGUF and more than twenty bytes", 31);
    assert_false(read_bytes(&b, &other, other.size, &err));
    assert_non_null(strstr(err.text, "not a KL base file"));
}

/* Logits of one row, from likely to hopeless. */
static void a_row_comes_back_within_half_a_step(void **state)
{
    (void)state;
    enum { N = 1001 };
    static float logits[N], back[N];
    double sum = 0.0;
    for (int i = 0; i < N; i++)
        logits[i] = 7.0f - 0.03f * (float)((i * 37) % N); /* over 30 nats */
    for (int i = 0; i < N; i++)
        sum += exp((double)logits[i]);
    uint8_t *row = malloc(base_row_bytes(N));
    assert_non_null(row);
    base_row_encode(row, logits, N);
    base_row_decode(row, back, N);
    for (int i = 0; i < N; i++) {
        const double want = fmax((double)logits[i], 7.0 - 16.0) - log(sum);
        assert_true(fabs((double)back[i] - want) < 0.5 * 16.0 / 65535 + 4e-6);
    }
    free(row);
}

static void logits_all_alike_are_uniform(void **state)
{
    (void)state;
    const float logits[VOCAB] = {-3.0f, -3.0f, -3.0f, -3.0f, -3.0f};
    uint8_t row[ROW];
    float back[VOCAB];
    assert_int_equal(base_row_bytes(VOCAB), ROW);
    base_row_encode(row, logits, VOCAB);
    base_row_decode(row, back, VOCAB);
    for (int i = 0; i < VOCAB; i++)
        assert_true(fabs((double)back[i] + log(5.0)) < 1e-6);
}

static void what_is_written_is_read(void **state)
{
    (void)state;
    struct scratch scratch;
    struct sink sink = {0};
    struct base_file b = {0};
    struct err err = {0};
    uint32_t token[20], back[2 * CONTEXT];
    uint8_t row[ROW];
    const float logits[VOCAB] = {1, 2, 3, 4, 5};
    for (uint32_t i = 0; i < 20; i++)
        token[i] = i % VOCAB;
    struct windows w;
    const struct windows_options o = {.context = CONTEXT, .most = WINDOWS, .bos = 1};
    assert_true(windows_init(&w, &o, token, 20, &err));
    scratch_open(&scratch);
    const char *path = scratch_path(&scratch, "base.kld");
    assert_true(base_file_begin(&sink, path, false, &w, VOCAB, &err));
    for (int i = 0; i < ROWS; i++) {
        base_row_encode(row, logits, VOCAB);
        assert_true(sink_write(&sink, row, sizeof row, &err));
    }
    assert_true(sink_commit(&sink, &err));
    if (!base_file_open(&b, path, &err))
        fail_msg("%s", err.text);
    base_file_tokens(&b, back);
    assert_memory_equal(token, back, sizeof back); /* the text's own, no BOS */
    assert_memory_equal(base_file_row(&b, 1, 1), row, sizeof row);
    base_file_close(&b);
    assert_false(base_file_begin(&sink, path, false, &w, VOCAB, &err));
    sink_close(&sink);
    scratch_close(&scratch);
}

static void windows_that_overlap_are_refused(void **state)
{
    (void)state;
    uint32_t token[40] = {0};
    struct windows w;
    struct sink sink = {0};
    struct err err = {0};
    const struct windows_options o = {.context = CONTEXT, .stride = 2, .bos = -1};
    assert_true(windows_init(&w, &o, token, 40, &err));
    assert_false(base_file_begin(&sink, "unused", false, &w, VOCAB, &err));
    assert_int_equal(err.code, ERR_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_read_as_described),
        cmocka_unit_test(no_length_but_the_right_one_is_read),
        cmocka_unit_test(headers_without_sense_are_refused),
        cmocka_unit_test(a_row_comes_back_within_half_a_step),
        cmocka_unit_test(logits_all_alike_are_uniform),
        cmocka_unit_test(what_is_written_is_read),
        cmocka_unit_test(windows_that_overlap_are_refused),
    };
    return cmocka_run_group_tests_name("base_file", tests, NULL, NULL);
}
