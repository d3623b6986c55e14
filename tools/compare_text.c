#include "tools/compare_text.h"

#include "core/mem.h"
#include "tools/text_tokens.h"

#include <stdlib.h>

bool compare_text_open(struct compare_text *c, const char *first, const char *text, size_t most,
                       const struct session *s, struct err *err)
{
    struct tokenizer t = {0};
    struct windows_options options = {.most = most, .bos = -1};
    bool ok = checkpoint_open(&c->file, first, err) &&
              weights_open(&c->weights, &c->file, &s->kernels, err) &&
              (tokenizer_open(&t, &c->file.meta, err) || err_wrap(err, "%s", first));
    if (ok && t.add_bos)
        options.bos = t.special[TOKENIZER_BOS];
    ok = ok && text_tokens_encode(&c->list, &t, text, err) &&
         (windows_init(&c->windows, &options, c->list.id, c->list.count, err) ||
          err_wrap(err, "%s", text));
    tokenizer_close(&t);
    return ok;
}

void compare_text_close(struct compare_text *c)
{
    token_list_close(&c->list);
    weights_close(&c->weights);
    checkpoint_close(&c->file);
}

bool compare_text_measure(const struct compare_text *c, const struct checkpoint *file,
                          struct session *s, struct compare_text_figures *figures, struct err *err)
{
    const size_t scores = c->windows.count * c->windows.scored;
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
        ok = score_windows(&options, &c->windows, score, err) &&
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
