/* cpu.h - which instruction sets this machine has. */
#ifndef CORE_CPU_H
#define CORE_CPU_H

enum cpu_feature {
    CPU_AVX2 = 1 << 0, /* with F16C and FMA: no machine has one without the others */
    CPU_NEON = 1 << 1,
    CPU_AVX512VNNI = 1 << 2, /* with F, BW, DQ and VL; never without AVX2 */
    CPU_DOTPROD = 1 << 3,    /* sdot; never without NEON */
};

/* Returns the features found, less those that the environment variable QUERN_CPU_WITHOUT names
 * (comma-separated: "avx512", "avx2", which takes avx512 with it, "dotprod", "neon", which takes
 * dotprod with it); safe from any thread. */
unsigned cpu_features(void);

/* To be called again and again by a thread that waits without sleeping. */
void cpu_relax(void);

#endif
