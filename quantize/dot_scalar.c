/* dot_scalar.c - dot products in plain C: the reference.
 *
 * The integers of a block are what its decoder gives where the block's scale is one (and its
 * minimum nothing), so the layouts are written down in the decoders alone. */
#include "quantize/dot.h"

#include "core/block.h"
#include "core/half.h"
#include "quantize/decode.h"

#include <math.h>
#include <string.h>

enum { HALF_ONE = 0x3c00, HALF_MINUS_ONE = 0xbc00, MXFP4_ONE = 128, NO_MIN = -1 };

/* Where a block has its scale and its minimum. */
struct parts {
    enum dot_form form;
    int d, m;
};

#define PARTS(ID, FORM, block, m) [DTYPE_##ID] = {FORM, (int)offsetof(struct block, d), m}
#define MIN(block, field)         (int)offsetof(struct block, field)

static const struct parts parts[DTYPE_COUNT] = {
    PARTS(Q4_0, DOT_BLOCK, block_q4_0, NO_MIN),
    PARTS(Q4_1, DOT_BLOCK, block_q4_1, MIN(block_q4_1, m)),
    PARTS(Q5_0, DOT_BLOCK, block_q5_0, NO_MIN),
    PARTS(Q5_1, DOT_BLOCK, block_q5_1, MIN(block_q5_1, m)),
    PARTS(Q8_0, DOT_BLOCK, block_q8_0, NO_MIN),
    PARTS(IQ4_NL, DOT_BLOCK, block_iq4_nl, NO_MIN),
    [DTYPE_MXFP4] = {DOT_BLOCK, (int)offsetof(struct block_mxfp4, e), NO_MIN},
    PARTS(Q2_K, DOT_SUPER, block_q2_k, MIN(block_q2_k, dmin)),
    PARTS(Q3_K, DOT_SUPER, block_q3_k, NO_MIN),
    PARTS(Q4_K, DOT_SUPER, block_q4_k, MIN(block_q4_k, dmin)),
    PARTS(Q5_K, DOT_SUPER, block_q5_k, MIN(block_q5_k, dmin)),
    PARTS(Q6_K, DOT_SUPER, block_q6_k, NO_MIN),
    PARTS(IQ4_XS, DOT_SUPER, block_iq4_xs, NO_MIN),
    PARTS(TQ1_0, DOT_SUPER, block_tq1_0, NO_MIN),
    PARTS(TQ2_0, DOT_SUPER, block_tq2_0, NO_MIN),
};

enum dot_form dot_form(enum dtype_id type) { return parts[type].form; }

/* A block of weights taken apart: d * value - m * min in a super-block, d * value + m in a block of
 * 32, without minima where the type has none. */
struct block {
    float d, m;
    int32_t value[SUPER_ELEMS], min[SUPER_ELEMS];
};

/* The half at that place, which becomes `put`. */
static float swap_half(uint8_t *at, uint16_t put)
{
    uint16_t h;
    memcpy(&h, at, sizeof h);
    memcpy(at, &put, sizeof put);
    return half_to_float(h);
}

static float swap_scale(enum dtype_id type, uint8_t *at)
{
    if (type != DTYPE_MXFP4)
        return swap_half(at, HALF_ONE);
    const float d = mxfp4_scale(*at);
    *at = MXFP4_ONE;
    return d;
}

static void decode_integers(int32_t *q, const struct dot_kernels *k, const struct dtype *t,
                            const uint8_t *block)
{
    float x[SUPER_ELEMS];
    k->codecs->decode[t->id](x, block, t->block_elems);
    for (size_t i = 0; i < t->block_elems; i++)
        q[i] = (int32_t)x[i];
}

static void take_apart(struct block *out, const struct dot_kernels *k, const struct dtype *t,
                       const uint8_t *block)
{
    const struct parts *p = &parts[t->id];
    uint8_t copy[sizeof(struct block_q6_k)]; /* the largest */
    memcpy(copy, block, t->block_bytes);
    out->m = p->m == NO_MIN ? 0.0f : swap_half(copy + p->m, 0);
    out->d = swap_scale(t->id, copy + p->d);
    decode_integers(out->value, k, t, copy);
    if (p->m == NO_MIN || p->form != DOT_SUPER)
        return;
    swap_half(copy + p->d, 0);
    swap_half(copy + p->m, HALF_MINUS_ONE);
    decode_integers(out->min, k, t, copy);
}

static int32_t dot_integers(const int32_t *w, const int8_t *q, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += w[i] * q[i];
    return sum;
}

static float row_block(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,
                       const void *x, size_t n)
{
    const struct dtype *t = dtype_get(type);
    const struct dot_block_input *in = x;
    float lane[DOT_BLOCKS] = {0};
    for (size_t i = 0; i < n / BLOCK_ELEMS; i++, row += t->block_bytes) {
        const struct dot_block_input *piece = &in[i / 8];
        struct block b = {0};
        take_apart(&b, k, t, row);
        float term = b.d * (float)dot_integers(b.value, piece->q + 32 * (i % 8), BLOCK_ELEMS);
        if (parts[type].m != NO_MIN)
            term = term + b.m * (float)piece->sum[i % 8];
        lane[i % DOT_BLOCKS] += term * piece->d[i % 8];
    }
    return dot_add_lanes(lane, DOT_BLOCKS);
}

static float row_super(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,
                       const void *x, size_t n)
{
    const struct dtype *t = dtype_get(type);
    const struct dot_super_input *in = x;
    float y = 0.0f;
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, row += t->block_bytes) {
        struct block b = {0};
        take_apart(&b, k, t, row);
        float term = b.d * (float)dot_integers(b.value, in[i].q, SUPER_ELEMS);
        if (parts[type].m != NO_MIN)
            term = term - b.m * (float)dot_integers(b.min, in[i].q, SUPER_ELEMS);
        y = y + term * in[i].d;
    }
    return y;
}

float dot_add_lanes(float *lane, int lanes)
{
    for (int apart = lanes / 2; apart > 0; apart /= 2)
        for (int i = 0; i < apart; i++)
            lane[i] += lane[i + apart];
    return lane[0];
}

float dot_row_float(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,
                    const void *x, size_t n)
{
    const struct dtype *t = dtype_get(type);
    const float *in = x;
    float lane[DOT_LANES] = {0};
    for (size_t i = 0; i < n; i += DOT_PIECE) {
        float w[DOT_PIECE];
        const size_t count = n - i < DOT_PIECE ? n - i : DOT_PIECE;
        const size_t padded = (count + DOT_LANES - 1) / DOT_LANES * DOT_LANES;
        k->codecs->decode[type](w, row + i / t->block_elems * t->block_bytes, count);
        memset(w + count, 0, (padded - count) * sizeof *w);
        k->add_float(lane, w, in + i, padded);
    }
    return dot_add_lanes(lane, DOT_LANES);
}

static void add_float(float lane[DOT_LANES], const float *w, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++)
        lane[i % DOT_LANES] = fmaf(w[i], x[i], lane[i % DOT_LANES]);
}

/* The scale of n numbers and their eight-bit codes, at most 127, rounded to nearest even. */
static float quantize_codes(int8_t *q, const float *x, size_t n)
{
    uint32_t most = 0; /* the bits of the largest magnitude, above all numbers for a NaN */
    for (size_t i = 0; i < n; i++) {
        const uint32_t bits = float_bits(x[i]) & 0x7fffffffu;
        most = bits > most ? bits : most;
    }
    const float top = float_from_bits(most);
    memset(q, 0, n);
    if (most >= 0x7f800000u)
        return NAN;
    if (top < 0x1p-100f)
        return 0.0f;
    const float inverse = 127.0f / top;
    for (size_t i = 0; i < n; i++)
        q[i] = (int8_t)lrintf(x[i] * inverse);
    return top / 127.0f;
}

static int32_t sum_codes(const int8_t *q, size_t n)
{
    int32_t sum = 0;
    for (size_t i = 0; i < n; i++)
        sum += q[i];
    return sum;
}

static void quantize_block(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_block_input *out = x8;
    memset(out, 0, dot_input_bytes(DOT_BLOCK, n));
    for (size_t i = 0; i < n / BLOCK_ELEMS; i++) {
        struct dot_block_input *piece = &out[i / 8];
        int8_t *q = piece->q + BLOCK_ELEMS * (i % 8);
        piece->d[i % 8] = quantize_codes(q, x + BLOCK_ELEMS * i, BLOCK_ELEMS);
        piece->sum[i % 8] = sum_codes(q, BLOCK_ELEMS);
    }
}

static void quantize_super(void *restrict x8, const float *restrict x, size_t n)
{
    struct dot_super_input *out = x8;
    memset(out, 0, dot_input_bytes(DOT_SUPER, n));
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, out++) {
        out->d = quantize_codes(out->q, x + SUPER_ELEMS * i, SUPER_ELEMS);
        for (size_t g = 0; g < 16; g++)
            out->sum[g / 2 + 8 * (g % 2)] = (int16_t)sum_codes(out->q + 16 * g, 16);
        for (size_t g = 0; g < 8; g++)
            out->sum32[g] = (int16_t)sum_codes(out->q + 32 * g, 32);
    }
}

static void copy_float(void *restrict x8, const float *restrict x, size_t n)
{
    memset(x8, 0, dot_input_bytes(DOT_FLOAT, n));
    memcpy(x8, x, n * sizeof *x);
}

void dot_init_scalar(struct dot_kernels *k)
{
    static const dot_row_fn row[DOT_FORMS] = {dot_row_float, row_block, row_super};
    for (int i = 0; i < DTYPE_COUNT; i++)
        k->row[i] = row[parts[i].form];
    k->quantize[DOT_FLOAT] = copy_float;
    k->quantize[DOT_BLOCK] = quantize_block;
    k->quantize[DOT_SUPER] = quantize_super;
    k->add_float = add_float;
}
