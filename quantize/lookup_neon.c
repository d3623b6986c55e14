/* lookup_neon.c - lookup.c in NEON: same bytes. */
#include "quantize/kernels.h"

#include "quantize/lanes_neon.h"

#include "quantize/lookup_impl.h"
#include "quantize/ternary_impl.h"

void lookup_init_neon(struct kernels *k)
{
    k->encode[DTYPE_IQ4_NL] = encode_iq4_nl;
    k->encode[DTYPE_IQ4_XS] = encode_iq4_xs;
    k->encode[DTYPE_MXFP4] = encode_mxfp4;
    k->encode[DTYPE_TQ1_0] = encode_tq1_0;
    k->encode[DTYPE_TQ2_0] = encode_tq2_0;
}
