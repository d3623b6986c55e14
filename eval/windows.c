#include "eval/windows.h"

#include <string.h>

enum { CONTEXT_MIN = 4, CONTEXT_MAX = 1 << 24 };

bool windows_init(struct windows *w, const struct windows_options *options, const uint32_t *token,
                  size_t tokens, struct err *err)
{
    const size_t context = options->context ? options->context : WINDOWS_CONTEXT;
    const size_t stride = options->stride;
    if (context < CONTEXT_MIN || context > CONTEXT_MAX)
        return err_set(err, ERR_USAGE, "a context of %zu tokens: it can be %d to %d", context,
                       CONTEXT_MIN, CONTEXT_MAX);
    if (stride >= context)
        return err_set(err, ERR_USAGE,
                       "a stride of %zu tokens in a context of %zu leaves none before it", stride,
                       context);
    *w = (struct windows){
        .token = token,
        .tokens = tokens,
        .bos = options->bos,
        .size = context + stride / 2,
        .step = stride ? stride : context,
        .scored = stride ? stride : context - 1 - context / 2,
    };
    if (tokens >= w->size)
        w->count = stride ? (tokens - w->size + stride - 1) / stride : tokens / context;
    if (w->count == 0)
        return err_set(err, ERR_USAGE, "the text has %zu tokens: a window takes %s%zu", tokens,
                       stride ? "more than " : "", w->size);
    if (options->most && options->most < w->count)
        w->count = options->most;
    return true;
}

void windows_input(const struct windows *w, size_t i, uint32_t *input)
{
    memcpy(input, w->token + i * w->step, w->size * sizeof *input);
    if (w->bos >= 0)
        input[0] = (uint32_t)w->bos;
}

const uint32_t *windows_scored(const struct windows *w, size_t i)
{
    return w->token + i * w->step + w->size - w->scored;
}
