#include "calib/gptq_shape.h"

#include "core/half.h"
#include "quantize/pack.h"
#include "quantize/value_table.h"

/* `count` codes from numbers, counted from `low`. */
static void codes_of(uint8_t *codes, const float *q, size_t count, int low)
{
    for (size_t j = 0; j < count; j++)
        codes[j] = (uint8_t)((int)q[j] - low);
}

static void codes_of_table(uint8_t *codes, const float *q, size_t count)
{
    for (size_t j = 0; j < count; j++) {
        int code = 0;
        while (code < 15 && (float)iq4_values[code] < q[j])
            code++;
        codes[j] = (uint8_t)code;
    }
}

static void bytes_of(uint8_t *out, const float *whole, size_t count)
{
    codes_of(out, whole, count, 0);
}

static void signed_bytes_of(int8_t *out, const float *whole, size_t count)
{
    for (size_t j = 0; j < count; j++)
        out[j] = (int8_t)whole[j];
}

/* Each packs a row. */

static void pack_q4_0(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q4_0 *b = (struct block_q4_0 *)(void *)dst;
    uint8_t codes[BLOCK_ELEMS];
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS, -8);
        b->d = half_from_float(r->d[i]);
        pack_nibbles32(b->qs, codes);
    }
}

static void pack_q4_1(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q4_1 *b = (struct block_q4_1 *)(void *)dst;
    uint8_t codes[BLOCK_ELEMS];
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS, 0);
        b->d = half_from_float(r->d[i]);
        b->m = half_from_float(r->dmin[i]);
        pack_nibbles32(b->qs, codes);
    }
}

static void pack_q5_0(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q5_0 *b = (struct block_q5_0 *)(void *)dst;
    uint8_t codes[BLOCK_ELEMS];
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS, -16);
        b->d = half_from_float(r->d[i]);
        pack_fifth_bits32(b->qh, codes);
        pack_nibbles32(b->qs, codes);
    }
}

static void pack_q5_1(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q5_1 *b = (struct block_q5_1 *)(void *)dst;
    uint8_t codes[BLOCK_ELEMS];
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS, 0);
        b->d = half_from_float(r->d[i]);
        b->m = half_from_float(r->dmin[i]);
        pack_fifth_bits32(b->qh, codes);
        pack_nibbles32(b->qs, codes);
    }
}

static void pack_q8_0(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q8_0 *b = (struct block_q8_0 *)(void *)dst;
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        b->d = half_from_float(r->d[i]);
        signed_bytes_of(b->qs, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS);
    }
}

static void pack_q2_k(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q2_k *b = (struct block_q2_k *)(void *)dst;
    uint8_t codes[SUPER_ELEMS], sc[16], m[16];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS, 0);
        bytes_of(sc, r->sc + 16 * i, 16);
        bytes_of(m, r->m + 16 * i, 16);
        for (int k = 0; k < 16; k++)
            b->scales[k] = (uint8_t)(sc[k] | m[k] << 4);
        pack_two_bits256(b->qs, codes);
        b->d = half_from_float(r->d[i]);
        b->dmin = half_from_float(r->dmin[i]);
    }
}

static void pack_q3_k(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q3_k *b = (struct block_q3_k *)(void *)dst;
    uint8_t codes[SUPER_ELEMS];
    int8_t sc[16];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS, -4);
        signed_bytes_of(sc, r->sc + 16 * i, 16);
        pack_scales_q3(b->scales, sc);
        pack_two_bits256(b->qs, codes);
        pack_plane256(b->hmask, codes, 2);
        b->d = half_from_float(r->d[i]);
    }
}

static void pack_q4_k(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q4_k *b = (struct block_q4_k *)(void *)dst;
    uint8_t codes[SUPER_ELEMS], sc[8], m[8];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS, 0);
        bytes_of(sc, r->sc + 8 * i, 8);
        bytes_of(m, r->m + 8 * i, 8);
        pack_scales_mins(b->scales, sc, m);
        pack_nibbles256(b->qs, codes);
        b->d = half_from_float(r->d[i]);
        b->dmin = half_from_float(r->dmin[i]);
    }
}

static void pack_q5_k(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q5_k *b = (struct block_q5_k *)(void *)dst;
    uint8_t codes[SUPER_ELEMS], sc[8], m[8];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS, 0);
        bytes_of(sc, r->sc + 8 * i, 8);
        bytes_of(m, r->m + 8 * i, 8);
        pack_scales_mins(b->scales, sc, m);
        pack_nibbles256(b->qs, codes);
        pack_plane256(b->qh, codes, 4);
        b->d = half_from_float(r->d[i]);
        b->dmin = half_from_float(r->dmin[i]);
    }
}

static void pack_q6_k(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_q6_k *b = (struct block_q6_k *)(void *)dst;
    uint8_t codes[SUPER_ELEMS];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS, -32);
        signed_bytes_of(b->scales, r->sc + 16 * i, 16);
        pack_six_bits256(b, codes);
        b->d = half_from_float(r->d[i]);
    }
}

static void pack_iq4_nl(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_iq4_nl *b = (struct block_iq4_nl *)(void *)dst;
    uint8_t codes[BLOCK_ELEMS];
    for (size_t i = 0; i < cols / BLOCK_ELEMS; i++, b++) {
        codes_of_table(codes, r->q + i * BLOCK_ELEMS, BLOCK_ELEMS);
        b->d = half_from_float(r->d[i]);
        pack_nibbles32(b->qs, codes);
    }
}

static void pack_iq4_xs(uint8_t *dst, const struct gptq_row *r, size_t cols)
{
    struct block_iq4_xs *b = (struct block_iq4_xs *)(void *)dst;
    uint8_t codes[SUPER_ELEMS];
    int8_t sc[8];
    for (size_t i = 0; i < cols / SUPER_ELEMS; i++, b++) {
        codes_of_table(codes, r->q + i * SUPER_ELEMS, SUPER_ELEMS);
        signed_bytes_of(sc, r->sc + 8 * i, 8);
        pack_scales_iq4(b, sc);
        for (size_t k = 0; k < 8; k++)
            pack_nibbles32(b->qs + 16 * k, codes + 32 * k);
        b->d = half_from_float(r->d[i]);
    }
}

static const struct gptq_shape shapes[] = {
    {.dtype = DTYPE_Q4_0,
     .block = 32,
     .blocks = 1,
     .q_low = -8,
     .q_high = 7,
     .start = 9.5f,
     .step = 0.25f,
     .pack = pack_q4_0},
    {.dtype = DTYPE_Q4_1,
     .block = 32,
     .blocks = 1,
     .q_low = 0,
     .q_high = 15,
     .min = GPTQ_MIN_OWN,
     .pack = pack_q4_1},
    {.dtype = DTYPE_Q5_0,
     .block = 32,
     .blocks = 1,
     .q_low = -16,
     .q_high = 15,
     .start = 17.0f,
     .step = 0.4f,
     .pack = pack_q5_0},
    {.dtype = DTYPE_Q5_1,
     .block = 32,
     .blocks = 1,
     .q_low = 0,
     .q_high = 31,
     .min = GPTQ_MIN_OWN,
     .pack = pack_q5_1},
    {.dtype = DTYPE_Q8_0,
     .block = 32,
     .blocks = 1,
     .q_low = -127,
     .q_high = 127,
     .start = 127.5f,
     .step = 0.5f,
     .pack = pack_q8_0},
    {.dtype = DTYPE_Q2_K,
     .block = 16,
     .blocks = 16,
     .q_low = 0,
     .q_high = 3,
     .sc_high = 15,
     .min = GPTQ_MIN_WHOLE,
     .m_high = 15,
     .pack = pack_q2_k},
    {.dtype = DTYPE_Q3_K,
     .block = 16,
     .blocks = 16,
     .q_low = -4,
     .q_high = 3,
     .sc_low = -32,
     .sc_high = 31,
     .start = 5.4f,
     .step = 0.15f,
     .pack = pack_q3_k},
    {.dtype = DTYPE_Q4_K,
     .block = 32,
     .blocks = 8,
     .q_low = 0,
     .q_high = 15,
     .sc_high = 63,
     .min = GPTQ_MIN_WHOLE,
     .m_high = 63,
     .pack = pack_q4_k},
    {.dtype = DTYPE_Q5_K,
     .block = 32,
     .blocks = 8,
     .q_low = 0,
     .q_high = 31,
     .sc_high = 63,
     .min = GPTQ_MIN_WHOLE,
     .m_high = 63,
     .pack = pack_q5_k},
    {.dtype = DTYPE_Q6_K,
     .block = 16,
     .blocks = 16,
     .q_low = -32,
     .q_high = 31,
     .sc_low = -128,
     .sc_high = 127,
     .start = 33.0f,
     .step = 0.5f,
     .pack = pack_q6_k},
    {.dtype = DTYPE_IQ4_NL,
     .block = 32,
     .blocks = 1,
     .table = true,
     .q_low = -127,
     .q_high = 113,
     .start = 170.0f,
     .step = 5.0f,
     .pack = pack_iq4_nl},
    {.dtype = DTYPE_IQ4_XS,
     .block = 32,
     .blocks = 8,
     .table = true,
     .q_low = -127,
     .q_high = 113,
     .sc_low = -32,
     .sc_high = 31,
     .start = 170.0f,
     .step = 5.0f,
     .pack = pack_iq4_xs},
};

const struct gptq_shape *gptq_shape_find(enum dtype_id dtype)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++)
        if (shapes[i].dtype == dtype)
            return &shapes[i];
    return NULL;
}
