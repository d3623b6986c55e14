/* Texts become windows; what is odd about them is counted, what is no text is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "calib/corpus.h"
#include "formats/hf_vocab.h"
#include "tests/formats/scratch.h"
#include "tests/model/small_tokenizer.h"

static struct scratch scratch;
static struct meta meta;
static struct tokenizer tokenizer;

static int set_up(void **state)
{
    (void)state;
    struct err err = {0};
    scratch_open(&scratch);
    small_bpe(&meta, "default");
    meta_set_bool(&meta, "tokenizer.ggml.add_bos_token", true);
    meta_set_u32(&meta, "tokenizer.ggml.bos_token_id", SMALL_END);
    return tokenizer_open(&tokenizer, &meta, &err) ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    tokenizer_close(&tokenizer);
    meta_close(&meta);
    scratch_close(&scratch);
    return 0;
}

/* Copied, as scratch answers in one buffer. */
static char *write_text(const char *name, const char *text)
{
    scratch_text(&scratch, name, text);
    return strdup(scratch.path);
}

static bool open_texts(struct corpus *c, char **path, size_t paths, size_t context, size_t most,
                       struct err *err)
{
    const char *list[4];
    for (size_t i = 0; i < paths; i++)
        list[i] = path[i];
    return corpus_open(c, &(struct corpus_options){list, paths, context, most}, &tokenizer, err);
}

static void windows_lie_side_by_side(void **state)
{
    (void)state;
    struct err err = {0};
    struct corpus c;
    char *path[] = {write_text("a", "bcdfgjklmnopq\n"), write_text("b", "BCDFGHIJKLMNO")};
    assert_true(open_texts(&c, path, 2, 4, 0, &err));
    /* 13 letters and a BOS: three windows of 4, two tokens left over, and the newline is none. */
    assert_int_equal(c.text[0].tokens, 14);
    assert_int_equal(c.text[0].windows, 3);
    assert_int_equal(c.windows, 6);
    for (size_t w = 0; w < 3; w++) {
        const uint32_t *token = corpus_window(&c, w);
        assert_int_equal(token[0], SMALL_END);
        for (size_t i = 1; i < 4; i++)
            assert_int_equal(token[i], "?bcdfgjklmnopq"[w * 4 + i]);
    }
    assert_int_equal(corpus_window(&c, 3)[1], 'B');
    assert_int_equal(c.repeated, 0);
    corpus_close(&c);
    assert_true(open_texts(&c, path, 2, 4, 4, &err));
    assert_int_equal(c.windows, 4);
    assert_int_equal(c.text[1].windows, 1);
    corpus_close(&c);
    corpus_close(&c);
    free(path[0]);
    free(path[1]);
}

static void repeats_and_strange_tokens_are_counted(void **state)
{
    (void)state;
    struct err err = {0};
    struct corpus c;
    char *path[] = {write_text("a", "bcdbcdbcdbcd"), write_text("b", "bcdbcdbcdbcd"),
                    write_text("c", "bcdfg\303\244hjkl\303\244m")};
    assert_true(open_texts(&c, path, 3, 4, 0, &err));
    assert_int_equal(c.text[0].twin, 0);
    assert_int_equal(c.text[1].twin, 0);
    assert_int_equal(c.text[2].twin, 2);
    assert_string_equal(c.text[0].sha256, c.text[1].sha256);
    assert_int_equal(c.text[2].strange, 4); /* two characters of two bytes */
    assert_int_equal(c.text[0].strange, 0);
    assert_int_equal(c.repeated, 4); /* the second's three, and "bcd" at the third's beginning */
    corpus_close(&c);
    for (size_t i = 0; i < 3; i++)
        free(path[i]);
}

static void refuses(const char *name, const char *text, size_t context, enum err_code code,
                    const char *says)
{
    struct err err = {0};
    struct corpus c;
    char *path = write_text(name, text);
    assert_false(open_texts(&c, &path, 1, context, 0, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, says))
        fail_msg("%s", err.text);
    assert_null(c.token);
    free(path);
}

static void what_is_no_text_is_refused(void **state)
{
    (void)state;
    refuses("empty", "", 4, ERR_FORMAT, "empty: the text is empty");
    refuses("line", "\n", 4, ERR_FORMAT, "line: the text is empty");
    refuses("short", "bcd", 5, ERR_FORMAT, "short: the text has 4 tokens, and a window takes 5");
    refuses("bytes", "\377\376\375\374b\373\372\371", 4, ERR_FORMAT, "bytes: 7 of its 9 tokens");
    refuses("fine", "bcdfg", 3, ERR_USAGE, "a context of 3 tokens");
    struct err err = {0};
    struct corpus c;
    char *none = strdup(scratch_path(&scratch, "nowhere"));
    assert_false(open_texts(&c, &none, 1, 4, 0, &err));
    assert_int_equal(err.code, ERR_IO);
    assert_false(open_texts(&c, &none, 0, 4, 0, &err));
    assert_int_equal(err.code, ERR_USAGE);
    free(none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_lie_side_by_side),
        cmocka_unit_test(repeats_and_strange_tokens_are_counted),
        cmocka_unit_test(what_is_no_text_is_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
