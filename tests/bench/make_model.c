/* make_model.c - a random Llama checkpoint of any shape, for benchmarks: F16 safetensors,
 * config.json; the tokenizer is copied from another folder.  Weights are normal with a
 * spread of its own for each row, seeded: the same arguments give the same bytes.
 *
 *   make_model FOLDER TOKENIZER_FOLDER LAYERS EMBD HEADS KV_HEADS FFN VOCAB
 */
#include "core/half.h"
#include "core/rng.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TABLE = 1 << 16, TENSORS_MAX = 4096 };

struct shape {
    char name[96];
    uint64_t rows, cols; /* rows 0: one dimension */
};

static struct shape tensor[TENSORS_MAX];
static size_t tensors;

static void add(uint64_t rows, uint64_t cols, const char *fmt, unsigned layer)
{
    struct shape *t = &tensor[tensors++];
    char name[64];
    snprintf(name, sizeof name, fmt, layer);
    snprintf(t->name, sizeof t->name, "%s.weight", name);
    t->rows = rows;
    t->cols = cols;
}

static void list_tensors(unsigned layers, uint64_t d, uint64_t kv, uint64_t ffn, uint64_t vocab)
{
    add(vocab, d, "model.embed_tokens", 0);
    for (unsigned i = 0; i < layers; i++) {
        add(0, d, "model.layers.%u.input_layernorm", i);
        add(d, d, "model.layers.%u.self_attn.q_proj", i);
        add(kv, d, "model.layers.%u.self_attn.k_proj", i);
        add(kv, d, "model.layers.%u.self_attn.v_proj", i);
        add(d, d, "model.layers.%u.self_attn.o_proj", i);
        add(0, d, "model.layers.%u.post_attention_layernorm", i);
        add(ffn, d, "model.layers.%u.mlp.gate_proj", i);
        add(ffn, d, "model.layers.%u.mlp.up_proj", i);
        add(d, ffn, "model.layers.%u.mlp.down_proj", i);
    }
    add(0, d, "model.norm", 0);
    add(vocab, d, "lm_head", 0);
}

static uint64_t elems(const struct shape *t) { return (t->rows ? t->rows : 1) * t->cols; }

static char *make_header(size_t *size)
{
    char *text = malloc(tensors * 192 + 64);
    size_t n = 0;
    uint64_t at = 0;
    for (size_t i = 0; text && i < tensors; i++) {
        const struct shape *t = &tensor[i];
        char rows[32] = "";
        if (t->rows)
            snprintf(rows, sizeof rows, "%" PRIu64 ",", t->rows);
        n += (size_t)sprintf(text + n,
                             "%s\"%s\":{\"dtype\":\"F16\",\"shape\":[%s%" PRIu64 "],"
                             "\"data_offsets\":[%" PRIu64 ",%" PRIu64 "]}",
                             i ? "," : "{", t->name, rows, t->cols, at, at + 2 * elems(t));
        at += 2 * elems(t);
    }
    n += text ? (size_t)sprintf(text + n, "}") : 0;
    while (text && n % 8)
        text[n++] = ' ';
    *size = n;
    return text;
}

static bool write_row(FILE *f, uint16_t *row, uint64_t cols, struct rng *rng, const float *normal,
                      float spread)
{
    for (uint64_t c = 0; c < cols;)
        for (uint64_t bits = rng_u64(rng), b = 0; b < 4 && c < cols; b++, bits >>= 16)
            row[c++] = half_from_float(spread * normal[bits & (TABLE - 1)]);
    return fwrite(row, 2, cols, f) == cols;
}

static bool write_weights(const char *folder, uint64_t widest)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/model.safetensors", folder);
    size_t size = 0;
    char *header = make_header(&size);
    float *normal = malloc(TABLE * sizeof *normal);
    uint16_t *row = malloc(widest * sizeof *row);
    FILE *f = fopen(path, "wb");
    struct rng rng = {1};
    bool ok = header && normal && row && f;
    const uint64_t length = size;
    for (int i = 0; ok && i < TABLE; i++)
        normal[i] = rng_normal(&rng);
    ok = ok && fwrite(&length, 8, 1, f) == 1 && fwrite(header, 1, size, f) == size;
    for (size_t i = 0; ok && i < tensors; i++)
        for (uint64_t r = 0; ok && r < (tensor[i].rows ? tensor[i].rows : 1); r++)
            ok = write_row(f, row, tensor[i].cols, &rng, normal, 0.01f + 0.03f * rng_uniform(&rng));
    ok = f && fclose(f) == 0 && ok;
    free(header);
    free(normal);
    free(row);
    return ok;
}

static bool write_config(const char *folder, unsigned layers, uint64_t d, unsigned heads,
                         unsigned kv_heads, uint64_t ffn, uint64_t vocab)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/config.json", folder);
    FILE *f = fopen(path, "w");
    if (!f)
        return false;
    fprintf(f,
            "{\"architectures\":[\"LlamaForCausalLM\"],\"model_type\":\"llama\",\"hidden_act\":"
            "\"silu\",\n"
            "\"num_hidden_layers\":%u,\"hidden_size\":%" PRIu64 ",\"num_attention_heads\":%u,"
            "\"num_key_value_heads\":%u,\n\"intermediate_size\":%" PRIu64 ",\"vocab_size\":%" PRIu64
            ","
            "\"max_position_embeddings\":4096,\n\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,"
            "\"tie_word_embeddings\":false,\"torch_dtype\":\"float16\"}\n",
            layers, d, heads, kv_heads, ffn, vocab);
    return fclose(f) == 0;
}

static bool copy_file(const char *from, const char *to, const char *name)
{
    char path[4096], buffer[1 << 16];
    size_t n;
    snprintf(path, sizeof path, "%s/%s", from, name);
    FILE *in = fopen(path, "rb");
    snprintf(path, sizeof path, "%s/%s", to, name);
    FILE *out = in ? fopen(path, "wb") : NULL;
    bool ok = out != NULL;
    while (ok && (n = fread(buffer, 1, sizeof buffer, in)) > 0)
        ok = fwrite(buffer, 1, n, out) == n;
    if (in)
        fclose(in);
    return out && fclose(out) == 0 && ok;
}

int main(int argc, char **argv)
{
    if (argc != 9) {
        fputs("usage: make_model FOLDER TOKENIZER_FOLDER LAYERS EMBD HEADS KV_HEADS FFN VOCAB\n",
              stderr);
        return 2;
    }
    const char *folder = argv[1];
    const unsigned layers = (unsigned)atoi(argv[3]), heads = (unsigned)atoi(argv[5]);
    const unsigned kv_heads = (unsigned)atoi(argv[6]);
    const uint64_t d = strtoull(argv[4], NULL, 10), ffn = strtoull(argv[7], NULL, 10);
    const uint64_t vocab = strtoull(argv[8], NULL, 10);
    if (!heads || layers * 9 + 3 > TENSORS_MAX)
        return 2;
    list_tensors(layers, d, d / heads * kv_heads, ffn, vocab);
    mkdir(folder, 0777);
    const bool ok = write_config(folder, layers, d, heads, kv_heads, ffn, vocab) &&
                    copy_file(argv[2], folder, "tokenizer.json") &&
                    copy_file(argv[2], folder, "tokenizer_config.json") &&
                    write_weights(folder, d > ffn ? d : ffn);
    if (!ok)
        fprintf(stderr, "make_model: cannot write %s\n", folder);
    return ok ? 0 : 1;
}
