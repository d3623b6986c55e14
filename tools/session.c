#include "tools/session.h"

#include "core/cpu.h"

#include <stdarg.h>
#include <stdio.h>

enum { THREADS_MAX = 1024 };

bool session_open(struct session *s, struct err *err)
{
    if (s->common.threads > THREADS_MAX)
        return err_set(err, ERR_USAGE, "--threads: %zu are too many; up to %d", s->common.threads,
                       THREADS_MAX);
    kernels_init(&s->kernels, cpu_features());
    dot_init(&s->dot, &s->kernels, cpu_features());
    s->kernels.dot = &s->dot;
    term_progress_open(&s->progress, s->common.quiet);
    if (!pool_open(&s->pool, (int)s->common.threads, err))
        return false;
    const int threads = pool_threads(s->pool);
    snprintf(s->threads, sizeof s->threads, "%d thread%s", threads, threads == 1 ? "" : "s");
    return true;
}

void session_close(struct session *s)
{
    term_progress_close(&s->progress);
    pool_close(s->pool);
    s->pool = NULL;
}

void session_say(const struct session *s, const char *fmt, ...)
{
    if (s->common.quiet)
        return;
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
}
