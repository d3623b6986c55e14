#include "formats/pretokenizer_names.h"

#include <stddef.h>

/* Up to here a step is compared, what follows is only run. */
#define CUT PRETOKENIZER_CUT

/* The pieces that many splitters share. */
#define CONTRACTION "(?i:'s|'t|'re|'ve|'m|'ll|'d)"
#define WORD        "[^\\r\\n\\p{L}\\p{N}]?\\p{L}+"
#define REST        " ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define REST_SLASH  " ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define UPPER       "[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]"
#define LOWER       "[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]"
#define LEAD        "[^\\r\\n\\p{L}\\p{N}]?"

#define GPT2       "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+"
#define LLAMA3     CONTRACTION "|" WORD "|\\p{N}{1,3}|" REST
#define QWEN2      CONTRACTION "|" WORD "|\\p{N}|" REST
#define CASED(end) LEAD UPPER "*" LOWER "+" end "|" LEAD UPPER "+" LOWER "*" end
#define GPT4O      CASED(CONTRACTION "?") "|\\p{N}{1,3}|" REST_SLASH
#define ASCII_WORD "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"
#define DEEPSEEK3                                                                                  \
    ASCII_WORD "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"           \
               "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CASED_LETTERS                                                                              \
    "\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376"         \
    "\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5"                 \
    "\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"               \
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15"               \
    "\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d"          \
    "\u1f80-\u1fb4\u1fb6-\u1fbc\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb"         \
    "\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d"          \
    "\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183"     \
    "\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b"          \
    "\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17"               \
    "\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"                         \
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"         \
    "\U0001e900-\U0001e943"
#define AFMOE_LETTERS                                                                              \
    "\uf900-\ufaff\u3040-\u309f\u30a0-\u30ff\uff65-\uff9f\u2f00-\u2fdf\u0e40-\u0e7f\u0e80-\u0eff"  \
    "\u1780-\u17ff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\uac00-\ud7af\u1100-\u11ff"
#define THREES_FROM_THE_RIGHT "\\p{N}{1,3}(?=(?:\\p{N}{3})*(?!\\p{N}))"
#define DEEPSEEK_LETTERS      "\\s?[A-Za-z\u00b5\u00c0-\u00d6" CUT CASED_LETTERS "]+"
#define DEEPSEEK_MARKS        "\\s?[!-/:-~" CUT "\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
#define CJK                   "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
#define CJK_HANGUL            "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
#define JAIS_SPACES                                                                                \
    "\\s{256}(?!\\S)|\\s{128}(?!\\S)|\\s{64}(?!\\S)|\\s{32}(?!\\S)|\\s{16}(?!\\S)|\\s{8}(?!\\S)"   \
    "|\\s{4}(?!\\S)|\\s{1,2}(?!\\S)|\\s"
#define YOUTU                                                                                      \
    "[\uac00-\ud7a3\u3131-\u318e]+|" CUT                                                           \
    "[\uff01\u2026\u201c\u201d\u2018\u2019\u2014\uff1a\uff1b\uff0c\u3001-\u303f\ufe30-\ufe4f]+"    \
    "|[\u3105-\u312f]+|" CJK
#define NO_HAN "(?!\\p{Han})"
#define KIMI(upper, lower)                                                                         \
    LEAD "(?:" NO_HAN UPPER ")" upper "(?:" NO_HAN LOWER ")" lower CONTRACTION "?"
#define KIMI_K2    "[\\p{Han}]+|" CUT KIMI("*", "+") "|" KIMI("+", "*") "|\\p{N}{1,3}|" REST
#define BLOOM      " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
#define BLOOM_FLAT " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"

const struct pretokenizer_row pretokenizer_rows[] = {
    {"llama-bpe", NULL, true, {LLAMA3}},
    {"glm4", "chatglm glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe", false, {LLAMA3}},
    {"dbrx", NULL, false, {LLAMA3}},

    {"stablelm2", "stablelm", false, {QWEN2}},
    {"hunyuan", "hunyuan hunyuan_v1_moe", false, {QWEN2}},
    {"grok-2", "grok grok-2 git", false, {QWEN2}},
    {"solar-open", "solar_open", false, {QWEN2}},
    {"bailingmoe", "bailing_moe", false, {QWEN2}},
    {"bailingmoe2", "bailing_moe_v2", false, {QWEN2}},
    {"llada-moe", "llada", false, {QWEN2}},
    {"qwen2", NULL, false, {QWEN2}},
    {"qwen35",
     NULL,
     false,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"ufakzeka", NULL, false, {WORD "|\\p{N}|" REST}},
    {"laguna", NULL, false, {"[^\\n]+|[\\n]+", QWEN2}},
    {"minicpm5", NULL, true, {"\\p{N}{1,3}", CONTRACTION "|" WORD "|\\p{N}+|" REST}},
    {"seed-coder",
     NULL,
     false,
     {CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+"
                  "|\\s+(?!\\S)|\\s+"}},
    {"exaone-moe",
     NULL,
     false,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"jais-2",
     NULL,
     false,
     {CONTRACTION "|" WORD "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                  "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|" CUT JAIS_SPACES}},

    {"deepseek-v3", NULL, false, {"\\p{N}{1,3}", CJK, DEEPSEEK3}},
    {"spark2_5",
     NULL,
     false,
     {"\\p{N}", CJK,
      ASCII_WORD "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+|[\\r\\n]"
                 "|\\s+(?!\\S)|\\s+"}},
    {"afmoe",
     NULL,
     false,
     {CUT THREES_FROM_THE_RIGHT, "[\u4e00-\u9fff\u3400-\u4dbf" CUT AFMOE_LETTERS "]+", DEEPSEEK3}},
    {"deepseek-llm",
     NULL,
     false,
     {"[\\r\\n]", DEEPSEEK_LETTERS, DEEPSEEK_MARKS, "\\s+$", CJK_HANGUL, "\\p{N}+"}},
    {"deepseek-llm",
     NULL,
     false,
     {"[\\r\\n]", DEEPSEEK_LETTERS, DEEPSEEK_MARKS, "\\s+$", CJK_HANGUL, "\\p{N}"}},
    {"deepseek-coder",
     NULL,
     false,
     {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, "\\p{N}"}},

    {"llama4", "llama4 llama4_text", false, {GPT4O}},
    {"minimax-m2", "minimax minimax_m2", false, {GPT4O}},
    {"granite-embed-multi-97m", "modernbert", true, {GPT4O}},
    {"gpt-4o", NULL, false, {GPT4O}},
    {"tekken", NULL, true, {CASED("") "|\\p{N}|" REST_SLASH}},
    {"tiny_aya", NULL, false, {"\\d{1,3}(?=(?:\\d{3})*\\b)", GPT4O}},
    {"youtu", NULL, true, {YOUTU, CASED(CONTRACTION "?") "|\\p{N}|" REST_SLASH}},
    {"kimi-k2", NULL, false, {KIMI_K2}},
    {"superbpe", NULL, false, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},

    {"command-r", "cohere cohere2", false, {"\\p{N}", GPT2}},
    {"exaone", "exaone", false, {"\\p{N}", GPT2}},
    {"refact", "gpt_refact granite granitemoe", false, {"\\p{N}", GPT2}},
    {"smollm", "llama", false, {"\\p{N}", GPT2}},
    {"minerva-7b", "mistral", false, {"\\p{N}", GPT2}},
    {"starcoder", NULL, false, {"\\p{N}", GPT2}},

    {"olmo", "gpt_neox olmo olmoe", false, {GPT2}},
    {"mpt", "mpt", false, {GPT2}},
    {"phi-2", "phi", false, {GPT2}},
    {"jais", "jais", false, {GPT2}},
    {"exaone4", "exaone4", false, {GPT2}},
    {"roberta-bpe", "roberta", false, {GPT2}},
    {"modern-bert", "modernbert", false, {GPT2}},
    {"gpt-2", NULL, false, {GPT2}},

    {"falcon", NULL, false, {"Punctuation Contiguous", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"chameleon",
     NULL,
     false,
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "Punctuation Isolated", GPT2}},
    {"viking", NULL, false, {BLOOM, "\\p{N}"}},
    {"viking", NULL, false, {BLOOM_FLAT, "\\p{N}"}},
    {"poro-chat", "llama", false, {BLOOM}},
    {"bloom", NULL, false, {BLOOM}},
    {"bloom", NULL, false, {BLOOM_FLAT}},
    {"default", NULL, false, {"[\\p{P}\\$\\+<=>\\^~\\|]+", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {NULL, NULL, false, {NULL}},
};

const struct pretokenizer_name pretokenizer_names[] = {
    {.name = "default"},
    {.name = "a.x-4.0", .as = "gpt-2"},
    {.name = "afmoe"},
    {.name = "bailingmoe"},
    {.name = "bailingmoe2"},
    {.name = "bloom"},
    {.name = "chameleon", .add_bos = true},
    {.name = "chatglm-bpe", .as = "glm4"},
    {.name = "codeshell", .as = "starcoder"},
    {.name = "cohere2moe", .as = "tiny_aya", .nfc = true},
    {.name = "command-r", .nfc = true},
    {.name = "dbrx"},
    {.name = "deepseek-coder"},
    {.name = "deepseek-llm"},
    {.name = "deepseek-r1-qwen", .as = "qwen2", .nfc = true},
    {.name = "deepseek-v3"},
    {.name = "exaone"},
    {.name = "exaone-moe"},
    {.name = "exaone4"},
    {.name = "f2llmv2", .as = "qwen2", .nfc = true},
    {.name = "falcon"},
    {.name = "falcon-h1", .as = "llama-bpe", .add_bos = true},
    {.name = "falcon3", .as = "llama-bpe", .add_bos = true},
    {.name = "gemma4"},
    {.name = "gigachat", .as = "gpt-2"},
    {.name = "glm4"},
    {.name = "glm5", .as = "glm4"},
    {.name = "gpt-2"},
    {.name = "gpt-4o"},
    {.name = "gpt3-finnish", .as = "bloom"},
    {.name = "granite-docling", .as = "gpt-2"},
    {.name = "granite-embed-multi-311m"},
    {.name = "granite-embed-multi-97m"},
    {.name = "grok-2"},
    {.name = "hunyuan"},
    {.name = "hunyuan-dense", .as = "deepseek-v3"},
    {.name = "hy_v4", .as = "deepseek-v3"},
    {.name = "jais"},
    {.name = "jais-2"},
    {.name = "jina-de", .as = "gpt-2"},
    {.name = "jina-es", .as = "gpt-2"},
    {.name = "jina-v1-en", .as = "gpt-2"},
    {.name = "jina-v2-code", .as = "gpt-2"},
    {.name = "jina-v2-de", .as = "gpt-2"},
    {.name = "jina-v2-es", .as = "gpt-2"},
    {.name = "jina-v5-nano", .as = "llama-bpe", .add_bos = true},
    {.name = "joyai-llm", .as = "deepseek-v3"},
    {.name = "kanana2", .as = "gpt-4o"},
    {.name = "kimi-k2"},
    {.name = "kormo", .as = "qwen2"},
    {.name = "laguna"},
    {.name = "lfm2", .as = "llama-bpe", .add_bos = true},
    {.name = "llada-moe"},
    {.name = "llama-bpe", .add_bos = true},
    {.name = "llama-v3", .as = "llama-bpe", .add_bos = true},
    {.name = "llama3", .as = "llama-bpe", .add_bos = true},
    {.name = "llama4"},
    {.name = "megrez", .as = "qwen2", .nfc = true},
    {.name = "mellum", .as = "gpt-2"},
    {.name = "mellum2", .as = "starcoder"},
    {.name = "midm-2.0", .as = "llama-bpe", .add_bos = true},
    {.name = "minerva-7b"},
    {.name = "minicpm5"},
    {.name = "minimax-m2"},
    {.name = "mmbert"},
    {.name = "modern-bert", .nfc = true},
    {.name = "mpt", .nfc = true},
    {.name = "olmo", .nfc = true},
    {.name = "phi-2"},
    {.name = "pixtral", .as = "llama-bpe", .add_bos = true},
    {.name = "poro-chat"},
    {.name = "qwen2", .nfc = true},
    {.name = "qwen35", .nfc = true},
    {.name = "refact"},
    {.name = "roberta-bpe"},
    {.name = "sarvam-moe"},
    {.name = "seed-coder"},
    {.name = "smaug-bpe", .as = "dbrx"},
    {.name = "smollm"},
    {.name = "solar-open"},
    {.name = "spark2_5"},
    {.name = "stablelm2", .nfc = true},
    {.name = "starcoder"},
    {.name = "superbpe"},
    {.name = "talkie", .as = "gpt-4o"},
    {.name = "tekken", .add_bos = true},
    {.name = "tiny_aya", .nfc = true},
    {.name = "trillion", .as = "gpt-2"},
    {.name = "ufakzeka"},
    {.name = "viking"},
    {.name = "whitespace"},
    {.name = "youtu"},
    {.name = NULL},
};
