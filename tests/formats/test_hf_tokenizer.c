/* Tokenizers of Hugging Face as GGUF keys: what is set, and the sentence where nothing can be. */
#include "core/json.h"
#include "formats/hf_tokenizer.h"
#include "tests/formats/scratch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define BYTE_LEVEL         "\"pre_tokenizer\":{\"type\":\"ByteLevel\"}"
#define BPE(vocab, merges) "\"model\":{\"type\":\"BPE\",\"vocab\":" vocab ",\"merges\":" merges "}"
#define SPM(vocab, merges)                                                                         \
    "\"model\":{\"type\":\"BPE\",\"byte_fallback\":true,\"unk_token\":\"<unk>\",\"vocab\":" vocab  \
    ",\"merges\":" merges "}"
#define ABC        "{\"a\":0,\"b\":1,\"c\":2,\"ab\":3,\"abc\":4}"
#define ABC_MERGES "[\"a b\",\"ab c\"]"

/* One tokenizer and what became of it. */
struct made {
    struct meta meta;
    struct hf_tokenizer_facts facts;
    struct err err;
    bool ok;
};

struct texts {
    const char *tokenizer, *tokenizer_config, *special_tokens_map, *generation_config,
        *added_tokens, *chat_template, *config;
};

static json_t *load(const char *text)
{
    if (!text)
        return NULL;
    json_t *root = json_loads(text, JSON_DECODE_ANY, NULL);
    if (!root)
        fail_msg("no JSON: %s", text);
    return root;
}

static struct made make_all(const struct texts *t, const struct hf_tokenizer_options *options)
{
    struct made m = {0};
    json_t *config = load(t->config);
    const struct hf_tokenizer_files files = {
        .tokenizer = load(t->tokenizer),
        .tokenizer_config = load(t->tokenizer_config),
        .special_tokens_map = load(t->special_tokens_map),
        .generation_config = load(t->generation_config),
        .added_tokens = load(t->added_tokens),
        .chat_template = load(t->chat_template),
        .config = config,
    };
    m.ok = hf_tokenizer_parse(&files, options, &m.meta, &m.facts, &m.err);
    json_decref(files.tokenizer);
    json_decref(files.tokenizer_config);
    json_decref(files.special_tokens_map);
    json_decref(files.generation_config);
    json_decref(files.added_tokens);
    json_decref(files.chat_template);
    json_decref(config);
    return m;
}

static struct made make(const char *tokenizer, uint64_t rows)
{
    const struct hf_tokenizer_options options = {.vocab_size = rows};
    struct made m = make_all(&(struct texts){.tokenizer = tokenizer}, &options);
    if (!m.ok)
        fail_msg("%s\n%s", tokenizer, m.err.text);
    return m;
}

static void expect_texts(const struct made *m, const char *key, const char *const *want)
{
    const struct meta_value *v = meta_find(&m->meta, key);
    assert_non_null(v);
    const struct meta_text *text = v->as.array;
    for (size_t i = 0; i < v->count; i++) {
        assert_non_null(want[i]);
        assert_string_equal(text[i].text, want[i]);
        assert_int_equal(text[i].length, strlen(want[i]));
    }
    assert_null(want[v->count]);
}

static void expect_types(const struct made *m, const int32_t *want, size_t count)
{
    const struct meta_value *v = meta_find(&m->meta, "tokenizer.ggml.token_type");
    assert_non_null(v);
    assert_int_equal(v->count, count);
    assert_memory_equal(v->as.array, want, count * sizeof *want);
}

static void expect_id(const struct made *m, const char *key, int64_t want)
{
    uint64_t id = 0;
    const bool there = meta_get_u64(&m->meta, key, &id);
    assert_int_equal(there, want >= 0);
    if (there)
        assert_int_equal(id, want);
}

/* -1: the key is not there */
static void expect_bool(const struct made *m, const char *key, int want)
{
    bool value = false;
    assert_int_equal(meta_get_bool(&m->meta, key, &value), want >= 0);
    if (want >= 0)
        assert_int_equal(value, want);
}

static void byte_level_pieces_and_merges_stand_in_order(void **state)
{
    (void)state;
    struct made m = make("{" BYTE_LEVEL "," BPE(ABC, ABC_MERGES) "}", 0);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.model"), "gpt2");
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.pre"), "gpt-2");
    expect_texts(&m, "tokenizer.ggml.tokens", (const char *[]){"a", "b", "c", "ab", "abc", NULL});
    expect_texts(&m, "tokenizer.ggml.merges", (const char *[]){"a b", "ab c", NULL});
    expect_types(&m, (const int32_t[]){1, 1, 1, 1, 1}, 5);
    assert_null(meta_find(&m.meta, "tokenizer.ggml.scores"));
    assert_int_equal(m.facts.tokens, 5);
    meta_close(&m.meta);
}

static void merges_as_pairs_spell_their_spaces(void **state)
{
    (void)state;
    struct made m = make("{" BYTE_LEVEL "," BPE(ABC, "[[\"a\",\"b\"],[\"a b\",\"c\"]]") "}", 0);
    expect_texts(&m, "tokenizer.ggml.merges", (const char *[]){"a b", "a\u0120b c", NULL});
    meta_close(&m.meta);
}

static void holes_and_rows_without_a_token_are_padded(void **state)
{
    (void)state;
    struct made m = make("{" BYTE_LEVEL "," BPE("{\"a\":0,\"[PAD1]\":3}", "[]") "}", 6);
    expect_texts(&m, "tokenizer.ggml.tokens",
                 (const char *[]){"a", "[PAD1]_", "[PAD2]", "[PAD1]", "[PAD4]", "[PAD5]", NULL});
    expect_types(&m, (const int32_t[]){1, 5, 5, 1, 5, 5}, 6);
    assert_int_equal(m.facts.tokens, 4);
    meta_close(&m.meta);
}

static void sentencepiece_scores_are_ranks(void **state)
{
    (void)state;
    struct made m =
        make("{" SPM("{\"<unk>\":0,\"<0x0A>\":1,\"a\":2,\"b\":3,\"aab\":4,\"ab\":5}",
                     "[\"a b\",\"a ab\",\"aa b\"]") ",\"normalizer\":{\"type\":\"Sequence\","
                                                    "\"normalizers\":[{\"type\":\"Prepend\","
                                                    "\"prepend\":\"\u2581\"}]}}",
             7);
    const struct meta_value *scores = meta_find(&m.meta, "tokenizer.ggml.scores");
    assert_non_null(scores);
    assert_int_equal(scores->count, 7);
    assert_memory_equal(scores->as.array, ((const float[]){-4, -4, -4, -4, -2, -1, -4}), 28);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.model"), "llama");
    expect_types(&m, (const int32_t[]){2, 6, 1, 1, 1, 1, 5}, 7);
    expect_bool(&m, "tokenizer.ggml.add_space_prefix", 1);
    assert_string_equal(m.facts.pre, "");
    assert_null(meta_find(&m.meta, "tokenizer.ggml.merges"));
    meta_close(&m.meta);
}

static void added_tokens_have_types(void **state)
{
    (void)state;
    struct made m = make("{" SPM("{\"<unk>\":0,\"a\":1,\"  \":2,\"<0x00>\":3}",
                                 "[]") ","
                                       "\"added_tokens\":["
                                       "{\"id\":0,\"content\":\"<unk>\",\"special\":true},"
                                       "{\"id\":4,\"content\":\"<s>\",\"special\":true},"
                                       "{\"id\":5,\"content\":\"<think>\",\"special\":false},"
                                       "{\"id\":6,\"content\":\"<|x|>\",\"special\":false},"
                                       "{\"id\":7,\"content\":\"\u2581y\u2581\"},"
                                       "{\"id\":8,\"content\":\"\u2581 \"},"
                                       "{\"id\":3,\"content\":\"<0x00>\",\"special\":true},"
                                       "{\"id\":9,\"content\":\"a\"}]}",
                         0);
    expect_texts(&m, "tokenizer.ggml.tokens",
                 (const char *[]){"<unk>", "a", "  ", "<0x00>", "<s>", "<think>", "<|x|>", " y ",
                                  "\u2581 ", NULL});
    expect_types(&m, (const int32_t[]){2, 4, 1, 6, 3, 4, 3, 4, 4}, 9);
    expect_bool(&m, "tokenizer.ggml.add_space_prefix", 0);
    meta_close(&m.meta);
}

static void tokens_come_from_the_other_files_too(void **state)
{
    (void)state;
    const struct texts t = {
        .tokenizer = "{" BYTE_LEVEL "," BPE("{\"a\":0,\"b\":1}", "[]") "}",
        .tokenizer_config = "{\"added_tokens_decoder\":{"
                            "\"1\":{\"content\":\"other\"},"
                            "\"2\":{\"content\":\"<s>\",\"special\":true}}}",
        .added_tokens = "{\"<pad>\":3,\"a\":77}",
    };
    struct made m = make_all(&t, &(struct hf_tokenizer_options){0});
    assert_true(m.ok);
    expect_texts(&m, "tokenizer.ggml.tokens", (const char *[]){"a", "b", "<s>", "<pad>", NULL});
    expect_types(&m, (const int32_t[]){1, 1, 3, 3}, 4);
    meta_close(&m.meta);
}

#define CHAT_VOCAB                                                                                 \
    "{\"<s>\":0,\"</s>\":1,\"<|eot_id|>\":2,\"<|eom_id|>\":3,\"<x>\":4,\"<pad>\":5,\"<m>\":6}"

static void special_ids_have_an_order_of_sources(void **state)
{
    (void)state;
    struct texts t = {
        .tokenizer = "{" BYTE_LEVEL "," BPE(CHAT_VOCAB, "[]") "}",
        .tokenizer_config = "{\"bos_token\":{\"content\":\"<s>\"},\"pad_token\":null,"
                            "\"unk_token\":\"no such token\"}",
        .special_tokens_map = "{\"bos_token\":\"</s>\",\"mask_token\":\"<m>\"}",
        .generation_config = "{\"eos_token_id\":[1,3,2],\"pad_token_id\":5}",
        .config = "{\"eos_token_id\":4,\"bos_token_id\":4,\"pad_token_id\":-1,"
                  "\"sep_token_id\":400,\"cls_token_id\":4}",
    };
    struct made m = make_all(&t, &(struct hf_tokenizer_options){.vocab_size = 500});
    assert_true(m.ok);
    expect_id(&m, "tokenizer.ggml.bos_token_id", 0);
    expect_id(&m, "tokenizer.ggml.eos_token_id", 1);
    expect_id(&m, "tokenizer.ggml.eot_token_id", 2);
    expect_id(&m, "tokenizer.ggml.eom_token_id", 3);
    expect_id(&m, "tokenizer.ggml.padding_token_id", 5);
    expect_id(&m, "tokenizer.ggml.mask_token_id", 6);
    expect_id(&m, "tokenizer.ggml.cls_token_id", 4);
    expect_id(&m, "tokenizer.ggml.unknown_token_id", -1);
    expect_id(&m, "tokenizer.ggml.seperator_token_id", -1); /* beyond the last token */
    meta_close(&m.meta);

    t.generation_config = "{\"eos_token_id\":[1,4]}";
    m = make_all(&t, &(struct hf_tokenizer_options){0});
    expect_id(&m, "tokenizer.ggml.eot_token_id", 4);
    expect_id(&m, "tokenizer.ggml.eom_token_id", -1);
    meta_close(&m.meta);
}

static void what_is_put_around_a_text_is_said_where_it_is_known(void **state)
{
    (void)state;
#define TEMPLATE(items)                                                                            \
    "{" BYTE_LEVEL ",\"post_processor\":{\"type\":\"Sequence\",\"processors\":[{\"type\":"         \
    "\"ByteLevel\"},{\"type\":\"TemplateProcessing\",\"single\":[" items                           \
    "]}]}," BPE(CHAT_VOCAB, "[]") "}"
#define TOKEN(text) "{\"SpecialToken\":{\"id\":\"" text "\"}}"
#define TEXT        "{\"Sequence\":{\"id\":\"A\"}}"
    static const struct {
        const char *tokenizer, *config;
        int bos, eos;
    } row[] = {
        {"{" BYTE_LEVEL "," BPE(CHAT_VOCAB, "[]") "}", NULL, -1, -1},
        {TEMPLATE(TEXT), NULL, 0, 0},
        {TEMPLATE(TOKEN("<s>") "," TEXT), NULL, 1, 0},
        {TEMPLATE(TOKEN("<s>") "," TEXT "," TOKEN("</s>")), "{\"eos_token\":\"</s>\"}", 1, 1},
        {TEMPLATE(TOKEN("<s>") "," TEXT), "{\"bos_token\":\"<x>\"}", 0, 0},
        {TEMPLATE(TEXT), "{\"bos_token\":\"<x>\",\"add_bos_token\":true}", 1, 0},
        {TEMPLATE(TOKEN("<s>") "," TEXT), "{\"add_bos_token\":false}", 0, 0},
        {TEMPLATE(TEXT), "{\"add_bos_token\":true}", 0, 0}, /* but there is no such token */
    };
    for (size_t i = 0; i < sizeof row / sizeof *row; i++) {
        const struct texts t = {.tokenizer = row[i].tokenizer, .tokenizer_config = row[i].config};
        struct made m = make_all(&t, &(struct hf_tokenizer_options){0});
        assert_true(m.ok);
        expect_bool(&m, "tokenizer.ggml.add_bos_token", row[i].bos);
        expect_bool(&m, "tokenizer.ggml.add_eos_token", row[i].eos);
        meta_close(&m.meta);
    }
}

static void chat_templates_are_kept_with_their_names(void **state)
{
    (void)state;
    struct texts t = {.tokenizer = "{" BYTE_LEVEL "," BPE(ABC, "[]") "}",
                      .chat_template = "\"beside\""};
    const struct hf_tokenizer_options none = {0};
    struct made m = make_all(&t, &none);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.chat_template"), "beside");
    meta_close(&m.meta);

    t.tokenizer_config = "{\"chat_template\":\"inside\"}";
    m = make_all(&t, &none);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.chat_template"), "inside");
    assert_null(meta_find(&m.meta, "tokenizer.chat_templates"));
    meta_close(&m.meta);

    t.tokenizer_config = "{\"chat_template\":[{\"name\":\"tool-use\",\"template\":\"T\"},"
                         "{\"name\":\"default\",\"template\":\"D\"},{\"name\":\"rag\"},7]}";
    m = make_all(&t, &none);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.chat_template"), "D");
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.chat_template.tool_use"), "T");
    expect_texts(&m, "tokenizer.chat_templates", (const char *[]){"tool_use", NULL});
    meta_close(&m.meta);
}

#define SPLIT(regex) "{\"type\":\"Split\",\"pattern\":{\"Regex\":\"" regex "\"}}"
#define ENDING                                                                                     \
    "| ?[^\\\\s\\\\p{L}\\\\p{N}]+[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]+|\\\\s+(?!\\\\S)|\\\\s+"
#define LETTERS "[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?\\\\p{L}+"
#define BYTES   "{\"type\":\"ByteLevel\",\"use_regex\":false}"

static void expect_pre(const char *steps, const char *more, const char *config, const char *want)
{
    char tokenizer[4096];
    snprintf(tokenizer, sizeof tokenizer,
             "{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":[%s]},\"model\":{"
             "\"type\":\"BPE\"%s,\"vocab\":{\"a\":0},\"merges\":[]}}",
             steps, more);
    const struct texts t = {.tokenizer = tokenizer, .config = config};
    struct made m = make_all(&t, &(struct hf_tokenizer_options){0});
    assert_true(m.ok);
    assert_string_equal(m.facts.pre, want);
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.pre"), want);
    assert_int_equal(m.facts.pre_guessed, strcmp(want, "default") == 0);
    meta_close(&m.meta);
}

static void splitters_are_known_by_what_they_do(void **state)
{
    (void)state;
    const char *ignores = ",\"ignore_merges\":true";
    const char *llama3 =
        SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|" LETTERS "|\\\\p{N}{1,3}" ENDING) "," BYTES;
    expect_pre(llama3, ignores, NULL, "llama-bpe");
    expect_pre(llama3, "", NULL, "dbrx");
    expect_pre(llama3, "", "{\"model_type\":\"glm4\"}", "glm4");
    expect_pre(SPLIT("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])|" LETTERS
                     "|\\\\p{N}{1,3}" ENDING) "," BYTES,
               ignores, NULL, "llama-bpe");
    expect_pre(
        SPLIT("'(?i:[sdmt]|ll|ve|re)|[^\\\\r\\\\n\\\\p{L}\\\\p{N}]?+\\\\p{L}+|\\\\p{N}{1,3}| "
              "?[^\\\\s\\\\p{L}\\\\p{N}]++[\\\\r\\\\n]*|\\\\s*[\\\\r\\\\n]|\\\\s+(?!\\\\S)|"
              "\\\\s+") "," BYTES,
        "", NULL, "dbrx");
    const char *qwen2 = SPLIT("(?i:'s|'t|'re|'ve|'m|'ll|'d)|" LETTERS "|\\\\p{N}" ENDING) "," BYTES;
    expect_pre(qwen2, "", NULL, "qwen2");
    expect_pre(qwen2, "", "{\"model_type\":\"stablelm\"}", "stablelm2");
    expect_pre(qwen2, "", "{\"model_type\":\"stable\"}", "qwen2");
    expect_pre(qwen2, "", "{\"model_type\":\"lm\"}", "qwen2");
    expect_pre("{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\"}", "",
               NULL, "starcoder");
    expect_pre("{\"type\":\"Digits\",\"individual_digits\":true},{\"type\":\"ByteLevel\"}", "",
               "{\"model_type\":\"llama\"}", "smollm");
    expect_pre("{\"type\":\"Digits\",\"individual_digits\":true}," BYTES, "", NULL, "default");
    expect_pre(BYTES, "", NULL, "default");
    expect_pre("{\"type\":\"Split\",\"behavior\":\"MergedWithNext\",\"pattern\":{\"Regex\":"
               "\"\\\\p{N}\"}},{\"type\":\"ByteLevel\"}",
               "", NULL, "default");
}

static void an_unknown_splitter_is_default_with_a_note(void **state)
{
    (void)state;
    struct made m = make("{\"pre_tokenizer\":{\"type\":\"Sequence\",\"pretokenizers\":["
                         "{\"type\":\"Split\",\"behavior\":\"Isolated\",\"pattern\":{\"Regex\":"
                         "\"[a-z]+|[0-9]+|0123456789012345678901234567890123456789012345\"}}," BYTES
                         "]}," BPE(ABC, "[]") "}",
                         0);
    assert_true(m.facts.pre_guessed);
    assert_string_equal(
        m.facts.note,
        "no name is known for the splitter "
        "[a-z]+|[0-9]+|0123456789012345678901234567890123456789012345: tokenizer.ggml.pre is "
        "'default'; give the right one with --pre NAME");
    meta_close(&m.meta);
}

static void merges_that_the_engine_treats_otherwise_are_noted(void **state)
{
    (void)state;
    struct made m =
        make("{" BYTE_LEVEL ",\"model\":{\"type\":\"BPE\",\"ignore_merges\":true,\"vocab\":" ABC
             ",\"merges\":[]}}",
             0);
    assert_string_equal(m.facts.pre, "gpt-2");
    assert_false(m.facts.pre_guessed);
    assert_string_equal(m.facts.note,
                        "the tokenizer takes whole words as they are (ignore_merges), the engine "
                        "under tokenizer.ggml.pre 'gpt-2' does not: a few words may be split "
                        "otherwise");
    meta_close(&m.meta);
}

static void a_name_given_by_hand_is_written(void **state)
{
    (void)state;
    const struct texts t = {.tokenizer = "{" BYTE_LEVEL "," BPE(ABC, "[]") "}"};
    struct made m = make_all(&t, &(struct hf_tokenizer_options){.pre = "tekken"});
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.pre"), "tekken");
    assert_string_equal(m.facts.note, "");
    assert_false(m.facts.pre_guessed);
    meta_close(&m.meta);

    m = make_all(&t, &(struct hf_tokenizer_options){.pre = "teken"});
    assert_string_equal(m.facts.pre, "teken");
    assert_string_equal(m.facts.note, "stock llama.cpp knows no pre-tokenizer 'teken' and will "
                                      "refuse the file; did you mean 'tekken'?");
    meta_close(&m.meta);
}

static void what_cannot_be_converted_is_said(void **state)
{
    (void)state;
    static const struct {
        const char *tokenizer;
        uint64_t rows;
        enum err_code code;
        const char *sentence;
    } bad[] = {
        {"{}", 0, ERR_FORMAT, "tokenizer.json: model is no object"},
        {"[]", 0, ERR_FORMAT, "tokenizer.json: model is no object"},
        {"{\"model\":{\"type\":\"WordPiece\"}}", 0, ERR_UNSUPPORTED,
         "tokenizer.json: a tokenizer of type WordPiece: only BPE is converted"},
        {"{\"model\":{\"type\":\"Unigram\",\"merges\":[]}}", 0, ERR_UNSUPPORTED,
         "tokenizer.json: a tokenizer of type Unigram: only BPE is converted"},
        {"{\"model\":{\"type\":\"BPE\",\"end_of_word_suffix\":\"</w>\"}}", 0, ERR_UNSUPPORTED,
         "tokenizer.json: model.end_of_word_suffix is '</w>': no GGUF key says that"},
        {"{\"model\":{\"type\":\"BPE\",\"merges\":{}}}", 0, ERR_FORMAT,
         "tokenizer.json: model.merges is no list"},
        {"{\"model\":{\"type\":\"BPE\",\"merges\":[],\"vocab\":[]}}", 0, ERR_FORMAT,
         "tokenizer.json: model.vocab is no object"},
        {"{" BPE("{}", "[]") "}", 0, ERR_FORMAT, "tokenizer.json: no tokens"},
        {"{" BPE(ABC, "[]") "}", 0, ERR_UNSUPPORTED,
         "tokenizer.json: a BPE neither on bytes (ByteLevel) nor with byte_fallback: no GGUF key "
         "says that"},
        {"{" BYTE_LEVEL "," BPE(ABC, "[]") "}", 4, ERR_FORMAT,
         "the tokenizer has 5 tokens, but the embedding only 4 rows"},
        {"{" BYTE_LEVEL "," BPE("{\"a\":0,\"b\":0}", "[]") "}", 0, ERR_FORMAT,
         "tokenizer.json: id 0 stands for both 'a' and 'b'"},
        {"{" BYTE_LEVEL "," BPE("{\"a\":-1}", "[]") "}", 0, ERR_FORMAT,
         "tokenizer.json: token 'a' has id -1, which is no id among 1 tokens"},
        {"{" BYTE_LEVEL "," BPE("{\"a\":9000000000}", "[]") "}", 0, ERR_FORMAT,
         "tokenizer.json: token 'a' has id 9000000000, which is no id among 1 tokens"},
        {"{" BYTE_LEVEL "," BPE("{\"a\":\"0\"}", "[]") "}", 0, ERR_FORMAT,
         "tokenizer.json: token 'a' has an id that is no integer"},
        {"{" BYTE_LEVEL "," BPE(ABC, "[\"a b\",\"ab\"]") "}", 0, ERR_FORMAT,
         "tokenizer.json: model.merges[1] is no pair of pieces"},
        {"{" BYTE_LEVEL "," BPE(ABC, "[[\"a\",\"b\",\"c\"]]") "}", 0, ERR_FORMAT,
         "tokenizer.json: model.merges[0] is no pair of pieces"},
        {"{" SPM(ABC, "[\"b a\"]") "}", 0, ERR_FORMAT,
         "tokenizer.json: model.merges[0] makes a piece that is no token"},
        {"{\"added_tokens\":[{\"id\":\"x\",\"content\":\"y\"}]," BYTE_LEVEL "," BPE(ABC, "[]") "}",
         0, ERR_FORMAT, "tokenizer.json: added_tokens[0] lacks content or id"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const struct hf_tokenizer_options options = {.vocab_size = bad[i].rows};
        struct made m = make_all(&(struct texts){.tokenizer = bad[i].tokenizer}, &options);
        if (m.ok)
            fail_msg("was taken: %s", bad[i].tokenizer);
        if (m.err.code != bad[i].code || strcmp(m.err.text, bad[i].sentence) != 0)
            fail_msg("for %s:\n  expected %s\n  but was  %s", bad[i].tokenizer, bad[i].sentence,
                     m.err.text);
        meta_close(&m.meta);
    }
}

static void a_folder_is_read(void **state)
{
    (void)state;
    struct made m = {0};
    const struct hf_tokenizer_options options = {.vocab_size = 400};
    assert_true(
        hf_tokenizer_read("tests/golden/models/llama", NULL, &options, &m.meta, &m.facts, &m.err));
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.ggml.model"), "llama");
    expect_id(&m, "tokenizer.ggml.bos_token_id", 1);
    expect_id(&m, "tokenizer.ggml.eos_token_id", 2);
    expect_id(&m, "tokenizer.ggml.unknown_token_id", 0);
    expect_bool(&m, "tokenizer.ggml.add_bos_token", 1);
    expect_bool(&m, "tokenizer.ggml.add_eos_token", 0);
    meta_close(&m.meta);

    struct scratch s;
    scratch_open(&s);
    scratch_text(&s, "tokenizer.json", "{" BYTE_LEVEL "," BPE(ABC, "[]") "}");
    scratch_text(&s, "chat_template.jinja", "{{ messages }}\n");
    assert_true(hf_tokenizer_read(s.folder, NULL, &options, &m.meta, &m.facts, &m.err));
    assert_string_equal(meta_get_text(&m.meta, "tokenizer.chat_template"), "{{ messages }}\n");
    meta_close(&m.meta);

    scratch_text(&s, "tokenizer_config.json", "{\"model_max_length\":");
    assert_false(hf_tokenizer_read(s.folder, NULL, &options, &m.meta, &m.facts, &m.err));
    assert_int_equal(m.err.code, ERR_FORMAT);
    assert_non_null(strstr(m.err.text, "tokenizer_config.json: line 1"));
    meta_close(&m.meta);
    scratch_close(&s);

    assert_false(hf_tokenizer_read("tests/golden", NULL, &options, &m.meta, &m.facts, &m.err));
    assert_int_equal(m.err.code, ERR_IO);
    assert_non_null(strstr(m.err.text, "tests/golden/tokenizer.json"));
    meta_close(&m.meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(byte_level_pieces_and_merges_stand_in_order),
        cmocka_unit_test(merges_as_pairs_spell_their_spaces),
        cmocka_unit_test(holes_and_rows_without_a_token_are_padded),
        cmocka_unit_test(sentencepiece_scores_are_ranks),
        cmocka_unit_test(added_tokens_have_types),
        cmocka_unit_test(tokens_come_from_the_other_files_too),
        cmocka_unit_test(special_ids_have_an_order_of_sources),
        cmocka_unit_test(what_is_put_around_a_text_is_said_where_it_is_known),
        cmocka_unit_test(chat_templates_are_kept_with_their_names),
        cmocka_unit_test(splitters_are_known_by_what_they_do),
        cmocka_unit_test(an_unknown_splitter_is_default_with_a_note),
        cmocka_unit_test(merges_that_the_engine_treats_otherwise_are_noted),
        cmocka_unit_test(a_name_given_by_hand_is_written),
        cmocka_unit_test(what_cannot_be_converted_is_said),
        cmocka_unit_test(a_folder_is_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
