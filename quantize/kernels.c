#include "quantize/kernels.h"

#include "core/cpu.h"

void kernels_init(struct kernels *k, unsigned cpu)
{
    *k = (struct kernels){.name = "scalar"};
    vector_init(&k->vector, cpu);
    decode_init_scalar(k);
    plain_init_scalar(k);
    affine_init_scalar(k);
    symmetric_init_scalar(k);
    lookup_init_scalar(k);
#if defined(QUERN_AVX2)
    if (cpu & CPU_AVX2) {
        k->name = "avx2";
        decode_init_avx2(k);
        plain_init_avx2(k);
        affine_init_avx2(k);
        symmetric_init_avx2(k);
        lookup_init_avx2(k);
    }
#endif
#if defined(QUERN_NEON)
    if (cpu & CPU_NEON) {
        k->name = "neon";
        decode_init_neon(k);
        plain_init_neon(k);
        affine_init_neon(k);
        symmetric_init_neon(k);
        lookup_init_neon(k);
    }
#endif
    (void)cpu;
}
