/* dot_row_avx512.c - rows times a few x in AVX-512 VNNI; scales and minima are unpacked as in
 * AVX2.  Same bytes as the reference: integers are exact in any order, and floats are added in
 * the reference's. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"
#include "quantize/dot_row_impl.h"
#include "quantize/dot_unpack_avx2.h"

/* x that a row meets at a time, and its super-blocks. */
enum { COLUMNS = 4, RUN = 4 };

#define LANES(a, b, c, d) _mm512_setr_epi64(a, a, b, b, c, c, d, d)

INLINE __m512i load64(const void *p) { return _mm512_loadu_si512(p); }

/* A shift for each of the four sixteen-byte lanes. */
INLINE __m512i shift_right(__m512i v, int a, int b, int c, int d)
{
    const long long each = 0x0001000100010001;
    return _mm512_srlv_epi16(v, LANES(a * each, b * each, c * each, d * each));
}

INLINE __m512i twice(const uint8_t *p) { return _mm512_broadcast_i64x4(load32(p)); }

INLINE __m512i mask_bits(__m512i v, char mask)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(mask));
}

/* A super-block's 256 codes in their order.  Bits of a byte that are 32 codes apart. */
INLINE void crumbs(__m512i u[4], const uint8_t *qs)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        const int s = 4 * (i % 2);
        u[i] = mask_bits(shift_right(twice(qs + 32 * (i / 2)), s, s, s + 2, s + 2), 3);
    }
}

INLINE void nibble_pairs(__m512i u[4], const uint8_t *qs)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = mask_bits(shift_right(twice(qs + 32 * i), 0, 0, 4, 4), 15);
}

/* Adds `value` to the codes whose bit is set: bit g of byte j is that of code 32 g + j. */
INLINE void add_high(__m512i u[4], const uint8_t *high, char value)
{
    const __m512i bits = twice(high);
    UNROLL
    for (int i = 0; i < 4; i++) {
        const long long low = 0x0101010101010101 << (2 * i);
        const long long top = (long long)((uint64_t)low << 1);
        const __mmask64 set = _mm512_test_epi8_mask(bits, LANES(low, low, top, top));
        u[i] = _mm512_mask_add_epi8(u[i], set, u[i], _mm512_set1_epi8(value));
    }
}

INLINE void codes_q2_k(__m512i u[4], const uint8_t *at) { crumbs(u, FIELD(block_q2_k, qs)); }

INLINE void codes_tq2_0(__m512i u[4], const uint8_t *at) { crumbs(u, FIELD(block_tq2_0, qs)); }

INLINE void codes_q3_k(__m512i u[4], const uint8_t *at)
{
    crumbs(u, FIELD(block_q3_k, qs));
    add_high(u, FIELD(block_q3_k, hmask), 4);
}

INLINE void codes_q4_k(__m512i u[4], const uint8_t *at) { nibble_pairs(u, FIELD(block_q4_k, qs)); }

INLINE void codes_q5_k(__m512i u[4], const uint8_t *at)
{
    nibble_pairs(u, FIELD(block_q5_k, qs));
    add_high(u, FIELD(block_q5_k, qh), 16);
}

INLINE void codes_q6_k(__m512i u[4], const uint8_t *at)
{
    UNROLL
    for (int h = 0; h < 2; h++) {
        const __m512i low = load64(FIELD(block_q6_k, ql) + 64 * h);
        const __m512i high = twice(FIELD(block_q6_k, qh) + 32 * h);
        const long long each = 0x0001000100010001;
        const __m512i a = _mm512_sllv_epi16(high, LANES(4 * each, 4 * each, 2 * each, 2 * each));
        const __m512i b = shift_right(high, 0, 0, 2, 2);
        u[2 * h] = _mm512_or_si512(mask_bits(low, 15), mask_bits(a, 48));
        u[2 * h + 1] = _mm512_or_si512(mask_bits(_mm512_srli_epi16(low, 4), 15), mask_bits(b, 48));
    }
}

/* Signed values with 128 added. */
INLINE __m512i values_of(const int8_t *table, __m512i codes)
{
    const __m512i values =
        _mm512_broadcast_i32x4(_mm_xor_si128(load16(table), _mm_set1_epi8(-128)));
    return _mm512_shuffle_epi8(values, codes);
}

INLINE void codes_iq4_xs(__m512i u[4], const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i qs = _mm512_castsi256_si512(load32(FIELD(block_iq4_xs, qs) + 32 * i));
        const __m512i lanes =
            _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 1, 0, 1, 2, 3, 2, 3), qs);
        u[i] = values_of(iq4_values, mask_bits(shift_right(lanes, 0, 4, 0, 4), 15));
    }
}

INLINE void codes_tq1_0(__m512i u[4], const uint8_t *at)
{
    struct super w;
    unpack_tq1_0(&w, at);
    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = _mm512_inserti64x4(_mm512_castsi256_si512(w.u[2 * i]), w.u[2 * i + 1], 1);
}

/* In the sixteen-byte lane l, pair i: twice the scale of the group of code 64 i + 16 l. */
INLINE __m512i spread_scales(__m256i scale, int groups)
{
    const __m512i group =
        groups == 8 ? _mm512_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6, 1, 3, 5, 7, 1, 3, 5, 7)
                    : _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 1, 3, 5, 7, 9, 11, 13, 15);
    return _mm512_permutexvar_epi16(_mm512_or_si512(group, _mm512_slli_epi32(group, 16)),
                                    _mm512_castsi256_si512(scale));
}

/* The products of a super-block with 256 codes of an x, times their scales. */
INLINE __m512i multiply_super(const __m512i u[4], const __m512i scale[4], const int8_t *q,
                              int codes)
{
    __m512i part[2] = {_mm512_setzero_si512(), _mm512_setzero_si512()};
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i x = load64(q + 64 * i);
        __m512i *dot = &part[i % 2];
        if (codes == CODES_TERNARY)
            *dot = _mm512_dpbusd_epi32(*dot, u[i], x);
        else if (codes == CODES_SIGNED) /* would saturate in 16 bits */
            *dot = _mm512_add_epi32(
                *dot, _mm512_mullo_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), u[i], x),
                                         _mm512_srai_epi32(scale[i], 16)));
        else
            *dot = _mm512_dpwssd_epi32(*dot, _mm512_maddubs_epi16(u[i], x), scale[i]);
    }
    return _mm512_add_epi32(part[0], part[1]);
}

/* The sums of four vectors. */
INLINE __m128i sums_of_four(const __m128i p[RUN])
{
    const __m128i a = _mm_add_epi32(_mm_unpacklo_epi32(p[0], p[1]), _mm_unpackhi_epi32(p[0], p[1]));
    const __m128i b = _mm_add_epi32(_mm_unpacklo_epi32(p[2], p[3]), _mm_unpackhi_epi32(p[2], p[3]));
    return _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
}

INLINE __m128i wide_sums_of_four(const __m512i p[RUN])
{
    const __m512i a =
        _mm512_add_epi32(_mm512_unpacklo_epi32(p[0], p[1]), _mm512_unpackhi_epi32(p[0], p[1]));
    const __m512i b =
        _mm512_add_epi32(_mm512_unpacklo_epi32(p[2], p[3]), _mm512_unpackhi_epi32(p[2], p[3]));
    const __m512i all = _mm512_add_epi32(_mm512_unpacklo_epi64(a, b), _mm512_unpackhi_epi64(a, b));
    const __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(all), _mm512_extracti64x4_epi64(all, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
}

/* How super-blocks of a type are taken apart; of the codes that `unpack` gives none are used, nor
 * computed. */
struct super_type {
    size_t bytes;
    void (*unpack)(struct super *, const uint8_t *);
    void (*unpack_codes)(__m512i *, const uint8_t *);
    int codes, groups;
};

/* y[c] += the terms of up to four super-blocks, one after the other. */
INLINE void add_run(float y[COLUMNS], int columns, struct super_type t, const uint8_t *row,
                    const struct dot_super_input *x, size_t apart, size_t count)
{
    const bool has_min = t.codes == CODES_MIN;
    const int offset = t.codes == CODES_SIGNED ? 7 : t.codes;
    __m512i dot[COLUMNS][RUN];
    __m128i low[COLUMNS][RUN];
    __m128 d[RUN];
    UNROLL
    for (size_t b = 0; b < RUN; b++) {
        struct super w;
        __m512i u[4];
        if (b >= count) {
            d[b] = _mm_setzero_ps();
            for (int c = 0; c < columns; c++) {
                dot[c][b] = _mm512_setzero_si512();
                low[c][b] = _mm_setzero_si128();
            }
            continue;
        }
        t.unpack(&w, row + b * t.bytes);
        t.unpack_codes(u, row + b * t.bytes);
        const __m512i all = spread_scales(w.scale, t.groups);
        const __m512i scale[4] = {
            _mm512_shuffle_epi32(all, _MM_PERM_AAAA), _mm512_shuffle_epi32(all, _MM_PERM_BBBB),
            _mm512_shuffle_epi32(all, _MM_PERM_CCCC), _mm512_shuffle_epi32(all, _MM_PERM_DDDD)};
        d[b] = w.d;
        UNROLL
        for (int c = 0; c < columns; c++) {
            const struct dot_super_input *in = x + (size_t)c * apart + b;
            dot[c][b] = multiply_super(u, scale, in->q, t.codes);
            low[c][b] = multiply_minima(&w, in, has_min, t.groups);
        }
    }
    const __m128 d01 = _mm_unpacklo_ps(d[0], d[1]), d23 = _mm_unpacklo_ps(d[2], d[3]);
    UNROLL
    for (int c = 0; c < columns; c++) {
        const struct dot_super_input *in = x + (size_t)c * apart;
        const __m128i sum = wide_sums_of_four(dot[c]), min = sums_of_four(low[c]);
        const __m128i whole = has_min ? sum : _mm_sub_epi32(sum, _mm_slli_epi32(min, offset));
        __m128 term = _mm_mul_ps(_mm_movelh_ps(d01, d23), _mm_cvtepi32_ps(whole));
        if (has_min)
            term = _mm_sub_ps(term, _mm_mul_ps(_mm_movehl_ps(d23, d01), _mm_cvtepi32_ps(min)));
        float terms[RUN];
        _mm_storeu_ps(terms, term);
        for (size_t b = 0; b < count; b++)
            y[c] += terms[b] * in[b].d;
    }
}

INLINE void few_supers(float *y, size_t stride, const uint8_t *row, const struct dot_super_input *x,
                       size_t n, int columns, struct super_type t)
{
    const size_t blocks = n / SUPER_ELEMS;
    float sum[COLUMNS] = {0};
    size_t b = 0;
    for (; b + RUN <= blocks; b += RUN)
        add_run(sum, columns, t, row + b * t.bytes, x + b, blocks, RUN);
    if (b < blocks)
        add_run(sum, columns, t, row + b * t.bytes, x + b, blocks, blocks - b);
    for (int c = 0; c < columns; c++)
        y[(size_t)c * stride] = sum[c];
}

/* Sixteen bytes at p in each of four blocks. */
INLINE __m512i four_blocks(const uint8_t *p, size_t bytes)
{
    const __m256i low =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p)), load16(p + bytes), 1);
    const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(load16(p + 2 * bytes)),
                                                 load16(p + 3 * bytes), 1);
    return _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
}

/* The lower and the upper sixteen codes of four blocks. */
struct halves {
    __m512i low, high;
};

INLINE struct halves nibbles_of(const uint8_t *qs, size_t bytes)
{
    const __m512i both = four_blocks(qs, bytes);
    return (struct halves){mask_bits(both, 15), mask_bits(_mm512_srli_epi16(both, 4), 15)};
}

INLINE struct halves add_fifth(struct halves u, const uint8_t *qh, size_t bytes)
{
    const uint64_t a = load_u32(qh), b = load_u32(qh + bytes), c = load_u32(qh + 2 * bytes),
                   d = load_u32(qh + 3 * bytes);
    const uint64_t even = a | c << 32, odd = b | d << 32, low = 0x0000ffff0000ffff;
    const __m512i bit = _mm512_set1_epi8(16);
    u.low = _mm512_mask_add_epi8(u.low, (even & low) | (odd & low) << 16, u.low, bit);
    u.high = _mm512_mask_add_epi8(u.high, (even >> 16 & low) | (odd & ~low), u.high, bit);
    return u;
}

INLINE struct halves codes_q4_0(const uint8_t *at)
{
    return nibbles_of(FIELD(block_q4_0, qs), sizeof(struct block_q4_0));
}

INLINE struct halves codes_q4_1(const uint8_t *at)
{
    return nibbles_of(FIELD(block_q4_1, qs), sizeof(struct block_q4_1));
}

INLINE struct halves codes_q5_0(const uint8_t *at)
{
    return add_fifth(nibbles_of(FIELD(block_q5_0, qs), sizeof(struct block_q5_0)),
                     FIELD(block_q5_0, qh), sizeof(struct block_q5_0));
}

INLINE struct halves codes_q5_1(const uint8_t *at)
{
    return add_fifth(nibbles_of(FIELD(block_q5_1, qs), sizeof(struct block_q5_1)),
                     FIELD(block_q5_1, qh), sizeof(struct block_q5_1));
}

INLINE struct halves codes_q8_0(const uint8_t *at)
{
    const __m512i flip = _mm512_set1_epi8(-128);
    const uint8_t *qs = FIELD(block_q8_0, qs);
    return (struct halves){_mm512_xor_si512(four_blocks(qs, sizeof(struct block_q8_0)), flip),
                           _mm512_xor_si512(four_blocks(qs + 16, sizeof(struct block_q8_0)), flip)};
}

INLINE struct halves look_up(const int8_t *table, struct halves u)
{
    return (struct halves){values_of(table, u.low), values_of(table, u.high)};
}

INLINE struct halves codes_iq4_nl(const uint8_t *at)
{
    return look_up(iq4_values, nibbles_of(FIELD(block_iq4_nl, qs), sizeof(struct block_iq4_nl)));
}

INLINE struct halves codes_mxfp4(const uint8_t *at)
{
    return look_up(mxfp4_values, nibbles_of(FIELD(block_mxfp4, qs), sizeof(struct block_mxfp4)));
}

/* Four partial sums of each of four blocks. */
INLINE __m512i multiply_four(struct halves u, const int8_t *q)
{
    const __m512i a = load64(q), b = load64(q + 64);
    const __m512i low = _mm512_shuffle_i64x2(a, b, 0x88), high = _mm512_shuffle_i64x2(a, b, 0xdd);
    return _mm512_dpbusd_epi32(_mm512_dpbusd_epi32(_mm512_setzero_si512(), u.low, low), u.high,
                               high);
}

INLINE __m256i sums_of_eight(__m512i a, __m512i b)
{
    const __m512i pairs =
        _mm512_add_epi32(_mm512_unpacklo_epi32(a, b), _mm512_unpackhi_epi32(a, b));
    const __m512i sums = _mm512_add_epi32(pairs, _mm512_shuffle_epi32(pairs, _MM_PERM_BADC));
    const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 0, 0, 0, 0, 0, 0, 0, 0);
    return _mm512_castsi512_si256(_mm512_permutexvar_epi32(order, sums));
}

/* The halves at the word `from` of eight blocks of up to 20 bytes: four lie in each of two vectors,
 * which is faster than to load them one by one. */
INLINE __m256 halves_of_eight(const uint8_t *piece, size_t bytes, int from)
{
    const short a = (short)from, step = (short)(bytes / 2);
    const short b = (short)(a + step), c = (short)(b + step), d = (short)(c + step);
    const __m512i word = _mm512_castsi128_si512(_mm_setr_epi16(
        a, b, c, d, (short)(a + 32), (short)(b + 32), (short)(c + 32), (short)(d + 32)));
    return _mm256_cvtph_ps(_mm512_castsi512_si128(
        _mm512_permutex2var_epi16(load64(piece), word, load64(piece + 4 * bytes))));
}

/* As with super-blocks. */
struct block_type {
    size_t bytes;
    void (*unpack)(struct blocks *, const uint8_t *);
    struct halves (*unpack_codes)(const uint8_t *);
    int codes;
};

INLINE void add_blocks(__m256 y[COLUMNS], int columns, struct block_type t, const uint8_t *piece,
                       const struct dot_block_input *x, size_t apart)
{
    struct blocks w;
    t.unpack(&w, piece);
    if (t.bytes % 2 == 0 && t.bytes <= 20) {
        w.d = halves_of_eight(piece, t.bytes, 0);
        if (t.codes == CODES_MIN)
            w.m = halves_of_eight(piece, t.bytes, 1);
    }
    const struct halves a = t.unpack_codes(piece), b = t.unpack_codes(piece + 4 * t.bytes);
    UNROLL
    for (int c = 0; c < columns; c++) {
        const struct dot_block_input *in = x + (size_t)c * apart;
        const __m256i dot = sums_of_eight(multiply_four(a, in->q), multiply_four(b, in->q + 128));
        y[c] = finish_blocks(y[c], dot, &w, in, t.codes == CODES_SIGNED ? 7 : t.codes);
    }
}

INLINE void few_blocks(float *y, size_t stride, const uint8_t *row, const struct dot_block_input *x,
                       size_t n, int columns, struct block_type t)
{
    const size_t apart = (n + DOT_PIECE - 1) / DOT_PIECE;
    __m256 sum[COLUMNS];
    UNROLL
    for (int c = 0; c < columns; c++)
        sum[c] = _mm256_setzero_ps();
    for (; n >= DOT_PIECE; n -= DOT_PIECE, row += 8 * t.bytes, x++)
        add_blocks(sum, columns, t, row, x, apart);
    if (n > 0) {
        uint8_t last[8 * sizeof(struct block_q8_0)] = {0};
        memcpy(last, row, n / BLOCK_ELEMS * t.bytes);
        add_blocks(sum, columns, t, last, x, apart);
    }
    UNROLL
    for (int c = 0; c < columns; c++)
        y[(size_t)c * stride] = add_lanes(sum[c]);
}

#define FEW(name, form, type, ...)                                                                 \
    static void few_##name(float *y, size_t stride, const uint8_t *row, const void *x,             \
                           size_t vectors, size_t n)                                               \
    {                                                                                              \
        const struct type t = {sizeof(struct block_##name), unpack_##name, codes_##name,           \
                               __VA_ARGS__};                                                       \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct dot_##form##_input *in = x;                                                   \
        for (; vectors >= COLUMNS; vectors -= COLUMNS, y += COLUMNS * stride)                      \
            few_##form##s(y, stride, row, in, n, COLUMNS, t), in += COLUMNS * pieces;              \
        for (; vectors >= 2; vectors -= 2, y += 2 * stride)                                        \
            few_##form##s(y, stride, row, in, n, 2, t), in += 2 * pieces;                          \
        if (vectors > 0)                                                                           \
            few_##form##s(y, stride, row, in, n, 1, t);                                            \
    }
#define BLOCKS(ID, name, codes)         FEW(name, block, block_type, codes)
#define SUPERS(ID, name, codes, groups) FEW(name, super, super_type, codes, groups)
PANEL_TYPES(BLOCKS, SUPERS)

void dot_row_init_avx512(struct dot_kernels *k)
{
#define SET(ID, name, ...) k->few[DTYPE_##ID] = few_##name;
    PANEL_TYPES(SET, SET)
}
