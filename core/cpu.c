#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

static unsigned detect(void)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        return CPU_AVX2;
    return 0;
#elif defined(__aarch64__)
    return CPU_NEON;
#else
    return 0;
#endif
}

unsigned cpu_features(void)
{
    unsigned found = detect();
    const char *without = getenv("QUERN_CPU_WITHOUT");
    if (without && strstr(without, "avx2"))
        found &= ~(unsigned)CPU_AVX2;
    if (without && strstr(without, "neon"))
        found &= ~(unsigned)CPU_NEON;
    return found;
}
