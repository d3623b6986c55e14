#include "core/stop.h"

#include <signal.h>

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
