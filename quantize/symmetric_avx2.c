#include "quantize/kernels.h"

#include "quantize/lanes_avx2.h"

#include "quantize/pairs_avx2.h"

#include "quantize/symmetric_impl.h"
#include "quantize/symmetric_k_impl.h"

void symmetric_init_avx2(struct kernels *k)
{
    k->encode[DTYPE_Q4_0] = encode_q4_0;
    k->encode[DTYPE_Q5_0] = encode_q5_0;
    k->encode[DTYPE_Q8_0] = encode_q8_0;
    k->encode[DTYPE_Q3_K] = encode_q3_k;
    k->encode[DTYPE_Q6_K] = encode_q6_k;
}
