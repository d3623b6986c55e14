/* stop.h - has the person asked to stop?
 *
 * One flag a process, set by a signal and asked by long loops between pieces of work.
 */
#ifndef CORE_STOP_H
#define CORE_STOP_H

#include "core/err.h"

/* From now on the first SIGINT, SIGTERM or SIGHUP (the terminal is gone, and nohup was not asked for)
 * asks the work to stop and clean up; the second ends the program. */
void stop_on_signals(void);

/* True while nobody asked; else false with ERR_STOPPED, "stopped". */
bool stop_check(struct err *err);

/* Waits until `fd` can be read, or a signal asks to stop, however close before: then false, as
 * stop_check. */
bool stop_wait(int fd, struct err *err);

/* What SIGINT asked for has been done, and the program goes on; the others are not forgotten. */
void stop_forget_interrupt(void);

#endif
