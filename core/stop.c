#include "core/stop.h"

#include <signal.h>

static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    asked = number;
    signal(number, SIG_DFL);
}

void stop_on_signals(void)
{
    signal(SIGINT, on_signal);
    signal(SIGTERM, on_signal);
}

bool stop_check(struct err *err)
{
    return asked ? err_set(err, ERR_STOPPED, "stopped; nothing was written") : true;
}

void stop_forget_interrupt(void)
{
    if (asked == SIGINT) {
        asked = 0;
        signal(SIGINT, on_signal);
    }
}
