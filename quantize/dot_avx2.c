/* dot_avx2.c - dot products of rows in AVX2, and the packing of panels.  Same bytes as the
 * reference: integers are exact in any order, and floats are added in the reference's. */
#include "quantize/dot.h"

#include "quantize/dot_panel.h"
#include "quantize/dot_row_impl.h"
#include "quantize/dot_unpack_avx2.h"

/* Sums of two neighbouring products.  The second factor of the instruction is signed and the
 * first is not; nothing saturates, for 2 * 128 * 127 fits in 16 bits. */
INLINE __m256i multiply_codes(__m256i u, __m256i q, int codes)
{
    return codes == CODES_SIGNED ? _mm256_maddubs_epi16(_mm256_abs_epi8(u), _mm256_sign_epi8(q, u))
                                 : _mm256_maddubs_epi16(u, q);
}

/* The sums of eight vectors. */
INLINE __m256i sums_of(const __m256i p[8])
{
    const __m256i low =
        _mm256_hadd_epi32(_mm256_hadd_epi32(p[0], p[1]), _mm256_hadd_epi32(p[2], p[3]));
    const __m256i high =
        _mm256_hadd_epi32(_mm256_hadd_epi32(p[4], p[5]), _mm256_hadd_epi32(p[6], p[7]));
    return _mm256_add_epi32(_mm256_permute2x128_si256(low, high, 0x20),
                            _mm256_permute2x128_si256(low, high, 0x31));
}

INLINE __m256 add_blocks(__m256 y, const struct blocks *w, const struct dot_block_input *x,
                         int codes)
{
    __m256i p[8];
    UNROLL
    for (int b = 0; b < 8; b++)
        p[b] = _mm256_madd_epi16(multiply_codes(w->u[b], load32(x->q + 32 * b), codes),
                                 _mm256_set1_epi16(1));
    return finish_blocks(y, sums_of(p), w, x, codes);
}

typedef void (*unpack_blocks_fn)(struct blocks *out, const uint8_t *piece);
typedef void (*unpack_super_fn)(struct super *out, const uint8_t *at);

/* The last piece may have fewer than eight blocks; the others are then zero. */
INLINE float row_blocks(const uint8_t *row, const struct dot_block_input *x, size_t n, size_t bytes,
                        unpack_blocks_fn unpack, int codes)
{
    struct blocks w;
    __m256 y = _mm256_setzero_ps();
    for (; n >= DOT_PIECE; n -= DOT_PIECE, row += 8 * bytes, x++) {
        unpack(&w, row);
        y = add_blocks(y, &w, x, codes);
    }
    if (n > 0) {
        uint8_t last[8 * sizeof(struct block_q8_0)] = {0};
        memcpy(last, row, n / BLOCK_ELEMS * bytes);
        unpack(&w, last);
        y = add_blocks(y, &w, x, codes);
    }
    return add_lanes(y);
}

/* The scale of group g in the lanes of its products. */
INLINE __m256i scale_at(__m256i scale, int g)
{
    return _mm256_shuffle_epi8(scale, _mm256_set1_epi16((short)(0x0100 + 0x0202 * g)));
}

INLINE float add_super(float y, const struct super *w, const struct dot_super_input *x, int codes,
                       int groups)
{
    const __m256i scale = groups == 8 ? _mm256_permute4x64_epi64(w->scale, 0x44) : w->scale;
    __m256i dot = _mm256_setzero_si256();
    UNROLL
    for (int g = 0; g < 8; g++) {
        const __m256i p = multiply_codes(w->u[g], load32(x->q + 32 * g), codes);
        dot = _mm256_add_epi32(dot, _mm256_madd_epi16(p, scale_at(scale, g)));
    }
    return finish_super(y, dot, w, x, codes == CODES_MIN, codes, groups);
}

INLINE float row_supers(const uint8_t *row, const struct dot_super_input *x, size_t n, size_t bytes,
                        unpack_super_fn unpack, int codes, int groups)
{
    float y = 0.0f;
    for (; n > 0; n -= SUPER_ELEMS, row += bytes, x++) {
        struct super w;
        unpack(&w, row);
        y = add_super(y, &w, x, codes, groups);
    }
    return y;
}

/* Eight rows of eight 32-bit units, turned: unit i of the rows to out + i * apart. */
INLINE void turn(uint8_t *out, size_t apart, const uint8_t *in, size_t row_bytes)
{
    __m256i a[8], b[8];
    UNROLL
    for (int i = 0; i < 8; i++)
        a[i] = load32(in + (size_t)i * row_bytes);
    UNROLL
    for (int i = 0; i < 8; i += 2) {
        b[i] = _mm256_unpacklo_epi32(a[i], a[i + 1]);
        b[i + 1] = _mm256_unpackhi_epi32(a[i], a[i + 1]);
    }
    UNROLL
    for (int h = 0; h < 8; h += 4) {
        a[h] = _mm256_unpacklo_epi64(b[h], b[h + 2]);
        a[h + 1] = _mm256_unpackhi_epi64(b[h], b[h + 2]);
        a[h + 2] = _mm256_unpacklo_epi64(b[h + 1], b[h + 3]);
        a[h + 3] = _mm256_unpackhi_epi64(b[h + 1], b[h + 3]);
    }
    UNROLL
    for (int i = 0; i < 4; i++) {
        uint8_t *low = out + (size_t)i * apart, *high = low + 4 * apart;
        _mm256_storeu_si256((void *)low, _mm256_permute2x128_si256(a[i], a[i + 4], 0x20));
        _mm256_storeu_si256((void *)high, _mm256_permute2x128_si256(a[i], a[i + 4], 0x31));
    }
}

/* The rows of a panel, each of `units` (a multiple of eight) 32-bit units, one after another. */
static void turn_rows(void *out, const void *in, size_t units)
{
    const size_t apart = 4 * DOT_PANEL_ROWS;
    for (size_t row = 0; row < DOT_PANEL_ROWS; row += 8)
        for (size_t i = 0; i < units; i += 8)
            turn((uint8_t *)out + i * apart + 4 * row, apart,
                 (const uint8_t *)in + 4 * (row * units + i), 4 * units);
}

INLINE void store_codes(uint8_t *out, const __m256i u[8], int add)
{
    UNROLL
    for (int g = 0; g < 8; g++)
        _mm256_storeu_si256((void *)(out + 32 * g),
                            _mm256_add_epi8(u[g], _mm256_set1_epi8((char)add)));
}

INLINE void pack_blocks(void *panel, const uint8_t *first, size_t row_bytes, size_t rows, size_t n,
                        size_t bytes, unpack_blocks_fn unpack, int codes)
{
    struct panel_block *out = panel;
    const int add = codes == CODES_MIN ? 0 : codes == CODES_SIGNED ? 128 : 128 - (1 << codes);
    for (size_t i = 0; i < n; i += DOT_PIECE, out++) {
        uint8_t u[DOT_PANEL_ROWS][DOT_PIECE];
        float d[DOT_PANEL_ROWS][8], m[DOT_PANEL_ROWS][8];
        memset(u[rows], 0, (DOT_PANEL_ROWS - rows) * sizeof u[0]);
        memset(d[rows], 0, (DOT_PANEL_ROWS - rows) * sizeof d[0]);
        memset(m, 0, sizeof m);
        for (size_t row = 0; row < rows; row++) {
            const uint8_t *piece = first + row * row_bytes + i / BLOCK_ELEMS * bytes;
            uint8_t last[8 * sizeof(struct block_q8_0)];
            struct blocks w;
            if (n - i < DOT_PIECE) {
                memset(last, 0, sizeof last);
                memcpy(last, piece, (n - i) / BLOCK_ELEMS * bytes);
                piece = last;
            }
            unpack(&w, piece);
            store_codes(u[row], w.u, add);
            _mm256_storeu_ps(d[row], w.d);
            if (codes == CODES_MIN)
                _mm256_storeu_ps(m[row], w.m);
        }
        turn_rows(&out->u, u, DOT_PIECE / 4);
        turn_rows(out->d, d, 8);
        turn_rows(out->m, m, 8);
    }
}

/* `groups`: eight scales or sixteen. */
INLINE void pack_supers(void *panel, const uint8_t *first, size_t row_bytes, size_t rows, size_t n,
                        size_t bytes, unpack_super_fn unpack, int codes, int groups)
{
    struct panel_super *out = panel;
    for (size_t i = 0; i < n / SUPER_ELEMS; i++, out++) {
        uint8_t u[DOT_PANEL_ROWS][DOT_PIECE];
        int16_t min[DOT_PANEL_ROWS][16];
        if (rows < DOT_PANEL_ROWS) {
            memset(out, 0, sizeof *out);
            memset(u, 0, sizeof u);
            memset(min, 0, sizeof min);
        }
        for (size_t row = 0; row < rows; row++) {
            struct super w;
            int16_t scale[16];
            unpack(&w, first + row * row_bytes + i * bytes);
            store_codes(u[row], w.u, codes == CODES_SIGNED ? 128 : 0);
            _mm256_storeu_si256((void *)scale, w.scale);
            UNROLL
            for (int g = 0; g < groups; g++)
                out->scale[g][row] = (int8_t)scale[groups == 16 ? g / 2 + 8 * (g % 2) : g];
            __m256i m = w.min;
            if (codes != CODES_MIN)
                m = _mm256_slli_epi16(w.scale, codes == CODES_SIGNED ? 7 : codes);
            else if (groups == 8)
                m = _mm256_permute4x64_epi64(w.scale, 0xee);
            _mm256_storeu_si256((void *)min[row], m);
            float d[4];
            _mm_storeu_ps(d, w.d);
            out->d[row] = d[0];
            out->m[row] = d[1];
        }
        turn_rows(&out->u, u, DOT_PIECE / 4);
        turn_rows(out->min, min, 8);
    }
}

#define ROW_AND_PACK(name, form, ...)                                                              \
    static float row_##name(const struct dot_kernels *k, enum dtype_id type, const uint8_t *row,   \
                            const void *x, size_t n)                                               \
    {                                                                                              \
        (void)k, (void)type;                                                                       \
        return row_##form(row, x, n, sizeof(struct block_##name), unpack_##name, __VA_ARGS__);     \
    }                                                                                              \
    static void pack_##name(const struct dot_kernels *k, enum dtype_id type, void *panel,          \
                            const uint8_t *first, size_t row_bytes, size_t rows, size_t n)         \
    {                                                                                              \
        (void)k, (void)type;                                                                       \
        pack_##form(panel, first, row_bytes, rows, n, sizeof(struct block_##name), unpack_##name,  \
                    __VA_ARGS__);                                                                  \
    }
#define BLOCKS(ID, name, codes)         ROW_AND_PACK(name, blocks, codes)
#define SUPERS(ID, name, codes, groups) ROW_AND_PACK(name, supers, codes, groups)
PANEL_TYPES(BLOCKS, SUPERS)

void dot_init_avx2(struct dot_kernels *k)
{
#define SET(ID, name, ...)                                                                         \
    k->row[DTYPE_##ID] = row_##name;                                                               \
    k->pack[DTYPE_##ID] = pack_##name;
    PANEL_TYPES(SET, SET)
    dot_panel_init_avx2(k);
    dot_input_init_avx2(k);
    dot_float_init_avx2(k);
}
