/* tokenizer_file - a model folder's tokenizer as a GGUF without tensors, for tests/oracle.
 *
 *   tokenizer_file FOLDER OUT [ROWS [PRE]]
 *   tokenizer_file names
 *
 * ROWS of the embedding (0: as many as tokens), PRE as --pre.  Prints the pre-tokenizer's name;
 * "names" prints all that are known. */
#include "core/json.h"
#include "formats/gguf_write.h"
#include "formats/hf_tokenizer.h"
#include "formats/pretokenizer_names.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static json_t *open_config(const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", folder);
    return access(path, F_OK) == 0 ? json_open(path, NULL) : NULL;
}

static bool convert(char **argv, const struct hf_tokenizer_options *options, struct err *err)
{
    struct meta meta = {0};
    struct gguf_writer writer = {0};
    struct hf_tokenizer_facts facts;
    json_t *config = open_config(argv[1]);
    meta_set_text(&meta, "general.architecture", "llama");
    const bool ok = hf_tokenizer_read(argv[1], config, options, &meta, &facts, err) &&
                    gguf_write_open(&writer, argv[2], true, &meta, NULL, 0, err) &&
                    gguf_write_commit(&writer, err);
    if (ok)
        printf("%s\n%s", facts.pre, facts.note);
    gguf_write_close(&writer);
    meta_close(&meta);
    json_decref(config);
    return ok;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    if (argc == 2 && strcmp(argv[1], "names") == 0) {
        for (const struct pretokenizer_name *known = pretokenizer_names; known->name; known++)
            puts(known->name);
        return 0;
    }
    if (argc < 3 || argc > 5)
        return 2;
    const struct hf_tokenizer_options options = {
        .vocab_size = argc > 3 ? strtoull(argv[3], NULL, 10) : 0,
        .pre = argc > 4 ? argv[4] : NULL,
    };
    if (!convert(argv, &options, &err))
        fprintf(stderr, "tokenizer_file: %s\n", err.text);
    return err.code != ERR_NONE;
}
