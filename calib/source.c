#include "calib/source.h"

#include "core/mem.h"
#include "model/produce.h"

#include <stdlib.h>
#include <string.h>

#define KEY "quern.source_sha256" /* of a converted file */

static bool produce(const struct source *s, const char *path, const struct produce_options *o,
                    struct err *err)
{
    const size_t n = s->plan.tensors;
    struct meta meta = {0};
    struct produce_item *item = mem_alloc(n, sizeof *item);
    struct produce_result *result = mem_alloc(n, sizeof *result);
    bool ok = item && result;
    if (!ok)
        err_set(err, ERR_MEMORY, "no memory for %zu tensors", n);
    for (size_t i = 0; ok && i < n; i++)
        item[i] = (struct produce_item){.tensor = &s->plan.tensor[i],
                                        .dtype = s->plan.tensor[i].out.dtype};
    meta_copy(&meta, &s->plan.meta);
    meta_set_text(&meta, KEY, s->sha256);
    ok = ok && produce_gguf(path, &meta, item, n, o, result, err);
    meta_close(&meta);
    free(item);
    free(result);
    return ok;
}

/* Opens what an earlier run converted from the same source. */
static bool open_converted(struct source *s, const char *path, struct err *err)
{
    if (!checkpoint_open(&s->converted, path, err))
        return false;
    const char *of = meta_get_text(&s->converted.meta, KEY);
    if (of && strcmp(of, s->sha256) == 0)
        return true;
    checkpoint_close(&s->converted);
    return err_set(err, ERR_FORMAT, "%s: is of another source", path);
}

bool source_open(struct source *s, const char *path, const struct kernels *k, struct err *err)
{
    *s = (struct source){0};
    if (checkpoint_open(&s->given, path, err) &&
        plan_open(&s->plan, &s->given, &(struct plan_options){0}, err) &&
        identity_model(&s->plan, k, s->model, err)) {
        identity_source(&s->given, s->sha256);
        return true;
    }
    source_close(s);
    return false;
}

bool source_ready(struct source *s, const char *converted, const struct kernels *k,
                  struct pool *pool, struct progress *progress, struct err *err)
{
    const struct produce_options o = {
        .source = &s->given, .kernels = k, .pool = pool, .progress = progress, .force = true};
    if (strcmp(s->given.container->name, "GGUF") == 0)
        return weights_open(&s->weights, &s->given, k, err);
    return (open_converted(s, converted, NULL) ||
            (produce(s, converted, &o, err) && open_converted(s, converted, err))) &&
           weights_open(&s->weights, &s->converted, k, err);
}

void source_close(struct source *s)
{
    weights_close(&s->weights);
    plan_close(&s->plan);
    checkpoint_close(&s->converted);
    checkpoint_close(&s->given);
    *s = (struct source){0};
}
