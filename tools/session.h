/* session.h - what every command needs: its common options, threads, kernels, progress. */
#ifndef TOOLS_SESSION_H
#define TOOLS_SESSION_H

#include "core/err.h"
#include "core/pool.h"
#include "core/progress.h"
#include "quantize/dot.h"
#include "quantize/kernels.h"
#include "tools/opts.h"
#include "tools/term.h"

struct session {
    struct opt_common common; /* set before session_open */
    struct kernels kernels;   /* kernels.dot is `dot`: NULL it for exact products */
    struct dot_kernels dot;
    struct pool *pool;
    char threads[24]; /* of it: "1 thread", "8 threads" */
    struct term_progress progress;
};

/* Chooses kernels, starts threads and the progress bar.  Fails with ERR_USAGE (too many threads) or
 * ERR_MEMORY. */
bool session_open(struct session *s, struct err *err);
void session_close(struct session *s);

/* printf to stderr, unless quiet. */
void session_say(const struct session *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

#endif
