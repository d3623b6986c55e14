#include "formats/pretokenizer_names.h"

#include <stddef.h>

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
#define DEEPSEEK3                                                                                  \
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+"                                        \
    "|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*"                      \
    "|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"
#define CJK        "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
#define CJK_HANGUL "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
#define BLOOM      " ?[^(\\s|[.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c])]+"
#define BLOOM_FLAT " ?[^(\\s|.,!?\u2026\u3002\uff0c\u3001\u0964\u06d4\u060c)]+"

const struct pretokenizer_row pretokenizer_rows[] = {
    {"llama-bpe", NULL, 1, {LLAMA3}},
    {"glm4", "chatglm glm glm4 glm4_moe glm4_moe_lite glm4v glm4v_moe", 0, {LLAMA3}},
    {"dbrx", NULL, 0, {LLAMA3}},

    {"stablelm2", "stablelm", -1, {QWEN2}},
    {"hunyuan", "hunyuan hunyuan_v1_moe", -1, {QWEN2}},
    {"grok-2", "grok grok-2 git", -1, {QWEN2}},
    {"solar-open", "solar_open", -1, {QWEN2}},
    {"bailingmoe", "bailing_moe", -1, {QWEN2}},
    {"bailingmoe2", "bailing_moe_v2", -1, {QWEN2}},
    {"llada-moe", "llada", -1, {QWEN2}},
    {"qwen2", NULL, -1, {QWEN2}},
    {"qwen35",
     NULL,
     -1,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?[\\p{L}\\p{M}]+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{M}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+"}},
    {"ufakzeka", NULL, -1, {WORD "|\\p{N}|" REST}},
    {"laguna", NULL, -1, {"[^\\n]+|[\\n]+", QWEN2}},
    {"minicpm5", NULL, -1, {"\\p{N}{1,3}", CONTRACTION "|" WORD "|\\p{N}+|" REST}},
    {"seed-coder",
     NULL,
     -1,
     {CONTRACTION "|" WORD "|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\\r\\n]+|\\s*[\\r\\n]+"
                  "|\\s+(?!\\S)|\\s+"}},
    {"exaone-moe",
     NULL,
     -1,
     {CONTRACTION "|[^\\r\\n\\p{L}\\p{N}]?(?:\\p{L}\\p{M}*(?: \\p{L}\\p{M}*)*)+|\\p{N}"
                  "| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]?|\\s*[\\r\\n]|\\s+(?!\\S)|\\s+"}},
    {"jais-2",
     NULL,
     -1,
     {CONTRACTION "|" WORD "|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*"
                  "|\\s*[\\r\\n]+|\\s{512}(?!\\S)|..."}},

    {"deepseek-v3", NULL, -1, {"\\p{N}{1,3}", CJK, DEEPSEEK3}},
    {"afmoe", NULL, -1, {"...", "[\u4e00-\u9fff\u3400-\u4dbf...", DEEPSEEK3}},
    {"deepseek-llm",
     NULL,
     -1,
     {"[\\r\\n]", "\\s?[A-Za-z\u00b5\u00c0-\u00d6...", "\\s?[!-/:-~...", "\\s+$", CJK_HANGUL,
      "\\p{N}"}},
    {"deepseek-llm",
     NULL,
     -1,
     {"[\\r\\n]", "\\s?[A-Za-z\u00b5\u00c0-\u00d6...", "\\s?[!-/:-~...", "\\s+$", CJK_HANGUL,
      "\\p{N}+"}},
    {"deepseek-coder", NULL, -1, {"[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", CJK_HANGUL, "\\p{N}"}},

    {"llama4", "llama4 llama4_text", -1, {GPT4O}},
    {"minimax-m2", "minimax minimax_m2", -1, {GPT4O}},
    {"gpt-4o", NULL, -1, {GPT4O}},
    {"tekken", NULL, -1, {CASED("") "|\\p{N}|" REST_SLASH}},
    {"tiny_aya", NULL, -1, {"\\d{1,3}(?=(?:\\d{3})*\\b)", GPT4O}},
    {"youtu",
     NULL,
     -1,
     {"[\uac00-\ud7a3\u3131-\u318e]+|...", CASED(CONTRACTION "?") "|\\p{N}|" REST_SLASH}},
    {"kimi-k2", NULL, -1, {"[\\p{Han}]+|..."}},
    {"superbpe", NULL, -1, {"\\p{N}+", "(?=(\\d{3})+(?!\\d))"}},

    {"command-r", "cohere cohere2", -1, {"\\p{N}", GPT2}},
    {"exaone", "exaone", -1, {"\\p{N}", GPT2}},
    {"refact", "gpt_refact granite granitemoe", -1, {"\\p{N}", GPT2}},
    {"smollm", "llama", -1, {"\\p{N}", GPT2}},
    {"minerva-7b", "mistral", -1, {"\\p{N}", GPT2}},
    {"starcoder", NULL, -1, {"\\p{N}", GPT2}},

    {"olmo", "gpt_neox olmo olmoe", -1, {GPT2}},
    {"mpt", "mpt", -1, {GPT2}},
    {"phi-2", "phi", -1, {GPT2}},
    {"jais", "jais", -1, {GPT2}},
    {"exaone4", "exaone4", -1, {GPT2}},
    {"roberta-bpe", "roberta", -1, {GPT2}},
    {"modern-bert", "modernbert", -1, {GPT2}},
    {"gpt-2", NULL, -1, {GPT2}},

    {"falcon", NULL, -1, {"Punctuation Contiguous", GPT2, "\\p{N}+", "[0-9][0-9][0-9]"}},
    {"chameleon",
     NULL,
     -1,
     {"<sentinel:[0-9]+>", "(IMGIMG)((A|B|C|D|E|F|G|H|I){1,4})Z", "([\\t\\n]|    |  )", "\\p{N}",
      "Punctuation Isolated", GPT2}},
    {"viking", NULL, -1, {BLOOM, "\\p{N}"}},
    {"viking", NULL, -1, {BLOOM_FLAT, "\\p{N}"}},
    {"poro-chat", "llama", -1, {BLOOM}},
    {"bloom", NULL, -1, {BLOOM}},
    {"bloom", NULL, -1, {BLOOM_FLAT}},
    {NULL, NULL, 0, {NULL}},
};

const char *const pretokenizer_names[] = {
    "default",
    "a.x-4.0",
    "afmoe",
    "bailingmoe",
    "bailingmoe2",
    "bloom",
    "chameleon",
    "chatglm-bpe",
    "codeshell",
    "cohere2moe",
    "command-r",
    "dbrx",
    "deepseek-coder",
    "deepseek-llm",
    "deepseek-r1-qwen",
    "deepseek-v3",
    "exaone",
    "exaone-moe",
    "exaone4",
    "f2llmv2",
    "falcon",
    "falcon-h1",
    "falcon3",
    "gemma4",
    "gigachat",
    "glm4",
    "gpt-2",
    "gpt-4o",
    "gpt3-finnish",
    "granite-docling",
    "granite-embed-multi-311m",
    "granite-embed-multi-97m",
    "grok-2",
    "hunyuan",
    "hunyuan-dense",
    "hy_v4",
    "jais",
    "jais-2",
    "jina-de",
    "jina-es",
    "jina-v1-en",
    "jina-v2-code",
    "jina-v2-de",
    "jina-v2-es",
    "jina-v5-nano",
    "joyai-llm",
    "kanana2",
    "kimi-k2",
    "kormo",
    "laguna",
    "lfm2",
    "llada-moe",
    "llama-bpe",
    "llama-v3",
    "llama3",
    "llama4",
    "megrez",
    "mellum",
    "mellum2",
    "midm-2.0",
    "minerva-7b",
    "minicpm5",
    "minimax-m2",
    "modern-bert",
    "mpt",
    "olmo",
    "phi-2",
    "pixtral",
    "poro-chat",
    "qwen2",
    "qwen35",
    "refact",
    "roberta-bpe",
    "sarvam-moe",
    "seed-coder",
    "smaug-bpe",
    "smollm",
    "solar-open",
    "spark2_5",
    "stablelm2",
    "starcoder",
    "superbpe",
    "talkie",
    "tekken",
    "tiny_aya",
    "trillion",
    "ufakzeka",
    "viking",
    "whitespace",
    "youtu",
    NULL,
};
