#include "calib/calibrate.h"

#include "core/version.h"

#include <string.h>
#include <unistd.h>

/* Opens --through, which must be the same model in other types, perhaps folded (model/fold.h). */
static bool open_through(struct calibrate *c, const struct calibrate_options *o, struct err *err)
{
    char model[HASH_TEXT];
    if (!o->through)
        return true;
    if (!source_open(&c->through, o->through, o->kernels, err))
        return false;
    if (fold_is_there(&c->through.given.meta) && !fold_is_there(&c->source.given.meta) &&
        !fold_read(&c->fold, &c->source.plan, &c->through.given.meta, err))
        return err_wrap(err, "%s", o->through);
    return identity_model(&c->source.plan, o->kernels, model, err) &&
           (strcmp(c->through.model, model) == 0 ||
            err_set(err, ERR_FORMAT, "%s: is of another model than %s: its tensors or gains differ",
                    o->through, o->source));
}

static bool open_corpus(struct calibrate *c, const struct calibrate_options *o, struct err *err)
{
    struct tokenizer t = {0};
    const bool ok =
        (tokenizer_open(&t, &c->source.plan.meta, err) || err_wrap(err, "%s", o->source)) &&
        corpus_open(&c->corpus, &o->corpus, &t, err);
    tokenizer_close(&t);
    return ok;
}

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static const char *meta_text(const struct calibrate *c, const char *key)
{
    const char *text = meta_get_text(&c->source.plan.meta, key);
    return text ? text : "";
}

static bool describe(struct calibrate *c, const struct calibrate_options *o, struct err *err)
{
    struct calib_text *text = arena_alloc(&c->arena, c->corpus.texts, sizeof *text);
    for (size_t i = 0; text && i < c->corpus.texts; i++)
        text[i] = (struct calib_text){base_name(c->corpus.text[i].path), c->corpus.text[i].sha256};
    identity_vocabulary(&c->source.plan.meta, c->vocabulary);
    c->info = (struct calib_info){
        .quern = QUERN_VERSION,
        .architecture = meta_text(c, "general.architecture"),
        .model = c->source.model,
        .source = c->source.sha256,
        .through = c->through.sha256,
        .tokenizer = arena_printf(&c->arena, "%s/%s", meta_text(c, "tokenizer.ggml.model"),
                                  meta_text(c, "tokenizer.ggml.pre")),
        .vocabulary = c->vocabulary,
        .text = text,
        .texts = c->corpus.texts,
        .context = c->corpus.context,
        .windows = c->corpus.windows,
        .tokens = (uint64_t)c->corpus.windows * c->corpus.context,
        .hessians = !o->importance_only,
    };
    return (text && c->info.tokenizer) || err_set(err, ERR_MEMORY, "no memory for names");
}

/* Products with quantized weights would quantize what they are multiplied with. */
static void choose_kernels(struct calibrate *c, const struct checkpoint *runs,
                           const struct calibrate_options *o)
{
    c->kernels = *o->kernels;
    for (size_t i = 0; i < runs->tensors; i++)
        if (runs->tensor[i].dtype->class == DTYPE_QUANTIZED)
            c->kernels.dot = NULL;
}

static bool open_all(struct calibrate *c, const struct calibrate_options *o, struct err *err)
{
    struct source *runs = o->through ? &c->through : &c->source;
    if (!sink_allowed(o->out, o->force, err) ||
        !source_open(&c->source, o->source, o->kernels, err) || !open_through(c, o, err) ||
        !open_corpus(c, o, err) || !describe(c, o, err))
        return false;
    if (strcmp(runs->given.container->name, "GGUF") != 0 &&
        !(c->converted = arena_printf(&c->arena, "%s.source.gguf", o->out)))
        return err_set(err, ERR_MEMORY, "no memory for a name");
    if (!source_ready(runs, c->converted, o->kernels, o->pool, o->progress, err))
        return false;
    choose_kernels(c, runs->weights.checkpoint, o);
    c->collect = (struct collect_options){
        .weights = &runs->weights,
        .corpus = &c->corpus,
        .info = &c->info,
        .kernels = &c->kernels,
        .pool = o->pool,
        .progress = o->progress,
        .gradients = o->gradients < c->corpus.windows ? o->gradients : c->corpus.windows,
        .unfolded = c->fold.sites > 0 ? &c->source.plan : NULL,
        .path = o->out,
        .force = o->force,
    };
    return true;
}

bool calibrate_open(struct calibrate *c, const struct calibrate_options *o, struct err *err)
{
    *c = (struct calibrate){0};
    if (open_all(c, o, err))
        return true;
    calibrate_close(c);
    return false;
}

bool calibrate_run(struct calibrate *c, struct collect_result *result, struct err *err)
{
    const bool ok = collect_run(&c->collect, result, err);
    c->stays = !ok && err->code != ERR_NUMERIC;
    return ok;
}

void calibrate_close(struct calibrate *c)
{
    corpus_close(&c->corpus);
    fold_close(&c->fold);
    source_close(&c->through);
    source_close(&c->source);
    if (c->converted && !c->stays)
        unlink(c->converted);
    arena_close(&c->arena);
    *c = (struct calibrate){0};
}
