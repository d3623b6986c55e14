#include "model/generator.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdlib.h>

bool generator_open(struct generator *g, const struct weights *w, const struct kernels *k,
                    struct pool *pool, enum dtype_id cache, size_t context,
                    const struct sampler_options *sampler, struct err *err)
{
    const struct hparams *h = &w->hparams;
    *g = (struct generator){0};
    bool ok = sampler_open(&g->sampler, sampler, (size_t)h->vocab, err) &&
              kv_cache_open(&g->cache, h, k, cache, 1, context, err) &&
              forward_open(&g->forward, w, k, pool, err);
    if (ok) {
        g->state = mem_alloc((size_t)h->embd, sizeof *g->state);
        g->logits = mem_alloc((size_t)h->vocab, sizeof *g->logits);
        ok = (g->state && g->logits) || err_set(err, ERR_MEMORY, "the logits of a token");
    }
    if (!ok)
        generator_close(g);
    return ok;
}

void generator_close(struct generator *g)
{
    sampler_close(&g->sampler);
    kv_cache_close(&g->cache);
    forward_close(&g->forward);
    free(g->state);
    free(g->logits);
    *g = (struct generator){0};
}

size_t generator_length(const struct generator *g) { return g->cache.length[0]; }

size_t generator_room(const struct generator *g) { return g->cache.context - g->cache.length[0]; }

bool generator_feed(struct generator *g, const uint32_t *id, size_t count, struct err *err)
{
    const size_t before = generator_length(g);
    bool ok = count <= generator_room(g) ||
              err_set(err, ERR_USAGE, "%zu tokens behind %zu do not fit in a context of %zu", count,
                      before, g->cache.context);
    for (size_t done = 0, n; ok && done < count; done += n) {
        n = count - done < FORWARD_PIECE ? count - done : FORWARD_PIECE;
        const struct forward_sequence s = {
            .token = id + done, .tokens = n, .states = done + n == count};
        ok = (done == 0 || stop_check(err)) &&
             forward_run(&g->forward, &g->cache, &s, 1, g->state, err);
    }
    if (!ok) {
        g->cache.length[0] = before;
        return false;
    }
    for (size_t i = 0; i < count; i++)
        sampler_accept(&g->sampler, id[i]);
    forward_logits(&g->forward, g->state, 1, g->logits);
    return true;
}

bool generator_next(struct generator *g, uint32_t *id, struct err *err)
{
    return sampler_draw(&g->sampler, g->logits, id, err);
}

void generator_reset(struct generator *g)
{
    g->cache.length[0] = 0;
    sampler_forget(&g->sampler);
}
