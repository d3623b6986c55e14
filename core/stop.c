#include "core/stop.h"

#include <signal.h>
#include <stddef.h>
#include <sys/select.h>

static const int asks[] = {SIGINT, SIGTERM, SIGHUP};
enum { SIGNALS = sizeof asks / sizeof asks[0] };

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
    for (size_t i = 0; i < SIGNALS; i++)
        if (signal(asks[i], on_signal) == SIG_IGN && asks[i] == SIGHUP)
            signal(SIGHUP, SIG_IGN); /* nohup */
}

bool stop_check(struct err *err)
{
    return interrupted || ended ? err_set(err, ERR_STOPPED, "stopped; nothing was written") : true;
}

void stop_forget_interrupt(void)
{
    if (interrupted)
        signal(SIGINT, on_signal);
    interrupted = 0;
}

bool stop_wait(int fd, struct err *err)
{
    sigset_t all, before;
    fd_set readable;
    sigemptyset(&all);
    for (size_t i = 0; i < SIGNALS; i++)
        sigaddset(&all, asks[i]);
    pthread_sigmask(SIG_BLOCK, &all, &before);
    FD_ZERO(&readable);
    FD_SET(fd, &readable);
    const bool ok = stop_check(err);
    if (ok)
        pselect(fd + 1, &readable, NULL, NULL, NULL, &before); /* lets the signals in */
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return ok && stop_check(err);
}
