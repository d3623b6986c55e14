/* dot_float_impl.h - float products in vectors of VL lanes, VL = 4, 8 or 16; included by the files
 * that define, besides VL, the tile's COLUMNS and
 *
 *   vf                       a vector of floats
 *   vf_zero() vf_load(p)     no alignment is asked for
 *   vf_store(p, a)
 *   vf_load_f32(p) vf_load_f16(p) vf_load_bf16(p)   of a file
 *   vf_fma(a, b, c)          a * b + c, rounded once
 *
 * Lane i % 16 of a sum takes column i, as the reference says: with VL = 8 the lower eight lanes
 * go over all columns, and then the upper eight. */

enum { TILE = 4, PARTS = DOT_LANES / VL };

static void add_float(float lane[DOT_LANES], const float *w, const float *x, size_t n)
{
    for (size_t pass = 0; pass < DOT_LANES; pass += VL) {
        vf sum = vf_load(lane + pass);
        for (size_t i = pass; i < n; i += DOT_LANES)
            sum = vf_fma(vf_load(w + i), vf_load(x + i), sum);
        vf_store(lane + pass, sum);
    }
}

/* The sum of sixteen lanes, in the order of dot_add_lanes. */
INLINE float sum_lanes(const float lane[DOT_LANES])
{
    float s[4];
    for (int i = 0; i < 4; i++)
        s[i] = (lane[i] + lane[i + 8]) + (lane[i + 4] + lane[i + 12]);
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* More x than these, a power of two columns apart, would push each other out of the first cache. */
enum { BESIDE = COLUMNS < 4 ? COLUMNS : 4 };

/* One row as it lies in the file, with so many x.  Rows follow one another in memory, and are read
 * that way: several at a time are too much for the machine's foresight. */
INLINE void multiply_row(float *y, size_t stride, const uint8_t *row, const float *x, size_t n,
                         size_t size, vf (*load)(const void *), int columns)
{
    float lane[BESIDE][DOT_LANES];
    vf sum[BESIDE][PARTS];
    UNROLL
    for (int i = 0; i < columns * PARTS; i++)
        sum[i / PARTS][i % PARTS] = vf_zero();
    for (size_t i = 0; i < n; i += DOT_LANES) {
        UNROLL
        for (size_t p = 0; p < PARTS; p++) {
            const vf w = load(row + (i + p * VL) * size);
            UNROLL
            for (int c = 0; c < columns; c++)
                sum[c][p] = vf_fma(w, vf_load(x + (size_t)c * n + i + p * VL), sum[c][p]);
        }
    }
    UNROLL
    for (int i = 0; i < columns * PARTS; i++)
        vf_store(lane[i / PARTS] + i % PARTS * VL, sum[i / PARTS][i % PARTS]);
    for (int c = 0; c < columns; c++)
        y[(size_t)c * stride] = sum_lanes(lane[c]);
}

#define FEW(name, size)                                                                            \
    static void few_##name(float *y, size_t stride, const uint8_t *row, const void *x,             \
                           size_t vectors, size_t n)                                               \
    {                                                                                              \
        const float *in = x;                                                                       \
        for (; vectors >= BESIDE; vectors -= BESIDE, in += BESIDE * n, y += BESIDE * stride)       \
            multiply_row(y, stride, row, in, n, size, vf_load_##name, BESIDE);                     \
        for (; vectors >= 2; vectors -= 2, in += 2 * n, y += 2 * stride)                           \
            multiply_row(y, stride, row, in, n, size, vf_load_##name, 2);                          \
        if (vectors > 0)                                                                           \
            multiply_row(y, stride, row, in, n, size, vf_load_##name, 1);                          \
    }
FEW(f32, 4)
FEW(f16, 2)
FEW(bf16, 2)
