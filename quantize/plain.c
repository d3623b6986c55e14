/* plain.c - floats kept as floats, the error sums and the finite check in plain C:
 * the reference. */
#include "quantize/kernels.h"

#include "core/half.h"
#include "quantize/error.h"

#include <string.h>

static void encode_f32(void *restrict dst, const float *restrict src,
                       const float *restrict importance, size_t n)
{
    (void)importance;
    memcpy(dst, src, n * sizeof *src);
}

static void encode_f16(void *restrict dst, const float *restrict src,
                       const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    for (size_t i = 0; i < n; i++) {
        const uint16_t h = half_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

static void encode_bf16(void *restrict dst, const float *restrict src,
                        const float *restrict importance, size_t n)
{
    (void)importance;
    uint8_t *at = dst;
    for (size_t i = 0; i < n; i++) {
        const uint16_t h = bf16_from_float(src[i]);
        memcpy(at + 2 * i, &h, sizeof h);
    }
}

static void add_error(struct error_sums *sums, const float *restrict x, const float *restrict y,
                      const float *restrict importance, size_t n)
{
    for (size_t i = 0; i < n; i++)
        error_add(sums, i, x, y, importance);
    sums->count += n;
}

static size_t find_nonfinite(const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((float_bits(x[i]) & 0x7f800000u) == 0x7f800000u)
            return i;
    return n;
}

void plain_init_scalar(struct kernels *k)
{
    k->encode[DTYPE_F32] = encode_f32;
    k->encode[DTYPE_F16] = encode_f16;
    k->encode[DTYPE_BF16] = encode_bf16;
    k->add_error = add_error;
    k->find_nonfinite = find_nonfinite;
}
