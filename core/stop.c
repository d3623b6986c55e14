#include "core/stop.h"

#include <signal.h>
#include <stddef.h>
#include <sys/select.h>

static volatile sig_atomic_t interrupted, ended;

static void on_signal(int number)
{
    if (number == SIGINT)
        interrupted = 1;
    else
        ended = 1;
    signal(number, SIG_DFL);
}

void stop_on_signals(void)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}

bool stop_check(struct err *err)
{
    return interrupted || ended ? err_set(err, ERR_STOPPED, "stopped; nothing was written") : true;
}

void stop_forget_interrupt(void)
{
    interrupted = 0;
    signal(SIGINT, on_signal);
}

bool stop_wait(int fd, struct err *err)
{
    sigset_t both, before;
    fd_set readable;
    sigemptyset(&both);
    sigaddset(&both, SIGINT);
    sigaddset(&both, SIGTERM);
    pthread_sigmask(SIG_BLOCK, &both, &before);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    const bool ok = stop_check(err);
    if (ok)
        pselect(fd + 1, &readable, NULL, NULL, NULL, &before); /* lets the signals in */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok && stop_check(err);
}
