#include "tools/make_check.h"

#include "calib/source.h"
#include "core/mem.h"
#include "eval/divergence.h"
#include "tools/text_windows.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct check {
    struct checkpoint made;
    struct weights weights; /* of `made` */
    struct source source;
    char *converted; /* what a source that is no GGUF becomes */
    struct text_windows text;
    struct score *score;
    struct divergence found;
};

static bool open_models(struct check *c, const struct make_options *o, struct session *s,
                        struct err *err)
{
    const size_t room = strlen(o->out) + sizeof ".source.gguf";
    if (!(c->converted = malloc(room)))
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", o->out);
    snprintf(c->converted, room, "%s.source.gguf", o->out);
    return checkpoint_open(&c->made, o->out, err) &&
           weights_open(&c->weights, &c->made, &s->kernels, err) &&
           source_open(&c->source, o->source, &s->kernels, err) &&
           source_ready(&c->source, c->converted, &s->kernels, s->pool, &s->progress.base, err);
}

static bool run(struct check *c, const struct make_options *o, struct session *s, struct err *err)
{
    const struct text_source from = {.path = o->check};
    if (!open_models(c, o, s, err) ||
        !text_windows_open(&c->text, &from, &(struct windows_options){0}, &c->made, s, err))
        return false;
    const struct windows *w = &c->text.windows;
    const struct score_options options = {.model = &c->weights,
                                          .base = &c->source.weights,
                                          .cache = DTYPE_F16,
                                          .kernels = &s->kernels,
                                          .pool = s->pool,
                                          .progress = &s->progress.base};
    s->progress.base.done = 0;
    s->progress.base.total = w->count * w->size;
    s->progress.base.unit = "tokens";
    c->score = mem_alloc(w->count * w->scored, sizeof *c->score);
    const bool ok = (c->score || err_set(err, ERR_MEMORY, "scores of %zu windows", w->count)) &&
                    score_check_vocabularies(&c->weights, &c->source.weights, err) &&
                    score_windows(&options, w, c->score, err) &&
                    divergence_of(c->score, w->count * w->scored, &c->found, err);
    term_progress_clear(&s->progress);
    s->progress.base.unit = NULL;
    return ok;
}

static void say(const struct check *c, const struct make_options *o, const struct session *s)
{
    const struct divergence *d = &c->found;
    session_say(s,
                "check:  %s: KL %.5f +- %.5f, 99 %% below %.4f, same top token %.1f %%, "
                "perplexity %.4f times the source's\n",
                o->check, d->mean.value, d->mean.error, d->quantile[2].value,
                100.0 * d->same_top.value, d->ratio.value);
}

bool make_check(const struct make_options *o, struct session *s, json_t **report, struct err *err)
{
    struct check c = {0};
    const bool ok = run(&c, o, s, err);
    if (ok) {
        say(&c, o, s);
        *report = json_pack("{s:s, s:f, s:f, s:f, s:f, s:f}", "text", o->check, "kl_mean",
                            c.found.mean.value, "kl_mean_error", c.found.mean.error, "kl_99",
                            c.found.quantile[2].value, "same_top", c.found.same_top.value,
                            "perplexity_ratio", c.found.ratio.value);
    }
    free(c.score);
    text_windows_close(&c.text);
    weights_close(&c.weights);
    checkpoint_close(&c.made);
    source_close(&c.source);
    if (c.converted)
        unlink(c.converted);
    free(c.converted);
    return ok;
}
