/* Any files of a tokenizer: keys or a sentence, nothing else.
 *
 * The input is a byte for the options, then tokenizer.json, tokenizer_config.json,
 * special_tokens_map.json, generation_config.json, added_tokens.json, a chat template and
 * config.json, each ended by a NUL; missing ones are not there. */
#include "core/json.h"
#include "formats/hf_tokenizer.h"

#include <stdlib.h>
#include <string.h>

enum { FILES = 7 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_keys(const struct meta *m, const struct hf_tokenizer_options *options)
{
    const struct meta_value *tokens = meta_find(m, "tokenizer.ggml.tokens");
    const struct meta_value *types = meta_find(m, "tokenizer.ggml.token_type");
    if (!tokens || !types || tokens->count != types->count ||
        (options->vocab_size && tokens->count != options->vocab_size))
        abort();
    const struct meta_text *text = tokens->as.array;
    const int32_t *type = types->as.array;
    for (size_t id = 0; id < tokens->count; id++) {
        if (!text[id].text || type[id] < 1 || type[id] > 6)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const uint64_t rows[] = {0, 3, 300, 70000};
    json_t *file[FILES] = {NULL};
    const char *at = (const char *)data + 1, *end = (const char *)data + size;
    if (size == 0)
        return 0;
    for (int i = 0; i < FILES && at < end; i++) {
        const char *stop = memchr(at, 0, (size_t)(end - at));
        const size_t length = (size_t)((stop ? stop : end) - at);
        if (length > 0)
            file[i] = json_loadb(at, length, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
        at += length + 1;
    }

    const struct hf_tokenizer_files files = {file[0], file[1], file[2], file[3],
                                             file[4], file[5], file[6]};
    const struct hf_tokenizer_options options = {.pre = data[0] & 4 ? "llama-bpe" : NULL,
                                                 .vocab_size = rows[data[0] & 3]};
    struct hf_tokenizer_facts facts;
    struct meta meta = {0};
    struct err err = {0};
    const bool ok = hf_tokenizer_parse(&files, &options, &meta, &facts, &err);
    if (ok != (err.code == ERR_NONE))
        abort();
    if (ok)
        check_keys(&meta, &options);
    meta_close(&meta);
    for (int i = 0; i < FILES; i++)
        json_decref(file[i]);
    return 0;
}
