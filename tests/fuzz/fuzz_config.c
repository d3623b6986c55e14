/* Any config.json: every getter on every kind of member, and the rotary embedding. */
#include "core/json.h"
#include "formats/hf_config.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect_code(bool ok, struct err *err)
{
    if (ok == (err->code != ERR_NONE) || (!ok && !err->text[0]))
        abort();
    *err = (struct err){0};
}

static void read_all(const json_t *config)
{
    static const char *const names[] = {
        "hidden_size|n_embd",  "num_hidden_layers", "rms_norm_eps|layer_norm_epsilon",
        "tie_word_embeddings", "torch_dtype|dtype", "architectures|model_type",
        "vocab_size",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct err err = {0};
        uint64_t u = 0;
        double f = 0;
        bool b = false;
        const char *text = "";
        expect_code(hf_config_u64(config, names[i], &u, &err), &err);
        expect_code(hf_config_f64(config, names[i], &f, &err), &err);
        expect_code(hf_config_bool(config, names[i], &b, &err), &err);
        expect_code(hf_config_text(config, names[i], &text, &err), &err);
        if (strlen(text) > 0 && !hf_config_find(config, names[i]))
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct err err = {0};
    json_t *config = json_parse("config.json", data, size, &err);
    expect_code(config != NULL, &err);
    if (!config)
        return 0;
    read_all(config);
    struct hf_rope rope;
    const bool ok = hf_config_rope(config, &rope, &err);
    if (ok && !(rope.theta >= 0 && rope.factor >= 0 && rope.partial_rotary_factor >= 0))
        abort();
    expect_code(ok, &err);
    json_decref(config);
    return 0;
}
