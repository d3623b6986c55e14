#include "tools/compare_text.h"

#include "core/mem.h"

#include <stdlib.h>

bool compare_text_open(struct compare_text *c, const char *first, const char *text, size_t most,
                       const struct session *s, struct err *err)
{
    return checkpoint_open(&c->file, first, err) &&
           weights_open(&c->weights, &c->file, &s->kernels, err) &&
           text_windows_open(&c->text, &(struct text_source){.path = text},
                             &(struct windows_options){.most = most}, &c->file, s, err);
}

void compare_text_close(struct compare_text *c)
{
    text_windows_close(&c->text);
    weights_close(&c->weights);
    checkpoint_close(&c->file);
}

bool compare_text_measure(const struct compare_text *c, const struct checkpoint *file,
                          struct session *s, struct compare_text_figures *figures, struct err *err)
{
    const size_t scores = c->text.windows.count * c->text.windows.scored;
    struct weights weights = {0};
    struct score *score = mem_alloc(scores, sizeof *score);
    if (!score)
        return err_set(err, ERR_MEMORY, "no memory for the scores of %zu tokens", scores);
    s->progress.base.unit = "tokens";
    bool ok = weights_open(&weights, file, &s->kernels, err);
    if (ok) {
        const struct score_options options = {.model = &weights,
                                              .base = &c->weights,
                                              .cache = DTYPE_F16,
                                              .kernels = &s->kernels,
                                              .pool = s->pool,
                                              .progress = &s->progress.base};
        ok = score_windows(&options, &c->text.windows, score, err) &&
             divergence_of(score, scores, &figures->divergence, err);
    }
    term_progress_clear(&s->progress);
    s->progress.base.unit = NULL;
    if (ok)
        figures->perplexity = perplexity_of(score, scores);
    weights_close(&weights);
    free(score);
    return ok;
}
