#include "tools/command.h"

#include "tools/make.h"

#include <string.h>

static bool run_convert(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct make_options o = {.type = "auto", .flavour = "stock"};
    bool done;
    const struct opt table[] = {
        {"output", 'o', OPT_TEXT, &o.out, "OUT.gguf", "the file to write"},
        OPT_FORCE(&s.common),
        {"type", 0, OPT_TEXT, &o.type, "TYPE",
         "auto (each tensor as it is: bf16 stays bf16), F16, BF16, F32, or any recipe of `quern "
         "codecs`"},
        {"verify", 0, OPT_FLAG, &o.verify, NULL,
         "then compare every tensor of the file with its source"},
        {"name", 0, OPT_TEXT, &o.plan.name, "NAME", "general.name (default: from the source)"},
        {"pre", 0, OPT_TEXT, &o.plan.pre, "NAME",
         "the pre-tokenizer's name in llama.cpp, where it is not recognised: llama-bpe, qwen2, "
         "default..."},
        {"vocab-only", 0, OPT_FLAG, &o.plan.vocab_only, NULL,
         "write the tokenizer and the keys, no tensors"},
        {"allow-nan", 0, OPT_FLAG, &o.allow_nan, NULL,
         "let NaN and infinities through (they are counted)"},
        {"dry-run", 0, OPT_FLAG, &o.dry_run, NULL,
         "say what would be done and how large the file would be"},
        {"no-table", 0, OPT_FLAG, &o.no_table, NULL, "only the totals, not a line a tensor"},
        {"report", 0, OPT_TEXT, &o.report, "FILE.json", "write the table as JSON, too"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    o.source = argv[0];
    o.type = strcmp(o.type, "auto") == 0 ? NULL : o.type;
    const bool ok = session_open(&s, err) && make_run(&o, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_convert = {
    .name = "convert",
    .usage = "SOURCE -o OUT.gguf [OPTION]...",
    .summary = "a model as people download it to GGUF, without loss",
    .text = "SOURCE is a model folder from a hub (config.json, safetensors, tokenizer.json), a\n"
            "safetensors file, or a GGUF. The file runs in unmodified llama.cpp and Ollama.\n\n"
            "  quern convert Llama-3.2-1B-Instruct -o llama-3.2-1b.gguf --verify\n",
    .run = run_convert,
};
