#include "core/stop.h"

#include <signal.h>

static volatile sig_atomic_t asked;

void stop_request(void) { asked = 1; }

bool stop_check(struct err *err)
{
    return asked ? err_set(err, ERR_STOPPED, "stopped; nothing was written") : true;
}
