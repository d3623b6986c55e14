#include "core/cpu.h"

#include <stdlib.h>
#include <string.h>

#if defined(__aarch64__) && defined(__linux__)
#include <sys/auxv.h>
#endif

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
#elif defined(__ARM_FEATURE_DOTPROD) /* the compiler takes it for granted */
    return CPU_NEON | CPU_DOTPROD;
#elif defined(__aarch64__) && defined(__linux__)
    return getauxval(AT_HWCAP) & HWCAP_ASIMDDP ? CPU_NEON | CPU_DOTPROD : CPU_NEON;
#elif defined(__aarch64__)
    return CPU_NEON;
#else
    return 0;
#endif
}

unsigned cpu_features(void)
{
    static const struct {
        const char *name;
        unsigned lost;
    } feature[] = {
        {"avx512", CPU_AVX512VNNI},
        {"avx2", CPU_AVX2 | CPU_AVX512VNNI},
        {"dotprod", CPU_DOTPROD},
        {"neon", CPU_NEON | CPU_DOTPROD},
    };
    const char *without = getenv("QUERN_CPU_WITHOUT");
    unsigned found = detect();
    for (size_t i = 0; without && i < sizeof feature / sizeof *feature; i++)
        if (strstr(without, feature[i].name))
            found &= ~feature[i].lost;
    return found;
}

void cpu_relax(void)
{
#if defined(__x86_64__)
    __builtin_ia32_pause();
#elif defined(__aarch64__)
    __asm__ volatile("yield");
#endif
}
