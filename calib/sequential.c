#include "calib/sequential.h"

#include "core/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* Encoding a stage takes about as long as so many tokens through it. */
enum { ENCODING = 16384 };

/* Two stages a half layer, one for the output. */
static size_t stages_of(const struct weights *w) { return 2 * (pass_halves(w) - 1) + 1; }

static const struct pass_input *input_of(const struct weights *w, size_t stage,
                                         struct pass_input input[PASS_INPUTS])
{
    pass_inputs(w, stage / 2, input);
    return &input[stage % 2];
}

static bool find_item(struct sequential *s, size_t stage, const char *name, struct err *err)
{
    struct produce_item *item = s->item;
    size_t i = 0;
    while (i < s->items && strcmp(item[i].tensor->out.name, name) != 0)
        i++;
    if (i == s->items)
        return err_set(err, ERR_FORMAT, "tensor '%s' is not one of the file's", name);
    s->stage[i] = stage;
    s->linears++;
    calibrated_prepare(s->o->calibrated, &item[i]);
    return true;
}

static bool find_stages(struct sequential *s, struct err *err)
{
    for (size_t i = 0; i < s->items; i++)
        s->stage[i] = s->stages;
    for (size_t stage = 0; stage < s->stages; stage++) {
        struct pass_input both[PASS_INPUTS];
        const struct pass_input *in = input_of(s->o->weights, stage, both);
        for (size_t l = 0; l < in->linears; l++)
            if (!find_item(s, stage, in->linear[l]->name, err))
                return false;
    }
    return true;
}

bool sequential_open(struct sequential *s, const struct sequential_options *o,
                     struct produce_item *item, size_t items, struct err *err)
{
    *s = (struct sequential){.o = o, .item = item, .items = items, .stages = stages_of(o->weights)};
    s->kernels = *o->collect->kernels;
    s->kernels.dot = NULL;
    s->options = (struct pass_options){
        o->weights, o->collect->corpus, true, &s->kernels, o->collect->pool, NULL, NULL};
    s->stage = mem_alloc(items, sizeof *s->stage);
    s->made = mem_alloc(items, sizeof *s->made);
    if (!s->stage || !s->made)
        err_set(err, ERR_MEMORY, "%zu tensors", items);
    else if (find_stages(s, err))
        return true;
    sequential_close(s);
    return false;
}

void sequential_close(struct sequential *s)
{
    free(s->stage);
    free(s->made);
    *s = (struct sequential){0};
}

struct collect_needs sequential_needs(const struct sequential *s)
{
    const int threads = pool_threads(s->options.pool);
    struct collect_needs n = {.disk = pass_disk(&s->options)};
    uint64_t encoding = 0, part = 0;
    for (size_t stage = 0; stage < s->stages; stage++) {
        struct pass_input both[PASS_INPUTS];
        const size_t cols = pass_cols(input_of(s->o->weights, stage, both));
        const uint64_t sums = moments_bytes(cols, true, threads), square = (uint64_t)cols * cols;
        n.hessian = sums > n.hessian ? sums : n.hessian;
        part = 2 * square > part ? 2 * square : part;
    }
    for (size_t i = 0; i < s->items; i++) {
        const uint64_t bytes = calibrated_memory(s->o->calibrated, &s->item[i]);
        encoding = s->item[i].encoder && bytes > encoding ? bytes : encoding;
    }
    n.disk += 2 * part;
    n.memory = (n.hessian > encoding ? n.hessian : encoding) + pass_memory(&s->options) +
               pass_program(&s->options);
    return n;
}

/* What is made of the file takes its place in the model.  The map is made anew: an older one need
 * not show what was written since. */
static bool replace(struct sequential *s, struct err *err)
{
    const struct gguf_writer *w = &s->produce.writer;
    map_close(&s->map);
    if (!map_open(&s->map, w->sink.temporary, err))
        return false;
    for (size_t i = 0; i < s->items; i++) {
        struct tensor *t = &s->made[i];
        if (!s->produce.done[i])
            continue;
        const bool known = t->data != NULL;
        *t = s->item[i].tensor->out;
        t->dtype = s->item[i].dtype;
        if (!tensor_size(t, &t->bytes, err))
            return false;
        t->data = s->map.data + gguf_write_place(w, i);
        if (!known && !weights_replace(s->o->weights, t, &s->kernels, err))
            return false;
    }
    return true;
}

/* All tensors of a stage, and those of none. */
static bool make(struct sequential *s, size_t stage, struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < s->items; i++) {
        if (s->stage[i] != stage)
            continue;
        if (stage < s->stages)
            calibrated_use(s->o->calibrated, &s->item[i]);
        ok = produce_make(&s->produce, i, err);
        s->item[i].importance = NULL; /* it was the store's */
    }
    return ok && replace(s, err);
}

static bool quantize(struct sequential *s, size_t stage, struct err *err)
{
    struct calib_store part;
    if (!parts_read(&s->parts, stage, &part, err))
        return false;
    calibrated_turn(s->o->calibrated, &part);
    const bool ok = make(s, stage, err);
    calibrated_turn(s->o->calibrated, NULL);
    calib_store_close(&part);
    return ok;
}

/* Sums up what the stage's linears are fed.  For the first of a half layer the streams go through
 * the half before, which is made, and stay there for the second. */
static bool gather(struct sequential *s, size_t stage, struct err *err)
{
    const size_t half = stage / 2;
    const bool second = stage % 2 == 1;
    const struct pass_step step = {
        second || half == 0 ? half : half - 1, half, half, {!second, second}};
    return pass_part(&s->pass, &step, &s->parts, stage, err);
}

/* The first stage that is not done.  Its streams are there where its part is or the one before;
 * without them, and without what else is in the folder, all passes are made again. */
static size_t find_stage(const struct sequential *s)
{
    size_t first = s->stages;
    for (size_t i = 0; i < s->items; i++)
        if (!s->produce.done[i] && s->stage[i] < first)
            first = s->stage[i];
    const bool there =
        parts_have(&s->parts, first) || (first > 0 && parts_have(&s->parts, first - 1));
    for (size_t stage = 0; stage < s->stages; stage++)
        if (!there || (stage != first && stage + 1 != first))
            parts_remove(&s->parts, stage);
    return there || first == s->stages ? first : 0;
}

static bool run_stages(struct sequential *s, struct err *err)
{
    const struct corpus *c = s->options.corpus;
    if (!make(s, s->stages, err))
        return false;
    s->found = find_stage(s);
    s->tokens.done = s->found * c->windows * c->context;
    for (size_t stage = s->found; stage < s->stages; stage++) {
        if (!parts_have(&s->parts, stage) && !gather(s, stage, err))
            return false;
        if (stage > 0)
            parts_remove(&s->parts, stage - 1);
        if (!quantize(s, stage, err))
            return false;
    }
    return true;
}

static void show(struct progress *part, const char *what)
{
    struct sequential *s = part->context;
    struct progress *p = s->o->collect->progress;
    p->done =
        s->tokens.done + (s->bytes.total ? (uint64_t)((double)s->bytes.done /
                                                      (double)s->bytes.total * (double)s->encoding)
                                         : 0);
    progress_step(p, what, 0);
}

static void open_progress(struct sequential *s)
{
    struct progress *p = s->o->collect->progress;
    const struct corpus *c = s->options.corpus;
    if (!p)
        return;
    s->encoding = (uint64_t)s->stages * ENCODING;
    s->tokens = s->bytes = (struct progress){.show = show, .context = s};
    s->options.progress = &s->tokens;
    p->total = (uint64_t)s->stages * c->windows * c->context + s->encoding;
}

bool sequential_gguf(struct sequential *s, const char *path, const struct meta *meta,
                     const struct produce_options *options, struct produce_result *result,
                     struct err *err)
{
    struct produce_options o = *options;
    assert(options->resume);
    open_progress(s);
    o.progress = s->options.progress ? &s->bytes : NULL;
    const bool ok = produce_open(&s->produce, path, meta, s->item, s->items, &o, result, err) &&
                    parts_open(&s->parts, path, options->resume, true, err) &&
                    pass_open(&s->pass, &s->options, s->parts.folder, err) && run_stages(s, err) &&
                    produce_commit(&s->produce, err);
    const bool keep = !ok && produce_keeps(err);
    pass_close(&s->pass, keep);
    parts_close(&s->parts, keep);
    produce_close(&s->produce, keep);
    map_close(&s->map);
    return ok;
}
