/* dot_stream_avx512.c - one x and many rows of Q4_K, Q5_K or Q6_K in AVX-512 VNNI: what a token
 * costs.  Same bytes as the reference: integers are exact in any order, floats are added in its
 * order.
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
    int16_t sum[BLOCKS][8];
    float d[BLOCKS], term[ROWS * BLOCKS];
};
static_assert(sizeof(struct stream) <= DOT_SCRATCH_MIN, "it is laid out in the scratch");

/* How four super-blocks are taken apart.  A vector has the codes of 32 columns and of the 32 that
 * are `apart` times as many behind.  Scales are of 16 bits, those of two super-blocks in a vector:
 * eight and eight, or sixteen and sixteen; minima eight times four.  Without minima `offset` is to
 * be taken off the codes. */
struct stream_type {
    size_t bytes;
    int groups, apart, offset;
    void (*codes)(__m512i u[4], const uint8_t *at);
    __m512i (*scales)(__m512i scale[2], const uint8_t *at, size_t bytes); /* returns minima */
    __m128 (*factors)(__m128 *m, const uint8_t *at, size_t bytes);
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
INLINE __m512i scales_six_bits(__m512i scale[2], const uint8_t *at, size_t bytes)
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
    return _mm512_unpackhi_epi8(both, zero);
}

INLINE __m512i scales_q6_k(__m512i scale[2], const uint8_t *at, size_t bytes)
{
    const uint8_t *s = FIELD(block_q6_k, scales);
    scale[0] = _mm512_cvtepi8_epi16(_mm256_set_m128i(load16(s + bytes), load16(s)));
    scale[1] = _mm512_cvtepi8_epi16(_mm256_set_m128i(load16(s + 3 * bytes), load16(s + 2 * bytes)));
    return _mm512_setzero_si512();
}

/* The halves d and m that four super-blocks begin with. */
INLINE __m128 factors_first(__m128 *m, const uint8_t *at, size_t bytes)
{
    const __m128i both =
        _mm_setr_epi32((int)load_u32(at), (int)load_u32(at + bytes), (int)load_u32(at + 2 * bytes),
                       (int)load_u32(at + 3 * bytes));
    const __m256 f = _mm256_cvtph_ps(_mm_shuffle_epi8(
        both, _mm_setr_epi8(0, 1, 4, 5, 8, 9, 12, 13, 2, 3, 6, 7, 10, 11, 14, 15)));
    *m = _mm256_extractf128_ps(f, 1);
    return _mm256_castps256_ps128(f);
}

INLINE __m128 factors_q6_k(__m128 *m, const uint8_t *at, size_t bytes)
{
    const uint8_t *d = FIELD(block_q6_k, d);
    *m = _mm_setzero_ps();
    return _mm_cvtph_ps(_mm_setr_epi16(load_u16(d), load_u16(d + bytes), load_u16(d + 2 * bytes),
                                       load_u16(d + 3 * bytes), 0, 0, 0, 0));
}

/* Which scales belong to the products of vector i of two super-blocks: in each lane four words of
 * the one and four of the other. */
INLINE __m512i scale_words(int groups, int i)
{
    const int a = groups == 8 ? 4 * (i / 2) + i % 2 : 4 * i;
    const long long step = 0x0001000100010001, other = groups * step;
    const long long of[4] = {a * step, (groups == 8 ? a : a + 1) * step, (a + 2) * step,
                             (groups == 8 ? a + 2 : a + 3) * step};
    return _mm512_setr_epi64(of[0], of[0] + other, of[1], of[1] + other, of[2], of[2] + other,
                             of[3], of[3] + other);
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
    __m512i p[RUN][4], scale[2], dot[2];
    __m128 m;
    UNROLL
    for (size_t r = 0; r < RUN; r++) {
        __m512i u[4];
        t.codes(u, at + r * t.bytes);
        UNROLL
        for (int i = 0; i < 4; i++)
            p[r][i] = multiply_codes(u[i], x, b + r, i, t.offset);
    }
    const __m512i minima = t.scales(scale, at, t.bytes);
    UNROLL
    for (int h = 0; h < 2; h++) {
        dot[h] = _mm512_setzero_si512();
        UNROLL
        for (int i = 0; i < 4; i++)
            dot[h] =
                _mm512_dpwssd_epi32(dot[h], _mm512_packs_epi32(p[2 * h][i], p[2 * h + 1][i]),
                                    _mm512_permutexvar_epi16(scale_words(t.groups, i), scale[h]));
    }
    __m128 term = _mm_mul_ps(t.factors(&m, at, t.bytes), _mm_cvtepi32_ps(sums_of_pairs(dot)));
    if (t.offset == 0) {
        const __m128i low = sums_of_lanes(_mm512_madd_epi16(minima, load64(x->sum[b])));
        term = _mm_sub_ps(term, _mm_mul_ps(m, _mm_cvtepi32_ps(low)));
    }
    return _mm_mul_ps(term, _mm_loadu_ps(x->d + b));
}

INLINE void lay_out(struct stream *to, const struct dot_super_input *x, size_t blocks,
                    struct stream_type t)
{
    for (size_t b = 0; b < blocks + RUN - 1; b++) {
        const struct dot_super_input *from = &x[b % blocks];
        UNROLL
        for (int i = 0; i < 4; i++) {
            const int g = t.apart == 1 ? 2 * i : 4 * (i / 2) + i % 2;
            const __m512i q = _mm512_inserti64x4(_mm512_castsi256_si512(load32(from->q + 32 * g)),
                                                 load32(from->q + 32 * (g + t.apart)), 1);
            const __m512i zero = _mm512_setzero_si512();
            const __m512i off = _mm512_dpbusd_epi32(zero, _mm512_set1_epi8((char)t.offset), q);
            _mm512_storeu_si512(to->q[b] + 64 * i, q);
            _mm512_storeu_si512(to->begin[b] + 16 * i, _mm512_sub_epi32(zero, off));
        }
        memcpy(to->sum[b], from->sum32, sizeof from->sum32);
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
        const struct stream_type t = {sizeof(struct block_##name), __VA_ARGS__};                   \
        multiply_stream(y, first, rows, x, n / SUPER_ELEMS, scratch, t);                           \
    }
STREAM(q4_k, 8, 2, 0, codes_q4_k, scales_six_bits, factors_first)
STREAM(q5_k, 8, 2, 0, codes_q5_k, scales_six_bits, factors_first)
STREAM(q6_k, 16, 1, 32, codes_q6_k, scales_q6_k, factors_q6_k)

void dot_stream_init_avx512(struct dot_kernels *k)
{
    k->stream[DTYPE_Q4_K] = stream_q4_k;
    k->stream[DTYPE_Q5_K] = stream_q5_k;
    k->stream[DTYPE_Q6_K] = stream_q6_k;
}
