/* dot_laid_avx512.c - super-blocks that are laid out anew, in AVX-512 VNNI: times one x, which is what
 * a token costs, and to panels for many.  Same bytes as the reference: integers are exact in any
 * order, and floats are added in the reference's. */
#include "quantize/dot_laid_avx512.h"

/* Of a super-block: the scales of its groups, four in each word of a lane; pairs of minima, or of
 * scales where codes have an offset, in the order of the sums of x; d and m. */
struct scales {
    __m512i scale[4], min[8];
    __m512 d, m;
};

/* How a type is taken apart; scales: from the words before the codes, and the half behind those. */
struct super_type {
    struct laid_codes codes;
    int groups, offset;
    void (*scales)(struct scales *out, const uint8_t *at, const uint8_t *half);
};

/* The bits `mask` of v, turned to the left by `by` or, where that is negative, to the right. */
INLINE __m512i turned(__m512i v, int by, char mask)
{
    return by < 0 ? bits(v, -by, mask)
                  : _mm512_and_si512(_mm512_slli_epi16(v, by), _mm512_set1_epi8(mask));
}

/* The bits `mask` of v moved to the foot, and the bits `above` on top of them. */
INLINE __m512i bits_under(__m512i v, int shift, char mask, __m512i above)
{
    const __m512i moved = _mm512_srli_epi16(v, shift);
    return _mm512_ternarylogic_epi64(moved, _mm512_set1_epi8(mask), above, 0xea); /* a & b | c */
}

INLINE void codes_q2_k(__m512i u[GROUPS], const uint8_t *at, int step)
{
    (void)step;
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits(load(at, g / 4), 2 * (g % 4), 3);
}

INLINE void codes_q3_k(__m512i u[GROUPS], const uint8_t *at, int step)
{
    (void)step;
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits_under(load(at, 1 + g / 4), 2 * (g % 4), 3, turned(load(at, 0), 2 - g, 4));
}

INLINE void codes_q4_k(__m512i u[GROUPS], const uint8_t *at, int step)
{
    (void)step;
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits(load(at, g / 2), 4 * (g % 2), 15);
}

INLINE void codes_q5_k(__m512i u[GROUPS], const uint8_t *at, int step)
{
    (void)step;
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits_under(load(at, 1 + g / 2), 4 * (g % 2), 15, turned(load(at, 0), 4 - g, 16));
}

INLINE void codes_q6_k(__m512i u[GROUPS], const uint8_t *at, int step)
{
    (void)step;
    UNROLL
    for (int g = 0; g < GROUPS; g++)
        u[g] = bits_under(load(at, 2 * (g / 4) + g % 2), 4 * (g / 2 % 2), 15,
                          turned(load(at, 4 + g / 4), 4 - 2 * (g % 4), 48));
}

INLINE void halves_of_word(struct scales *out, __m512i words)
{
    out->d = low_halves(words);
    out->m = low_halves(_mm512_srli_epi32(words, 16));
}

/* Pairs from signed bytes: of groups 0 and 1, 2 and 3. */
INLINE void neighbours(__m512i pair[2], __m512i bytes)
{
    const __m512i up = _mm512_set4_epi32(0x0d800c80, 0x09800880, 0x05800480, 0x01800080);
    pair[0] = _mm512_srai_epi16(_mm512_shuffle_epi8(bytes, up), 8);
    pair[1] = _mm512_srai_epi16(_mm512_shuffle_epi8(_mm512_srli_epi32(bytes, 16), up), 8);
}

/* Pairs from signed bytes of four words: of groups 0 and 2 of each, then of 1 and 3. */
INLINE void evens_and_odds(__m512i pair[8], const __m512i bytes[4])
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        pair[i] = _mm512_srai_epi16(_mm512_slli_epi16(bytes[i], 8), 8);
        pair[4 + i] = _mm512_srai_epi16(bytes[i], 8);
    }
}

/* Words: d and m; scales 0 to 3, minima 0 to 3, and the lower four bits of the others, whose upper
 * two are on top of those. */
INLINE void scales_six_bits(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    (void)half;
    const __m512i s = load(at, 1), m = load(at, 2), rest = load(at, 3);
    halves_of_word(out, load(at, 0));
    out->scale[0] = bits(s, 0, 63);
    out->scale[1] = bits_under(rest, 0, 15, turned(s, -2, 48));
    neighbours(out->min, bits(m, 0, 63));
    neighbours(out->min + 2, bits_under(rest, 4, 15, turned(m, -2, 48)));
}

INLINE void scales_q2_k(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    (void)half;
    __m512i min[4];
    UNROLL
    for (int i = 0; i < 4; i++) {
        out->scale[i] = bits(load(at, i), 0, 15);
        min[i] = bits(load(at, i), 4, 15);
    }
    evens_and_odds(out->min, min);
    halves_of_word(out, load(at, 4));
}

/* Signed scales in bytes, which are what codes with an offset have as minima, too. */
INLINE void signed_scales(struct scales *out)
{
    evens_and_odds(out->min, out->scale);
    out->m = _mm512_setzero_ps();
}

/* Words: the lower four bits of scales 0 to 7, then of 8 to 15 in the same bytes; the upper two of
 * 0 to 3, 4 to 7 and so on. */
INLINE void scales_q3_k(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i six =
            bits_under(load(at, i % 2), 4 * (i / 2), 15, turned(load(at, 2), 4 - 2 * i, 48));
        out->scale[i] = _mm512_sub_epi8(six, _mm512_set1_epi8(32));
    }
    signed_scales(out);
    out->d = load_halves(half);
}

/* Four bytes from the lowest eight bits, two each, or from the lowest sixteen, four each. */
INLINE __m512i spread_twos(__m512i v)
{
    const __m512i fours = _mm512_or_si512(v, _mm512_slli_epi32(v, 12));
    v = _mm512_and_si512(fours, _mm512_set1_epi32(0x000f000f));
    return _mm512_and_si512(_mm512_or_si512(v, _mm512_slli_epi32(v, 6)), _mm512_set1_epi8(3));
}

INLINE __m512i spread_fours(__m512i v)
{
    v = _mm512_and_si512(_mm512_or_si512(v, _mm512_slli_epi32(v, 8)),
                         _mm512_set1_epi32(0x00ff00ff));
    return _mm512_and_si512(_mm512_or_si512(v, _mm512_slli_epi32(v, 4)), _mm512_set1_epi8(15));
}

/* Words: d and the upper two bits of all scales; their lower four. */
INLINE void scales_iq4_xs(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    (void)half;
    const __m512i top = _mm512_srli_epi32(load(at, 0), 16), low = load(at, 1);
    UNROLL
    for (int i = 0; i < 2; i++) {
        const __m512i fours =
            _mm512_and_si512(_mm512_srli_epi32(low, 16 * i), _mm512_set1_epi32(0xffff));
        const __m512i twos =
            _mm512_and_si512(_mm512_srli_epi32(top, 8 * i), _mm512_set1_epi32(0xff));
        const __m512i six =
            _mm512_or_si512(spread_fours(fours), _mm512_slli_epi32(spread_twos(twos), 4));
        out->scale[i] = _mm512_sub_epi8(six, _mm512_set1_epi8(32));
        neighbours(out->min + 2 * i, out->scale[i]);
    }
    out->d = low_halves(load(at, 0));
    out->m = _mm512_setzero_ps();
}

/* There is only d. */
INLINE void scales_tq2_0(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    (void)at;
    out->scale[0] = out->scale[1] = _mm512_set1_epi8(1);
    UNROLL
    for (int i = 0; i < GROUPS / 2; i++)
        out->min[i] = _mm512_set1_epi16(1);
    out->d = load_halves(half);
    out->m = _mm512_setzero_ps();
}

INLINE void scales_q6_k(struct scales *out, const uint8_t *at, const uint8_t *half)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        out->scale[i] = load(at, i);
    signed_scales(out);
    out->d = load_halves(half);
}

/* Of every sixteenth or 32nd column the scale, in 32 bits. */
INLINE __m512i scale_of(const struct scales *s, int group)
{
    return _mm512_srai_epi32(_mm512_slli_epi32(s->scale[group / 4], 24 - 8 * (group % 4)), 24);
}

/* Super-blocks have their codes last: bytes before them. */
INLINE size_t codes_at(const struct laid_codes *t)
{
    return (t->bytes - (size_t)(t->words * t->planes * 4)) * LAID_ROWS;
}

INLINE void unpack_scales(struct scales *out, const uint8_t *at, int h, const struct super_type *t)
{
    const size_t words = codes_at(&t->codes) / LAID_ROWS / 4;
    t->scales(out, at + (size_t)h * words * WORD, at + HALVES * words * WORD + h * WORD / 2);
}

/* dot[h] += scales times codes times x of so many steps. */
INLINE void add_products(__m512i dot[HALVES], const struct scales s[HALVES], const uint8_t *at,
                         const int8_t *q, int first, int steps, const struct super_type *t)
{
    __m512i p[HALVES][GROUPS];
    multiply_codes(p, at + codes_at(&t->codes), q, first, steps, &t->codes);
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        UNROLL
        for (int g = 0; g < GROUPS; g++) {
            const int group = t->groups == GROUPS ? g : 2 * g + first / 4;
            dot[h] = _mm512_add_epi32(dot[h], _mm512_mullo_epi32(p[h][g], scale_of(&s[h], group)));
        }
    }
}

/* sum[h] += the term of a super-block. */
INLINE void add_super(__m512 sum[HALVES], const uint8_t *at, const struct dot_super_input *x,
                      const struct super_type *t)
{
    __m512i dot[HALVES] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    struct scales s[HALVES];
    UNROLL
    for (int h = 0; h < HALVES; h++)
        unpack_scales(&s[h], at, h, t);
    if (t->groups == GROUPS)
        add_products(dot, s, at, x->q, 0, STEPS, t);
    else {
        add_products(dot, s, at, x->q, 0, STEPS / 2, t);
        add_products(dot, s, at, x->q, STEPS / 2, STEPS / 2, t);
    }
    const int16_t *x_sums = t->groups == GROUPS ? x->sum32 : x->sum;
    UNROLL
    for (int h = 0; h < HALVES; h++) {
        __m512i low = _mm512_setzero_si512();
        UNROLL
        for (int i = 0; i < t->groups / 2; i++)
            low = _mm512_dpwssd_epi32(low, s[h].min[i], broadcast(x_sums + 2 * i));
        const __m512i whole = t->offset == CODES_MIN
                                  ? dot[h]
                                  : _mm512_sub_epi32(dot[h], _mm512_slli_epi32(low, t->offset));
        __m512 term = _mm512_mul_ps(s[h].d, _mm512_cvtepi32_ps(whole));
        if (t->offset == CODES_MIN)
            term = _mm512_sub_ps(term, _mm512_mul_ps(s[h].m, _mm512_cvtepi32_ps(low)));
        sum[h] = _mm512_add_ps(sum[h], _mm512_mul_ps(term, _mm512_set1_ps(x->d)));
    }
}

INLINE void multiply(float *y, const uint8_t *at, size_t rows, const struct dot_super_input *x,
                     size_t blocks, const struct super_type *t)
{
    for (size_t row = 0; row < rows; row += LAID_ROWS) {
        __m512 sum[HALVES] = {_mm512_setzero_ps(), _mm512_setzero_ps()};
        for (size_t b = 0; b < blocks; b++, at += LAID_ROWS * t->codes.bytes)
            add_super(sum, at, &x[b], t);
        float out[LAID_ROWS];
        _mm512_storeu_ps(out, sum[0]);
        _mm512_storeu_ps(out + LAID_HALF, sum[1]);
        panel_put(y + row, out, rows - row < LAID_ROWS ? rows - row : LAID_ROWS);
    }
}

/* Scales and minima of sixteen rows to a panel. */
INLINE void pack_scales(struct panel_super *out, const struct scales *s, size_t row,
                        const struct super_type *t)
{
    UNROLL
    for (int g = 0; g < t->groups; g++)
        _mm_store_si128((void *)(out->scale[g] + row),
                        _mm512_cvtepi32_epi8(_mm512_srli_epi32(s->scale[g / 4], 8 * (g % 4))));
    UNROLL
    for (int i = 0; i < t->groups / 2; i++)
        _mm512_store_si512(out->min[i][row], t->offset == CODES_MIN
                                                 ? s->min[i]
                                                 : _mm512_slli_epi16(s->min[i], t->offset));
    _mm512_store_ps(out->d + row, s->d);
    _mm512_store_ps(out->m + row, s->m);
}

INLINE void pack(struct panel_super *out, const uint8_t *at, size_t blocks,
                 const struct super_type *t)
{
    for (size_t b = 0; b < blocks; b++, out++, at += LAID_ROWS * t->codes.bytes)
        for (int h = 0; h < HALVES; h++) {
            struct scales s;
            for (int step = 0; step < STEPS; step++) {
                __m512i u[GROUPS];
                unpack_codes(u, at + codes_at(&t->codes), step, h, &t->codes);
                UNROLL
                for (int g = 0; g < GROUPS; g++)
                    _mm512_store_si512(out->u.step[STEPS * g + step][LAID_HALF * h], u[g]);
            }
            unpack_scales(&s, at, h, t);
            pack_scales(out, &s, (size_t)(LAID_HALF * h), t);
        }
}

#define LAID(name, planes, words, take, ...)                                                       \
    static const struct super_type type_##name = {                                                 \
        {sizeof(struct block_##name), planes, words, take}, __VA_ARGS__};                          \
    LAID_KERNELS(name)
LAID(q2_k, 2, 8, codes_q2_k, 16, CODES_MIN, scales_q2_k)
LAID(q3_k, 3, 8, codes_q3_k, 16, 2, scales_q3_k)
LAID(q4_k, 4, 8, codes_q4_k, 8, CODES_MIN, scales_six_bits)
LAID(q5_k, 5, 8, codes_q5_k, 8, CODES_MIN, scales_six_bits)
LAID(q6_k, 6, 8, codes_q6_k, 16, 5, scales_q6_k)
LAID(iq4_xs, 8, 4, codes_iq4, 8, 7, scales_iq4_xs)
LAID(tq2_0, 2, 8, codes_q2_k, 8, CODES_TERNARY, scales_tq2_0)

void dot_laid_init_avx512(struct dot_kernels *k)
{
    LAID_SET(Q2_K, q2_k);
    LAID_SET(Q3_K, q3_k);
    LAID_SET(Q4_K, q4_k);
    LAID_SET(Q5_K, q5_k);
    LAID_SET(Q6_K, q6_k);
    LAID_SET(IQ4_XS, iq4_xs);
    LAID_SET(TQ2_0, tq2_0);
    dot_laid_block_init_avx512(k);
}
