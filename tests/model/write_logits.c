/* write_logits - what a model makes of texts: raw float32 logits of every token.
 *
 *   write_logits MODEL.gguf fast|exact TOKENS
 *
 * Standard input holds texts of TOKENS int32 each; the cache is in F16. */
#include "core/cpu.h"
#include "core/mem.h"
#include "model/forward.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct setting {
    struct kernels kernels;
    struct dot_kernels dot;
    struct pool *pool;
    struct checkpoint file;
    struct weights weights;
    struct forward forward;
    struct kv_cache cache;
    uint32_t *token;
    float *states, *logits;
};

static bool open_all(struct setting *s, const char *path, bool fast, size_t tokens, struct err *err)
{
    kernels_init(&s->kernels, cpu_features());
    dot_init(&s->dot, &s->kernels, cpu_features());
    s->kernels.dot = fast ? &s->dot : NULL;
    if (!pool_open(&s->pool, 2, err) || !checkpoint_open(&s->file, path, err) ||
        !weights_open(&s->weights, &s->file, &s->kernels, err) ||
        !forward_open(&s->forward, &s->weights, &s->kernels, s->pool, err) ||
        !kv_cache_open(&s->cache, &s->weights.hparams, &s->kernels, DTYPE_F16, 1, tokens, err))
        return false;
    s->token = mem_alloc(tokens, sizeof *s->token);
    s->states = mem_alloc(tokens, (size_t)s->weights.hparams.embd * sizeof *s->states);
    s->logits = mem_alloc(tokens, (size_t)s->weights.hparams.vocab * sizeof *s->logits);
    return (s->token && s->states && s->logits) || err_set(err, ERR_MEMORY, "%zu tokens", tokens);
}

static bool write_texts(struct setting *s, size_t tokens, struct err *err)
{
    const size_t vocab = (size_t)s->weights.hparams.vocab;
    const struct forward_sequence text = {s->token, tokens, 0, tokens};
    while (fread(s->token, sizeof *s->token, tokens, stdin) == tokens) {
        s->cache.length[0] = 0;
        if (!forward_run(&s->forward, &s->cache, &text, 1, s->states, err))
            return false;
        forward_logits(&s->forward, s->states, tokens, s->logits);
        fwrite(s->logits, vocab * sizeof *s->logits, tokens, stdout);
    }
    return !ferror(stdin) && fflush(stdout) == 0;
}

int main(int argc, char **argv)
{
    struct setting s = {0};
    struct err err = {0};
    if (argc != 4)
        return 2;
    const size_t tokens = strtoul(argv[3], NULL, 10);
    const bool ok = open_all(&s, argv[1], strcmp(argv[2], "fast") == 0, tokens, &err) &&
                    write_texts(&s, tokens, &err);
    if (!ok)
        fprintf(stderr, "write_logits: %s\n", err.text);
    kv_cache_close(&s.cache);
    forward_close(&s.forward);
    weights_close(&s.weights);
    checkpoint_close(&s.file);
    pool_close(s.pool);
    free(s.token);
    free(s.states);
    free(s.logits);
    return ok ? 0 : 1;
}
