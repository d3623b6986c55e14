#include "tools/llama_option.h"

#include <string.h>

#define ARGUMENT  "the model's file is named without one"
#define PROCESSOR "quern computes on the processor"
#define BATCHES   "quern cuts prompts into batches by itself"
#define BASE_FILE "--save-base FILE writes a KL base file, --base FILE compares with one"
#define TALKS     "without a prompt lines are answered one after the other"

static const struct llama_option options[] = {
    {"-m", NULL, ARGUMENT},
    {"--model", NULL, ARGUMENT},
    {"-ngl", NULL, PROCESSOR},
    {"--n-gpu-layers", NULL, PROCESSOR},
    {"--gpu-layers", NULL, PROCESSOR},
    {"-b", NULL, BATCHES},
    {"-ub", NULL, BATCHES},
    {"--batch-size", NULL, BATCHES},
    {"--ubatch-size", NULL, BATCHES},
    {"--ctx-size", "context", NULL},
    {"--n-predict", "tokens", NULL},
    {"--predict", "tokens", NULL},
    {"--temperature", "temp", NULL},
    {"-r", "stop", NULL},
    {"--reverse-prompt", "stop", NULL},
    {"-sys", "system", NULL},
    {"--system-prompt", "system", NULL},
    {"-cnv", NULL, TALKS},
    {"--conversation", NULL, TALKS},
    {"-i", NULL, TALKS},
    {"--interactive", NULL, TALKS},
    {"-no-cnv", "raw", NULL},
    {"--no-conversation", "raw", NULL},
    {"-ctk", "cache-type", NULL},
    {"-ctv", "cache-type", NULL},
    {"--cache-type-k", "cache-type", NULL},
    {"--cache-type-v", "cache-type", NULL},
    {"-tb", "threads", NULL},
    {"--threads-batch", "threads", NULL},
    {"--log-disable", "quiet", NULL},
    {"--ppl-stride", "stride", NULL},
    {"--kl-divergence", NULL, "--against SOURCE compares, and --base FILE with a KL base file"},
    {"--kl-divergence-base", NULL, BASE_FILE},
    {"--show-count", "count", NULL},
    {"--stdin", NULL, "standard input is read where no text is named"},
    {"--outfile", "output", NULL},
    {"--output-file", "output", NULL},
    {"--outtype", "type", NULL},
    {"--in-file", "merge", NULL},
    {"--output-tensor-type", "output-type", NULL},
    {"--token-embedding-type", "embedding-type", NULL},
    {"--leave-output-tensor", "leave-output", NULL},
};

const struct llama_option *llama_option_find(const char *name, size_t length)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
        if (strlen(options[i].name) == length && memcmp(options[i].name, name, length) == 0)
            return &options[i];
    return NULL;
}
