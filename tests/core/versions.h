/* versions.h - what a machine may have, each with what it is never without. */
#ifndef TESTS_CORE_VERSIONS_H
#define TESTS_CORE_VERSIONS_H

#include "core/cpu.h"

static const struct version {
    const char *name;
    unsigned cpu;
} versions[] = {
    {"scalar", 0},
    {"avx2", CPU_AVX2},
    {"avx512", CPU_AVX2 | CPU_AVX512VNNI},
    {"neon", CPU_NEON},
    {"dotprod", CPU_NEON | CPU_DOTPROD},
};

enum { VERSIONS = sizeof versions / sizeof *versions };

/* Those that this machine has, the reference first; returns how many. */
static inline size_t versions_here(const struct version *here[VERSIONS])
{
    const unsigned cpu = cpu_features();
    size_t count = 0;
    for (size_t i = 0; i < VERSIONS; i++)
        if ((versions[i].cpu & cpu) == versions[i].cpu)
            here[count++] = &versions[i];
    return count;
}

#endif
