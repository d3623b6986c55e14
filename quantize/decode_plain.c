/* decode_plain.c - plain numbers to floats.  Elements are copied out, for a row
 * may start at any address. */
#include "quantize/decode.h"

#include "core/half.h"

#include <string.h>

static void decode_f32(float *restrict dst, const void *restrict src, size_t n)
{
    memcpy(dst, src, n * sizeof *dst);
}

/* A decoder of elements of that C type: value is the float of element v. */
#define DECODE_PLAIN(name, type, value)                                                            \
    static void decode_##name(float *restrict dst, const void *restrict src, size_t n)             \
    {                                                                                              \
        const uint8_t *at = src;                                                                   \
        for (size_t i = 0; i < n; i++) {                                                           \
            type v;                                                                                \
            memcpy(&v, at + i * sizeof v, sizeof v);                                               \
            dst[i] = (value);                                                                      \
        }                                                                                          \
    }

DECODE_PLAIN(f16, uint16_t, half_to_float(v))
DECODE_PLAIN(bf16, uint16_t, bf16_to_float(v))
DECODE_PLAIN(f64, double, (float)v)
DECODE_PLAIN(f8_e4m3, uint8_t, e4m3_to_float(v))
DECODE_PLAIN(f8_e5m2, uint8_t, e5m2_to_float(v))
DECODE_PLAIN(i8, int8_t, (float)v)
DECODE_PLAIN(i16, int16_t, (float)v)
DECODE_PLAIN(i32, int32_t, (float)v)
DECODE_PLAIN(i64, int64_t, (float)v)
DECODE_PLAIN(u8, uint8_t, (float)v)
DECODE_PLAIN(bool, uint8_t, v ? 1.0f : 0.0f)

void decode_plain_init(struct kernels *k)
{
    k->decode[DTYPE_F32] = decode_f32;
    k->decode[DTYPE_F16] = decode_f16;
    k->decode[DTYPE_BF16] = decode_bf16;
    k->decode[DTYPE_F64] = decode_f64;
    k->decode[DTYPE_F8_E4M3] = decode_f8_e4m3;
    k->decode[DTYPE_F8_E5M2] = decode_f8_e5m2;
    k->decode[DTYPE_I8] = decode_i8;
    k->decode[DTYPE_I16] = decode_i16;
    k->decode[DTYPE_I32] = decode_i32;
    k->decode[DTYPE_I64] = decode_i64;
    k->decode[DTYPE_U8] = decode_u8;
    k->decode[DTYPE_BOOL] = decode_bool;
}
