#include "core/stop.h"

#include <signal.h>

static volatile sig_atomic_t asked;

static void on_signal(int number)
{
    asked = 1;
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
