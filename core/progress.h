/* progress.h - how long work tells where it is.
 *
 * The library calls progress_step(); the program decides what to show.  A NULL
 * progress, or one with no `show`, is silent.  Called from one thread.
 */
#ifndef CORE_PROGRESS_H
#define CORE_PROGRESS_H

#include <stdint.h>

struct progress {
    void (*show)(struct progress *p, const char *what);
    void *context;
    uint64_t done, total; /* bytes of source, or what `unit` says */
    const char *unit;     /* "tokens"; NULL: bytes; "": what is no one's to count, only a share */
};

/* `what` names the piece now in work; `more` bytes (or units) are done. */
static inline void progress_step(struct progress *p, const char *what, uint64_t more)
{
    if (!p)
        return;
    p->done += more;
    if (p->show)
        p->show(p, what);
}

#endif
