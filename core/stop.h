/* stop.h - has the person asked to stop?
 *
 * One flag a process, set by the program's SIGINT and SIGTERM handlers (or a
 * test) and asked by long loops between pieces of work.
 */
#ifndef CORE_STOP_H
#define CORE_STOP_H

#include "core/err.h"

/* Safe in a signal handler. */
void stop_request(void);

/* True while nobody asked; else false with ERR_STOPPED, "stopped". */
bool stop_check(struct err *err);

#endif
