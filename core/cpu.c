#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

static unsigned detect(void)
{
#if defined(__x86_64__)
    if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma"))
        return 0;
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
        __builtin_cpu_supports("avx512vnni"))
        return CPU_AVX2 | CPU_AVX512VNNI;
    return CPU_AVX2;
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
    if (without && strstr(without, "avx512"))
        found &= ~(unsigned)CPU_AVX512VNNI;
    if (without && strstr(without, "avx2"))
        found &= ~(unsigned)(CPU_AVX2 | CPU_AVX512VNNI);
    if (without && strstr(without, "neon"))
        found &= ~(unsigned)CPU_NEON;
    return found;
}
