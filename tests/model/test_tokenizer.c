/* Tokenizers: merges, words, special tokens, what is around a text, bytes of any kind, streams. */
#include "model/tokenizer.h"
#include "core/pool.h"
#include "formats/pretokenizer_names.h"
#include "tests/model/small_tokenizer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct opened {
    struct meta meta;
    struct tokenizer t;
};

static void open_tokenizer(struct opened *o)
{
    struct err err = {0};
    if (!tokenizer_open(&o->t, &o->meta, &err))
        fail_msg("%s", err.text);
}

static struct opened *open_bpe(const char *pre)
{
    struct opened *o = calloc(1, sizeof *o);
    assert_non_null(o);
    small_bpe(&o->meta, pre);
    open_tokenizer(o);
    return o;
}

static struct opened *open_spm(void)
{
    struct opened *o = calloc(1, sizeof *o);
    assert_non_null(o);
    small_spm(&o->meta);
    open_tokenizer(o);
    return o;
}

static void close_all(struct opened *o)
{
    tokenizer_close(&o->t);
    tokenizer_close(&o->t); /* twice is harmless */
    meta_close(&o->meta);
    free(o);
}

static struct token_list encode_bytes(const struct opened *o, const char *text, size_t length,
                                      unsigned flags)
{
    struct token_list l = {0};
    struct err err = {0};
    if (!tokenizer_encode(&o->t, text, length, flags, &l, &err))
        fail_msg("%s", err.text);
    return l;
}

/* The ids are those, which end with -1. */
static void expect(const struct opened *o, const char *text, unsigned flags, ...)
{
    struct token_list l = encode_bytes(o, text, strlen(text), flags);
    va_list ids;
    va_start(ids, flags);
    for (size_t i = 0; i < l.count; i++)
        assert_int_equal(va_arg(ids, int), (int)l.id[i]);
    assert_int_equal(va_arg(ids, int), -1);
    va_end(ids);
    token_list_close(&l);
}

static void expect_decoded(const struct opened *o, const uint32_t *id, size_t count, unsigned flags,
                           const char *wanted, size_t length)
{
    struct token_text text = {0};
    struct err err = {0};
    if (!tokenizer_decode(&o->t, id, count, flags, &text, &err))
        fail_msg("%s", err.text);
    assert_int_equal(text.length, length);
    if (length > 0)
        assert_memory_equal(text.text, wanted, length);
    token_text_close(&text);
}

static void expect_same_bytes(const struct opened *o, const char *text, size_t length)
{
    struct token_list l = encode_bytes(o, text, length, TOKENIZER_PARSE);
    expect_decoded(o, l.id, l.count, TOKENIZER_PARSE, text, length);
    token_list_close(&l);
}

static void the_first_merge_of_the_list_comes_first(void **state)
{
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    expect(o, "the", 0, 257, -1);
    expect(o, "he", 0, 258, -1);
    expect(o, "athe", 0, 'a', 257, -1); /* not t + he, though "h e" is a merge too */
    expect(o, " the", 0, 262, -1);
    expect(o, "\u00e9", 0, 263, -1);
    expect(o, "", 0, -1);
    close_all(o);
}

static void of_equal_merges_the_leftmost_comes_first(void **state)
{
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    expect(o, "aaa", 0, 259, 'a', -1);
    expect(o, "aaaaaaa", 0, 260, 259, 'a', -1);
    close_all(o);
}

static void words_bound_merges(void **state)
{
    (void)state;
    struct opened *one = open_bpe("qwen2"), *three = open_bpe("llama-bpe");
    expect(one, "12", 0, '1', '2', -1);
    expect(three, "1212", 0, 261, '1', '2', -1); /* 121 2 */
    close_all(one);
    close_all(three);
}

static void some_splitters_take_words_that_are_tokens(void **state)
{
    (void)state;
    struct opened *takes = open_bpe("llama-bpe"), *merges = open_bpe("gpt-2");
    expect(takes, "word", 0, SMALL_WORD, -1);
    expect(takes, "words", 0, 'w', 'o', 'r', 'd', 's', -1);
    expect(merges, "word", 0, 'w', 'o', 'r', 'd', -1);
    close_all(takes);
    close_all(merges);
}

static void control_tokens_are_parsed_only_when_asked(void **state)
{
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    expect(o, "a<|end|>", TOKENIZER_PARSE, 'a', SMALL_END, -1);
    expect(o, "<|end", TOKENIZER_PARSE, '<', '|', 'e', 'n', 'd', -1);
    expect(o, "<|end|>", 0, '<', '|', 'e', 'n', 'd', '|', '>', -1);
    close_all(o);
}

static void user_defined_tokens_are_always_found_the_longest_first(void **state)
{
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    expect(o, "<tool>", 0, SMALL_TOOL, -1);
    expect(o, "<tool>sa", 0, SMALL_TOOLS, 'a', -1);
    expect(o, "<<tool><tool", 0, '<', SMALL_TOOL, '<', 't', 'o', 'o', 'l', -1);
    close_all(o);
}

static void what_is_around_a_text_is_a_key_or_the_splitters_habit(void **state)
{
    (void)state;
    struct opened *none = open_bpe("gpt-2"), *bos = open_bpe("llama-bpe");
    expect(none, "a", TOKENIZER_AROUND, 'a', -1);
    expect(bos, "a", TOKENIZER_AROUND, SMALL_END, 'a', -1);
    expect(bos, "", TOKENIZER_AROUND, SMALL_END, -1);
    tokenizer_close(&bos->t);
    meta_set_bool(&bos->meta, "tokenizer.ggml.add_bos_token", false);
    meta_set_bool(&bos->meta, "tokenizer.ggml.add_eos_token", true);
    open_tokenizer(bos);
    expect(bos, "a", TOKENIZER_AROUND, 'a', SMALL_END, -1);
    expect(bos, "a", 0, 'a', -1);
    tokenizer_close(&bos->t);
    meta_set_u32(&bos->meta, "tokenizer.ggml.eos_token_id", SMALL_TOKENS); /* no such token */
    open_tokenizer(bos);
    expect(bos, "a", TOKENIZER_AROUND, 'a', -1);
    close_all(none);
    close_all(bos);
}

static void ends_are_known_by_key_and_by_name(void **state)
{
    (void)state;
    struct opened *o = open_bpe("gpt-2"), *s = open_spm();
    assert_true(tokenizer_is_end(&o->t, SMALL_END));
    assert_false(tokenizer_is_end(&o->t, 'a'));
    assert_true(tokenizer_is_end(&s->t, SMALL_EOS));
    assert_false(tokenizer_is_end(&s->t, SMALL_BOS));
    meta_set_u32(&s->meta, "tokenizer.ggml.eos_token_id", SMALL_BOS);
    tokenizer_close(&s->t);
    open_tokenizer(s);
    assert_true(tokenizer_is_end(&s->t, SMALL_BOS));
    assert_true(tokenizer_is_end(&s->t, SMALL_EOS)); /* "</s>" */
    close_all(o);
    close_all(s);
}

static void the_highest_score_merges_first(void **state)
{
    (void)state;
    struct opened *o = open_spm();
    expect(o, "the", 0, SMALL_PIECE + 2, -1);                  /* "▁t" + "he" */
    expect(o, "abc", 0, SMALL_PIECE + 4, SMALL_PIECE + 7, -1); /* "▁a" before "ab" */
    expect(o, " in", 0, SMALL_PIECE + 5, SMALL_PIECE + 3, -1);
    expect(o, "the", TOKENIZER_AROUND, SMALL_BOS, SMALL_PIECE + 2, -1);
    close_all(o);
}

static void what_is_no_piece_is_spelled_in_bytes(void **state)
{
    (void)state;
    struct opened *o = open_spm();
    expect(o, "\u00e9", 0, SMALL_PIECE + 8, SMALL_PIECE + 17, -1);
    expect(o, "\u00e8\n", 0, SMALL_PIECE + 8, SMALL_BYTE + 0xc3, SMALL_BYTE + 0xa8,
           SMALL_BYTE + '\n', -1);
    expect(o, "\xff", 0, SMALL_PIECE + 8, SMALL_BYTE + 0xff, -1);
    close_all(o);
}

static void a_space_stands_before_a_text_and_behind_special_tokens(void **state)
{
    (void)state;
    struct opened *o = open_spm();
    static const uint32_t ids[] = {SMALL_BOS, SMALL_PIECE + 2, SMALL_PIECE + 2};
    expect(o, "a<s>a", TOKENIZER_PARSE, SMALL_PIECE + 4, SMALL_BOS, SMALL_PIECE + 4, -1);
    expect_decoded(o, ids, 3, 0, "the the", 7);
    expect_decoded(o, ids, 3, TOKENIZER_PARSE, "<s> the the", 11);
    struct token_stream s = {.tokenizer = &o->t, .goes_on = true};
    struct token_text text = {0};
    assert_true(token_stream_next(&s, SMALL_PIECE + 2, &text, NULL));
    assert_int_equal(text.length, 4);
    token_text_close(&text);
    meta_set_bool(&o->meta, "tokenizer.ggml.add_space_prefix", false);
    tokenizer_close(&o->t);
    open_tokenizer(o);
    expect(o, "a", 0, SMALL_PIECE + 12, -1);
    expect_decoded(o, ids, 3, 0, " the the", 8);
    close_all(o);
}

static void a_stream_gives_whole_characters(void **state)
{
    static const char text[] = "a\u00e9\u6f22\U0001f600";
    static const size_t seen[] = {1, 1, 3, 3, 3, 6, 6, 6, 6, 10};
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    struct token_stream s = {.tokenizer = &o->t};
    struct token_text out = {0};
    for (size_t i = 0; i < sizeof text - 1; i++) {
        assert_true(token_stream_next(&s, (uint8_t)text[i], &out, NULL));
        assert_int_equal(out.length, seen[i]);
    }
    assert_memory_equal(out.text, text, out.length);
    out.length = 0;
    assert_true(token_stream_next(&s, 0xe6, &out, NULL)); /* a character that never ends */
    assert_int_equal(out.length, 0);
    assert_true(token_stream_end(&s, &out, NULL));
    assert_int_equal(out.length, 1);
    token_text_close(&out);
    close_all(o);
}

static void an_id_beyond_the_vocabulary_is_refused(void **state)
{
    static const uint32_t id = SMALL_TOKENS;
    (void)state;
    struct opened *o = open_bpe("gpt-2");
    struct token_text out = {0};
    struct err err = {0};
    assert_false(tokenizer_decode(&o->t, &id, 1, 0, &out, &err));
    assert_int_equal(err.code, ERR_USAGE);
    token_text_close(&out);
    close_all(o);
}

static void composing_splitters_compose(void **state)
{
    (void)state;
    struct opened *composes = open_bpe("qwen2"), *not = open_bpe("llama-bpe");
    expect(composes, "e\u0301", 0, 263, -1);
    expect(composes, "\u1112\u1161\u11ab", 0, 0xed, 0x95, 0x9c, -1);
    expect(not, "e\u0301", 0, 'e', 0xcc, 0x81, -1);
    close_all(composes);
    close_all(not );
}

/* Some thousand characters, decomposed, so that the pieces in which a text is composed meet in
 * the middle of words. */
static void long_texts_compose_like_short_ones(void **state)
{
    enum { TIMES = 2000 };
    char text[5 * TIMES];
    (void)state;
    struct opened *o = open_bpe("qwen2");
    for (size_t i = 0; i < TIMES; i++)
        memcpy(text + 3 * i, "e\u0301", 3);
    struct token_list l = encode_bytes(o, text, 3 * TIMES, 0);
    assert_int_equal(l.count, TIMES);
    for (size_t i = 0; i < TIMES; i++)
        assert_int_equal(l.id[i], 263);
    token_list_close(&l);
    close_all(o);
}

static const char *const awkward[] = {
    " ",  "a",  "\n",     "1",      "'",          "\u6f22", "\r\n",
    " a", "1a", "\u0301", "\u3000", "\U0001f600", "A b",    "_",
};
enum { AWKWARD = sizeof awkward / sizeof *awkward };

/* Every splitter, on one thing again and again: no limit of PCRE2 is met, nothing is lost. */
static void every_splitter_bears_long_words(void **state)
{
    enum { BYTES = 1 << 12 };
    (void)state;
    char *text = malloc(BYTES);
    assert_non_null(text);
    int refused = 0;
    for (const struct pretokenizer_name *n = pretokenizer_names; n->name; n++) {
        struct opened o = {0};
        struct err err = {0};
        small_bpe(&o.meta, n->name);
        if (!tokenizer_open(&o.t, &o.meta, &err)) {
            assert_int_equal(err.code, ERR_UNSUPPORTED); /* no byte-level BPE */
            meta_close(&o.meta);
            refused++;
            continue;
        }
        for (size_t a = 0; a < AWKWARD && !n->nfc; a++) {
            const size_t length = strlen(awkward[a]), bytes = BYTES / length * length;
            for (size_t i = 0; i < bytes; i += length)
                memcpy(text + i, awkward[a], length);
            expect_same_bytes(&o, text, bytes);
        }
        tokenizer_close(&o.t);
        meta_close(&o.meta);
    }
    assert_int_equal(refused, 5);
    free(text);
}

static void a_megabyte_of_one_letter_is_soon_done(void **state)
{
    enum { BYTES = 1 << 20 };
    static const char *const names[] = {"llama-bpe", "deepseek-llm", "superbpe", "exaone-moe"};
    static const char letters[] = " a1";
    (void)state;
    char *text = malloc(BYTES);
    assert_non_null(text);
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct opened *o = open_bpe(names[n]);
        for (const char *c = letters; *c; c++) {
            memset(text, *c, BYTES);
            text[BYTES - 1] = 'x';
            struct token_list l = encode_bytes(o, text, BYTES, 0);
            assert_true(l.count >= BYTES / 4 && l.count <= BYTES);
            token_list_close(&l);
        }
        close_all(o);
    }
    free(text);
}

static void bytes_that_are_no_utf8_come_back(void **state)
{
    (void)state;
    static const char *const names[] = {"gpt-2", "llama-bpe", "deepseek-v3", "tekken", "bloom"};
    static const char parts[8] = "a\xc3\xa9\xff \0\xe6";
    uint32_t seed = 1;
    for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
        struct opened *o = open_bpe(names[n]);
        for (int round = 0; round < 500; round++) {
            char text[64];
            for (size_t i = 0; i < sizeof text; i++) {
                seed = seed * 1664525u + 1013904223u;
                text[i] = round % 2 ? (char)(seed >> 24) : parts[seed >> 24 & 7];
            }
            expect_same_bytes(o, text, sizeof text);
        }
        close_all(o);
    }
    struct opened *o = open_bpe("gpt-2");
    expect(o,
           "th\xff"
           "e",
           0, 256, 0xff, 'e', -1);
    expect(o, "\xed\xa0\x80", 0, 0xed, 0xa0, 0x80, -1); /* a surrogate */
    close_all(o);
}

enum { ITEMS = 32 };

struct shared {
    const struct opened *o;
    struct token_list list[ITEMS];
};

static void encode_item(size_t item, int thread, void *arg)
{
    static const char text[] = "word the the 1212 <|end|> aaaa e\u0301 \xff";
    struct shared *s = arg;
    (void)thread;
    tokenizer_encode(&s->o->t, text, sizeof text, TOKENIZER_PARSE, &s->list[item], NULL);
}

static void threads_share_a_tokenizer(void **state)
{
    struct pool *pool = NULL;
    (void)state;
    assert_true(pool_open(&pool, 4, NULL));
    struct opened *kinds[] = {open_bpe("qwen2"), open_spm()};
    for (int k = 0; k < 2; k++) {
        struct shared s = {.o = kinds[k]};
        pool_for(pool, ITEMS, encode_item, &s);
        for (size_t i = 0; i < ITEMS; i++) {
            assert_true(s.list[i].count > 10 && s.list[i].count == s.list[0].count);
            assert_memory_equal(s.list[i].id, s.list[0].id, s.list[0].count * sizeof(uint32_t));
        }
        for (size_t i = 0; i < ITEMS; i++)
            token_list_close(&s.list[i]);
        close_all(kinds[k]);
    }
    pool_close(pool);
}

/* A file's keys, one of them changed, and the sentence that says so. */
static void expect_refused(struct meta *m, enum err_code code, const char *words)
{
    struct tokenizer t;
    struct err err = {0};
    assert_false(tokenizer_open(&t, m, &err));
    assert_int_equal(err.code, code);
    if (!strstr(err.text, words))
        fail_msg("'%s' does not say '%s'", err.text, words);
    tokenizer_close(&t);
    meta_close(m);
}

static void keys_that_lack_or_contradict_are_named(void **state)
{
    struct meta m = {0};
    const struct meta_text one = {"a", 1};
    const float score = 0;
    const int32_t type = 1;
    (void)state;
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.model is not there");
    meta_set_text(&m, "tokenizer.ggml.model", "t5");
    expect_refused(&m, ERR_UNSUPPORTED, "'t5': only gpt2 and llama");
    small_bpe(&m, "qwen3");
    expect_refused(&m, ERR_UNSUPPORTED, "'qwen3', which nobody knows; did it mean 'qwen2'?");
    small_bpe(&m, "gemma4");
    expect_refused(&m, ERR_UNSUPPORTED, "'gemma4': not a splitter of byte-level BPE");
    small_bpe(&m, "gpt-2");
    meta_remove(&m, "tokenizer.ggml.tokens");
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.tokens");
    small_bpe(&m, "gpt-2");
    meta_remove(&m, "tokenizer.ggml.merges");
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.merges");
    small_bpe(&m, "gpt-2");
    meta_set_i32s(&m, "tokenizer.ggml.token_type", &type, 1);
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.token_type");
    small_bpe(&m, "gpt-2");
    meta_set_u32(&m, "tokenizer.ggml.tokens", 1);
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.tokens");
    small_spm(&m);
    meta_set_f32s(&m, "tokenizer.ggml.scores", &score, 1);
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.scores");
    small_spm(&m);
    meta_set_texts(&m, "tokenizer.ggml.scores", &one, 1);
    expect_refused(&m, ERR_FORMAT, "tokenizer.ggml.scores");
}

static void odd_merges_and_tokens_do_no_harm(void **state)
{
    static const struct meta_text merges[] = {
        {"", 0},          {" ", 1},      {"a", 1},   {"a  b", 4},
        {"a nothing", 9}, {"\xff a", 3}, {"t h", 3}, {"t h", 3},
    };
    (void)state;
    struct opened *o = calloc(1, sizeof *o);
    assert_non_null(o);
    small_bpe(&o->meta, "gpt-2");
    meta_set_texts(&o->meta, "tokenizer.ggml.merges", merges, sizeof merges / sizeof *merges);
    open_tokenizer(o);
    expect(o, "tha", 0, 256, 'a', -1);
    tokenizer_close(&o->t);
    meta_set_texts(&o->meta, "tokenizer.ggml.tokens", merges, 8);
    open_tokenizer(o); /* of all letters only "a" is a token now */
    expect(o, "tab", 0, 2, -1);
    meta_set_u32(&o->meta, "tokenizer.ggml.unknown_token_id", 1);
    tokenizer_close(&o->t);
    open_tokenizer(o);
    expect(o, "tab", 0, 1, 2, 1, -1);
    close_all(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_merge_of_the_list_comes_first),
        cmocka_unit_test(of_equal_merges_the_leftmost_comes_first),
        cmocka_unit_test(words_bound_merges),
        cmocka_unit_test(some_splitters_take_words_that_are_tokens),
        cmocka_unit_test(control_tokens_are_parsed_only_when_asked),
        cmocka_unit_test(user_defined_tokens_are_always_found_the_longest_first),
        cmocka_unit_test(what_is_around_a_text_is_a_key_or_the_splitters_habit),
        cmocka_unit_test(ends_are_known_by_key_and_by_name),
        cmocka_unit_test(the_highest_score_merges_first),
        cmocka_unit_test(what_is_no_piece_is_spelled_in_bytes),
        cmocka_unit_test(a_space_stands_before_a_text_and_behind_special_tokens),
        cmocka_unit_test(a_stream_gives_whole_characters),
        cmocka_unit_test(an_id_beyond_the_vocabulary_is_refused),
        cmocka_unit_test(composing_splitters_compose),
        cmocka_unit_test(long_texts_compose_like_short_ones),
        cmocka_unit_test(every_splitter_bears_long_words),
        cmocka_unit_test(a_megabyte_of_one_letter_is_soon_done),
        cmocka_unit_test(bytes_that_are_no_utf8_come_back),
        cmocka_unit_test(threads_share_a_tokenizer),
        cmocka_unit_test(keys_that_lack_or_contradict_are_named),
        cmocka_unit_test(odd_merges_and_tokens_do_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
