/* dot_stream_avx512.c - one x and many rows of Q2_K to Q6_K in AVX-512 VNNI: what a token costs.
 * Same bytes as the reference: integers are exact in any order, floats are added in its order.
 *
 * Rows lie side by side, so they are one stream of super-blocks, taken four at a time wherever rows
 * end; x is laid out beside it in the order in which the codes come out of memory.  The four terms
 * are written down, and each row's are added up afterwards.  Two super-blocks share a vector as
 * soon as the sums of four products, below 4 * 63 * 127 < 2^15, are multiplied with the scales.
 * Nothing is sent for by hand: loads that follow one another are fetched ahead as it is, and a
 * hint in between only disturbs that. */
#include "quantize/dot.h"

#include "core/block.h"
#include "quantize/dot_unpack_avx2.h"

/* Super-blocks taken at a time; rows whose terms are written down; the most super-blocks of a row,
 * and the first three again, so that four can be taken from any of them on. */
enum { RUN = 4, ROWS = 32, BLOCKS = DOT_STREAM_COLS / SUPER_ELEMS + RUN - 1 };

struct stream {
    int8_t q[BLOCKS][SUPER_ELEMS];
    int32_t begin[BLOCKS][SUPER_ELEMS / 4]; /* of the sums of four products */
    int16_t sum[BLOCKS][8], odd[BLOCKS][8]; /* of groups, or of the even and of the odd ones */
    float d[BLOCKS], term[ROWS * BLOCKS];
};
static_assert(sizeof(struct stream) <= DOT_SCRATCH_MIN, "it is laid out in the scratch");

/* How four super-blocks are taken apart.  A vector has the codes of 32 columns and of the 32 that
 * are `apart` times as many behind.  Scales are of 16 bits, those of two super-blocks in a vector:
 * eight and eight, or sixteen and sixteen.  Minima are those of four super-blocks: eight times
 * four, or the even and the odd ones of sixteen.  A type without has `offset` to be taken off its
 * codes. */
struct stream_type {
    size_t bytes, halves; /* halves: where d is, and m behind it */
    int groups, apart, offset;
    void (*codes)(__m512i u[4], const uint8_t *at);
    void (*scales)(__m512i scale[2], __m512i min[2], const uint8_t *at, size_t bytes);
};

INLINE __m512i load64(const void *p) { return _mm512_loadu_si512(p); }

INLINE __m512i twice(const uint8_t *p) { return _mm512_broadcast_i64x4(load32(p)); }

/* Sixteen bytes at p in each of four super-blocks. */
INLINE __m512i in_four(const uint8_t *p, size_t bytes)
{
    __m512i v = _mm512_castsi128_si512(load16(p));
    v = _mm512_inserti32x4(v, load16(p + bytes), 1);
    v = _mm512_inserti32x4(v, load16(p + 2 * bytes), 2);
    return _mm512_inserti32x4(v, load16(p + 3 * bytes), 3);
}

INLINE __m512i nibble(__m512i bytes, int shift)
{
    return _mm512_and_si512(_mm512_srli_epi16(bytes, shift), _mm512_set1_epi8(15));
}

/* The bits `mask` of top, turned to the left by `low` in the lower half and `high` in the upper one,
 * above the codes. */
INLINE __m512i put_above(__m512i u, __m512i top, int low, int high, char mask)
{
    const __m512i by =
        _mm512_inserti64x4(_mm512_set1_epi32(low & 31), _mm256_set1_epi32(high & 31), 1);
    const __m512i bits = _mm512_and_si512(_mm512_rolv_epi32(top, by), _mm512_set1_epi8(mask));
    return _mm512_or_si512(u, bits);
}

INLINE __m512i two_bits(const uint8_t *qs, int i)
{
    return _mm512_and_si512(_mm512_srli_epi16(load64(qs), 2 * i), _mm512_set1_epi8(3));
}

INLINE void codes_q2_k(__m512i u[4], const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = two_bits(FIELD(block_q2_k, qs), i);
}

INLINE void codes_q3_k(__m512i u[4], const uint8_t *at)
{
    const __m512i top = twice(FIELD(block_q3_k, hmask)); /* bit g of a byte: group g */
    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = put_above(two_bits(FIELD(block_q3_k, qs), i), top, 2 - i, -2 - i, 4);
}

INLINE void codes_q4_k(__m512i u[4], const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 4; i++)
        u[i] = nibble(load64(FIELD(block_q4_k, qs) + 64 * (i / 2)), 4 * (i % 2));
}

INLINE void codes_q5_k(__m512i u[4], const uint8_t *at)
{
    const __m512i top = twice(FIELD(block_q5_k, qh)); /* bit g of a byte: group g */
    UNROLL
    for (int i = 0; i < 4; i++) {
        const int g = 4 * (i / 2) + i % 2;
        u[i] = nibble(load64(FIELD(block_q5_k, qs) + 64 * (i / 2)), 4 * (i % 2));
        u[i] = put_above(u[i], top, 4 - g, 2 - g, 16);
    }
}

INLINE void codes_q6_k(__m512i u[4], const uint8_t *at)
{
    UNROLL
    for (int i = 0; i < 4; i++) {
        const __m512i top = twice(FIELD(block_q6_k, qh) + 32 * (i / 2));
        const int shift = 4 * (i % 2);
        u[i] = nibble(load64(FIELD(block_q6_k, ql) + 64 * (i / 2)), shift);
        u[i] = put_above(u[i], top, 4 - shift, 2 - shift, 48);
    }
}

/* As unpack_scales in dot_unpack_avx2.h. */
INLINE void scales_six_bits(__m512i scale[2], __m512i min[2], const uint8_t *at, size_t bytes)
{
    const __m512i all = in_four(at, bytes), zero = _mm512_setzero_si512();
    const __m512i six = _mm512_shuffle_epi32(all, 0xed), top = _mm512_shuffle_epi32(all, 0xa5);
    const __m512i down = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 0, 4));
    const __m512i low_bits =
        _mm512_broadcast_i32x4(_mm_setr_epi32(0x3f3f3f3f, 0x0f0f0f0f, 0x3f3f3f3f, 0x0f0f0f0f));
    const __m512i high_bits = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0x30303030, 0, 0x30303030));
    const __m512i low = _mm512_and_si512(_mm512_srlv_epi32(six, down), low_bits);
    const __m512i both =
        _mm512_or_si512(low, _mm512_and_si512(_mm512_srli_epi32(top, 2), high_bits));
    scale[0] = _mm512_unpacklo_epi8(both, zero);
    scale[1] = _mm512_shuffle_i64x2(scale[0], scale[0], 0xee);
    min[0] = _mm512_unpackhi_epi8(both, zero);
}

/* Sixteen signed bytes in each lane. */
INLINE void widen(__m512i scale[2], __m512i bytes)
{
    scale[0] = _mm512_cvtepi8_epi16(_mm512_castsi512_si256(bytes));
    scale[1] = _mm512_cvtepi8_epi16(_mm512_extracti64x4_epi64(bytes, 1));
}

INLINE void scales_q2_k(__m512i scale[2], __m512i min[2], const uint8_t *at, size_t bytes)
{
    const __m512i all = in_four(FIELD(block_q2_k, scales), bytes);
    widen(scale, _mm512_and_si512(all, _mm512_set1_epi8(15)));
    min[0] = _mm512_and_si512(_mm512_srli_epi16(all, 4), _mm512_set1_epi16(15));
    min[1] = _mm512_srli_epi16(all, 12);
}

/* As unpack_q3_k in dot_unpack_avx2.h; the scales are the last twelve of sixteen bytes. */
INLINE void scales_q3_k(__m512i scale[2], __m512i min[2], const uint8_t *at, size_t bytes)
{
    (void)min;
    const __m512i all = in_four(FIELD(block_q3_k, scales) - 4, bytes);
    const __m512i both = _mm512_shuffle_epi32(all, 0x99), tops = _mm512_shuffle_epi32(all, 0xff);
    const __m512i down = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 0, 4, 4));
    const __m512i turn = _mm512_broadcast_i32x4(_mm_setr_epi32(0, 2, 4, 6));
    const __m512i low = _mm512_and_si512(_mm512_srlv_epi32(both, down), _mm512_set1_epi8(15));
    const __m512i top = _mm512_and_si512(_mm512_srlv_epi32(tops, turn), _mm512_set1_epi8(3));
    widen(scale,
          _mm512_sub_epi8(_mm512_or_si512(low, _mm512_slli_epi16(top, 4)), _mm512_set1_epi8(32)));
}

INLINE void scales_q6_k(__m512i scale[2], __m512i min[2], const uint8_t *at, size_t bytes)
{
    (void)min;
    widen(scale, in_four(FIELD(block_q6_k, scales), bytes));
}

/* The halves at p, and those after them, in four super-blocks. */
INLINE __m128 halves(__m128 *m, const uint8_t *p, size_t bytes)
{
    const __m128i both = _mm_setr_epi32((int)load_u32(p), (int)load_u32(p + bytes),
                                        (int)load_u32(p + 2 * bytes), (int)load_u32(p + 3 * bytes));
    const __m256 f = _mm256_cvtph_ps(_mm_shuffle_epi8(
        both, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)));
    *m = _mm256_extractf128_ps(f, 1);
    return _mm256_castps256_ps128(f);
}

INLINE __m128 single_halves(const uint8_t *p, size_t bytes)
{
    return _mm_cvtph_ps(_mm_setr_epi16(load_u16(p), load_u16(p + bytes), load_u16(p + 2 * bytes),
                                       load_u16(p + 3 * bytes), 0, 0, 0, 0));
}

/* The first group of 32 columns in vector i. */
INLINE int first_group(int apart, int i)
{
    return apart == 1 ? 2 * i : apart == 2 ? 4 * (i / 2) + i % 2 : i;
}

/* Which scales belong to the products of vector i of two super-blocks: in each lane four words of
 * the one and four of the other. */
INLINE __m512i scale_words(int groups, int apart, int i)
{
    const long long word = 0x0001000100010001, other = groups * word;
    const int each = groups / 8, g = each * first_group(apart, i), h = g + each * apart;
    const long long a = g * word, b = (g + each - 1) * word, c = h * word,
                    d = (h + each - 1) * word;
    return _mm512_setr_epi64(a, a + other, b, b + other, c, c + other, d, d + other);
}

/* The sums of the products of vector i. */
INLINE __m512i multiply_codes(__m512i u, const struct stream *x, size_t b, int i, int offset)
{
    const __m512i begin = offset ? load64(x->begin[b] + 16 * i) : _mm512_setzero_si512();
    return _mm512_dpbusd_epi32(begin, u, load64(x->q[b] + 64 * i));
}

/* Two vectors, each of whose lanes has two sums of one super-block and two of another's. */
INLINE __m128i sums_of_pairs(const __m512i dot[2])
{
    const __m512 a = _mm512_castsi512_ps(dot[0]), b = _mm512_castsi512_ps(dot[1]);
    const __m512i lanes = _mm512_add_epi32(_mm512_castps_si512(_mm512_shuffle_ps(a, b, 0x88)),
                                           _mm512_castps_si512(_mm512_shuffle_ps(a, b, 0xdd)));
    const __m256i halves =
        _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    return _mm_add_epi32(_mm256_castsi256_si128(halves), _mm256_extracti128_si256(halves, 1));
}

/* A vector that has a super-block in each lane. */
INLINE __m128i sums_of_lanes(__m512i v)
{
    const __m512i first = _mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0);
    v = _mm512_add_epi32(v, _mm512_shuffle_epi32(v, _MM_PERM_BADC));
    v = _mm512_add_epi32(v, _mm512_shuffle_epi32(v, _MM_PERM_CDAB));
    return _mm512_castsi512_si128(_mm512_permutexvar_epi32(first, v));
}

/* The terms of four super-blocks that meet x from block b on. */
INLINE __m128 multiply_run(const uint8_t *at, const struct stream *x, size_t b,
                           struct stream_type t)
{
    __m512i p[RUN][4], scale[2], min[2], dot[2];
    UNROLL
    for (size_t r = 0; r < RUN; r++) {
        __m512i u[4];
        t.codes(u, at + r * t.bytes);
        UNROLL
        for (int i = 0; i < 4; i++)
            p[r][i] = multiply_codes(u[i], x, b + r, i, t.offset);
    }
    t.scales(scale, min, at, t.bytes);
    UNROLL
    for (int h = 0; h < 2; h++) {
        dot[h] = _mm512_setzero_si512();
        UNROLL
        for (int i = 0; i < 4; i++)
            dot[h] = _mm512_dpwssd_epi32(
                dot[h], _mm512_packs_epi32(p[2 * h][i], p[2 * h + 1][i]),
                _mm512_permutexvar_epi16(scale_words(t.groups, t.apart, i), scale[h]));
    }
    const __m128 whole = _mm_cvtepi32_ps(sums_of_pairs(dot)), dx = _mm_loadu_ps(x->d + b);
    if (t.offset != 0)
        return _mm_mul_ps(_mm_mul_ps(single_halves(at + t.halves, t.bytes), whole), dx);
    __m512i low = _mm512_madd_epi16(min[0], load64(x->sum[b]));
    if (t.groups == 16)
        low = _mm512_dpwssd_epi32(low, min[1], load64(x->odd[b]));
    __m128 m;
    const __m128 d = halves(&m, at + t.halves, t.bytes);
    const __m128 less = _mm_mul_ps(m, _mm_cvtepi32_ps(sums_of_lanes(low)));
    return _mm_mul_ps(_mm_sub_ps(_mm_mul_ps(d, whole), less), dx);
}

INLINE void lay_out(struct stream *to, const struct dot_super_input *x, size_t blocks,
                    struct stream_type t)
{
    for (size_t b = 0; b < blocks + RUN - 1; b++) {
        const struct dot_super_input *from = &x[b % blocks];
        UNROLL
        for (int i = 0; i < 4; i++) {
            const int g = first_group(t.apart, i);
            const __m512i q = _mm512_inserti64x4(_mm512_castsi256_si512(load32(from->q + 32 * g)),
                                                 load32(from->q + 32 * (g + t.apart)), 1);
            const __m512i zero = _mm512_setzero_si512();
            const __m512i off = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8((char)t.offset), q);
            _mm512_storeu_si512(to->q[b] + 64 * i, q);
            _mm512_storeu_si512(to->begin[b] + 16 * i, _mm512_sub_epi32(zero, off));
        }
        memcpy(to->sum[b], t.groups == 8 ? from->sum32 : from->sum, sizeof to->sum[b]);
        memcpy(to->odd[b], from->sum + 8, sizeof to->odd[b]);
        to->d[b] = from->d;
    }
}

/* The terms of `count` super-blocks, the first of which meets the first of x. */
INLINE void write_terms(struct stream *x, const uint8_t *at, size_t count, size_t blocks,
                        struct stream_type t)
{
    size_t i = 0, b = 0;
    for (; i + RUN <= count; i += RUN, b = (b + RUN) % blocks, at += RUN * t.bytes)
        _mm_storeu_ps(x->term + i, multiply_run(at, x, b, t));
    if (i < count) {
        uint8_t last[RUN * sizeof(struct block_q6_k)] = {0};
        memcpy(last, at, (count - i) * t.bytes);
        _mm_storeu_ps(x->term + i, multiply_run(last, x, b, t));
    }
}

INLINE void multiply_stream(float *y, const uint8_t *at, size_t rows,
                            const struct dot_super_input *in, size_t blocks, struct stream *x,
                            struct stream_type t)
{
    lay_out(x, in, blocks, t);
    for (size_t row = 0; row < rows; row += ROWS, at += ROWS * blocks * t.bytes) {
        const size_t count = rows - row < ROWS ? rows - row : ROWS;
        write_terms(x, at, count * blocks, blocks, t);
        for (size_t r = 0; r < count; r++) {
            float sum = 0.0f;
            for (size_t b = 0; b < blocks; b++)
                sum += x->term[r * blocks + b];
            y[row + r] = sum;
        }
    }
}

#define STREAM(name, ...)                                                                          \
    static void stream_##name(float *y, const uint8_t *first, size_t rows, const void *x,          \
                              size_t n, void *scratch)                                             \
    {                                                                                              \
        const struct stream_type t = {sizeof(struct block_##name),                                 \
                                      offsetof(struct block_##name, d), __VA_ARGS__};              \
        multiply_stream(y, first, rows, x, n / SUPER_ELEMS, scratch, t);                           \
    }
STREAM(q2_k, 16, 4, 0, codes_q2_k, scales_q2_k)
STREAM(q3_k, 16, 4, 4, codes_q3_k, scales_q3_k)
STREAM(q4_k, 8, 2, 0, codes_q4_k, scales_six_bits)
STREAM(q5_k, 8, 2, 0, codes_q5_k, scales_six_bits)
STREAM(q6_k, 16, 1, 32, codes_q6_k, scales_q6_k)

void dot_stream_init_avx512(struct dot_kernels *k)
{
    k->stream[DTYPE_Q2_K] = stream_q2_k;
    k->stream[DTYPE_Q3_K] = stream_q3_k;
    k->stream[DTYPE_Q4_K] = stream_q4_k;
    k->stream[DTYPE_Q5_K] = stream_q5_k;
    k->stream[DTYPE_Q6_K] = stream_q6_k;
}
