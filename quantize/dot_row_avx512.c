/* dot_row_avx512.c - rows times a few x in AVX-512 VNNI; scales and minima are unpacked as in
 * AVX2.  Same bytes as the reference: integers are exact in any order, and floats are added in
 * the reference's. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"
#include "quantize/dot_row_impl.h"
#include "quantize/dot_unpack_avx2.h"

/* x that a row meets at a time, and its super-blocks. */
enum { COLUMNS = 4, RUN = 4 };

INLINE __m512i load64(const void *p) { return _mm512_loadu_si512(p); }

INLINE __m512i mask_bits(__m512i v, char mask)
{
    return _mm512_and_si512(v, _mm512_set1_epi8(mask));
}

/* Signed values with 128 added. */
INLINE __m512i values_of(const int8_t *table, __m512i codes)
{
    const __m512i values =
        _mm512_broadcast_i32x4(_mm_xor_si128(load16(table), _mm_set1_epi8(-128)));
    return _mm512_shuffle_epi8(values, codes);
}

/* The sums of four vectors, of each half by itself. */
INLINE __m256i half_sums(const __m256i p[4])
{
    const __m256i a =
        _mm256_add_epi32(_mm256_unpacklo_epi32(p[0], p[1]), _mm256_unpackhi_epi32(p[0], p[1]));
    const __m256i b =
        _mm256_add_epi32(_mm256_unpacklo_epi32(p[2], p[3]), _mm256_unpackhi_epi32(p[2], p[3]));
    return _mm256_add_epi32(_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b));
}

INLINE __m128i sums_of_four(const __m128i p[RUN])
{
    const __m128i a = _mm_add_epi32(_mm_unpacklo_epi32(p[0], p[1]), _mm_unpackhi_epi32(p[0], p[1]));
    const __m128i b = _mm_add_epi32(_mm_unpacklo_epi32(p[2], p[3]), _mm_unpackhi_epi32(p[2], p[3]));
    return _mm_add_epi32(_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b));
}

/* Eight parts of a super-block's sum: each group's scale times its products.  Of 32 columns the
 * first sixteen come to one half of a vector, the others to the other. */
INLINE __m256i multiply_super(const struct super *w, const int8_t *q, int groups)
{
    __m256i dot[8];
    UNROLL
    for (int g = 0; g < 8; g++)
        dot[g] = _mm256_dpbusd_epi32(_mm256_setzero_si256(), w->u[g], load32(q + 32 * g));
    const __m256i low = half_sums(dot), high = half_sums(dot + 4);
    const __m256i even = _mm256_permute2x128_si256(low, high, 0x20);
    const __m256i odd = _mm256_permute2x128_si256(low, high, 0x31);
    const __m256i scale = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(w->scale));
    if (groups == 8)
        return _mm256_mullo_epi32(_mm256_add_epi32(even, odd), scale);
    const __m256i other = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(w->scale, 1));
    return _mm256_add_epi32(_mm256_mullo_epi32(even, scale), _mm256_mullo_epi32(odd, other));
}

/* How super-blocks of a type are taken apart. */
struct super_type {
    size_t bytes;
    void (*unpack)(struct super *, const uint8_t *);
    int codes, groups;
};

INLINE void unpack_super(struct super *w, struct super_type t, const uint8_t *at)
{
    const __m256i flip = _mm256_set1_epi8(t.codes == CODES_SIGNED ? -128 : 0);
    t.unpack(w, at);
    UNROLL
    for (int g = 0; g < 8; g++)
        w->u[g] = _mm256_xor_si256(w->u[g], flip);
}

/* y[c] += the terms of up to four super-blocks, one after the other. */
INLINE void add_run(float y[COLUMNS], int columns, struct super_type t, const uint8_t *row,
                    const struct dot_super_input *x, size_t apart, size_t count)
{
    const bool has_min = t.codes == CODES_MIN;
    const int offset = t.codes == CODES_SIGNED ? 7 : t.codes;
    __m256i dot[COLUMNS][RUN];
    __m128i low[COLUMNS][RUN];
    __m128 d[RUN];
    UNROLL
    for (size_t b = 0; b < RUN; b++) {
        struct super w;
        if (b >= count) {
            d[b] = _mm_setzero_ps();
            for (int c = 0; c < columns; c++) {
                dot[c][b] = _mm256_setzero_si256();
                low[c][b] = _mm_setzero_si128();
            }
            continue;
        }
        unpack_super(&w, t, row + b * t.bytes);
        d[b] = w.d;
        UNROLL
        for (int c = 0; c < columns; c++) {
            const struct dot_super_input *in = x + (size_t)c * apart + b;
            dot[c][b] = multiply_super(&w, in->q, t.groups);
            low[c][b] = multiply_minima(&w, in, has_min, t.groups);
        }
    }
    const __m128 d01 = _mm_unpacklo_ps(d[0], d[1]), d23 = _mm_unpacklo_ps(d[2], d[3]);
    UNROLL
    for (int c = 0; c < columns; c++) {
        const struct dot_super_input *in = x + (size_t)c * apart;
        const __m256i halves = half_sums(dot[c]);
        const __m128i sum =
            _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
        const __m128i min = sums_of_four(low[c]);
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
    for (; b + 2 <= blocks; b += 2)
        add_run(sum, columns, t, row + b * t.bytes, x + b, blocks, 2);
    if (b < blocks)
        add_run(sum, columns, t, row + b * t.bytes, x + b, blocks, 1);
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

/* The same of blocks; of the codes that `unpack` gives none are used, nor computed. */
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
        const struct type t = {sizeof(struct block_##name), unpack_##name, __VA_ARGS__};           \
                                                                                                   \
        const size_t pieces = (n + DOT_PIECE - 1) / DOT_PIECE;                                     \
        const struct dot_##form##_input *in = x;                                                   \
        for (; vectors >= COLUMNS; vectors -= COLUMNS, y += COLUMNS * stride)                      \
            few_##form##s(y, stride, row, in, n, COLUMNS, t), in += COLUMNS * pieces;              \
        for (; vectors >= 2; vectors -= 2, y += 2 * stride)                                        \
            few_##form##s(y, stride, row, in, n, 2, t), in += 2 * pieces;                          \
        if (vectors > 0)                                                                           \
            few_##form##s(y, stride, row, in, n, 1, t);                                            \
    }
#define BLOCKS(ID, name, codes)         FEW(name, block, block_type, codes_##name, codes)
#define SUPERS(ID, name, codes, groups) FEW(name, super, super_type, codes, groups)
PANEL_TYPES(BLOCKS, SUPERS)

void dot_row_init_avx512(struct dot_kernels *k)
{
#define SET(ID, name, ...) k->few[DTYPE_##ID] = few_##name;
    PANEL_TYPES(SET, SET)
}
