#include "tools/make_sequential.h"

#include <inttypes.h>
#include <string.h>

bool make_sequential_check(struct make_sequential *m, const struct make_options *o, struct err *err)
{
    *m = (struct make_sequential){.wanted = o->sequential};
    if (!o->sequential)
        return true;
    if (!o->calib)
        return err_set(err, ERR_USAGE,
                       "--sequential needs --calib: a text, or a calib.h5 and its "
                       "text with --probe");
    m->text = calib_store_probe(o->calib) ? o->probe : o->calib;
    return m->text ||
           err_set(err, ERR_USAGE,
                   "--sequential runs a text through the model as it is made, and %s has none: "
                   "--probe TEXT is needed",
                   o->calib);
}

bool make_sequential_open(struct make_sequential *m, const struct make_options *o,
                          const struct session *s, struct err *err)
{
    struct term_progress progress;
    if (!m->wanted || o->dry_run)
        return true;
    term_progress_open(&progress, s->common.quiet);
    const struct calibrate_options options = {.source = o->source,
                                              .corpus = {.path = &m->text, .paths = 1},
                                              .out = o->out,
                                              .force = s->common.force,
                                              .kernels = &s->kernels,
                                              .pool = s->pool,
                                              .progress = &progress.base};
    m->open = calibrate_open(&m->calibrate, &options, err);
    term_progress_close(&progress);
    return m->open;
}

void make_sequential_close(struct make_sequential *m)
{
    if (m->open) {
        sequential_close(&m->sequential);
        calibrate_close(&m->calibrate);
    }
    *m = (struct make_sequential){0};
}

/* The stages, or what was before them. */
static struct collect_needs needs_of(const struct make_sequential *m,
                                     const struct make_sequential_before *before)
{
    const struct pass_options *pass = &m->sequential.options;
    const uint64_t folding =
        before->awq ? before->awq + 2 * pass_memory(pass) + pass_program(pass) : 0;
    const uint64_t text = before->text ? collect_needs(&m->calibrate.collect).memory : 0;
    struct collect_needs n = sequential_needs(&m->sequential);
    n.memory = folding > n.memory ? folding : n.memory;
    n.memory = text > n.memory ? text : n.memory;
    return n;
}

bool make_sequential_use(struct make_sequential *m, struct calibrated *calibrated,
                         const struct make_sequential_before *before, struct produce_item *item,
                         size_t items, const struct session *s, struct err *err)
{
    struct calibrate *c = &m->calibrate;
    char memory[TERM_TEXT], sums[TERM_TEXT], disk[TERM_TEXT];
    if (!m->open)
        return true;
    m->options = (struct sequential_options){&c->collect, &c->source.weights, calibrated};
    if (!sequential_open(&m->sequential, &m->options, item, items, err))
        return false;
    const struct collect_needs n = needs_of(m, before);
    session_say(s,
                "text:   %s: %" PRIu64 " tokens in %" PRIu64 " windows, through each layer as it "
                "is quantized: %zu tensors in %zu stages\n",
                m->text, c->info.tokens, c->info.windows, m->sequential.linears,
                m->sequential.stages);
    if (c->source.weights.output.weight == c->source.weights.embedding)
        session_say(s, "        the embedding is the output and comes last; until then tokens are "
                       "looked up in the source's\n");
    session_say(s,
                "memory: %s beside the model, %s of it for the sums of an input; scratch files of "
                "up to %s in %s.work\n",
                term_size(n.memory, memory), term_size(n.hessian, sums), term_size(n.disk, disk),
                c->collect.path);
    return true;
}

void make_sequential_hash(const struct make_sequential *m, struct hash *h)
{
    const struct corpus *c = &m->calibrate.corpus;
    if (!m->open)
        return;
    hash_add_u64(h, c->context);
    hash_add(h, c->token, c->windows * c->context * sizeof *c->token);
}

bool make_sequential_run(struct make_sequential *m, const char *path, const struct meta *meta,
                         const struct produce_options *options, struct produce_result *result,
                         struct err *err)
{
    m->calibrate.collect.progress = options->progress;
    const bool ok = sequential_gguf(&m->sequential, path, meta, options, result, err);
    m->calibrate.stays = !ok && produce_keeps(err);
    return ok;
}
