/* dot_float_impl.h - float products in vectors of VL lanes, VL = 4, 8 or 16; included by the files
 * that define, besides VL, the tile's COLUMNS and
 *
 *   vf                       a vector of floats
 *   vf_zero() vf_load(p)     no alignment is asked for
 *   vf_store(p, a)
 *   vf_load_f32(p) vf_load_f16(p) vf_load_bf16(p)   of a file
 *   vf_fma(a, b, c)          a * b + c, rounded once
 *   v4                       four floats, whatever VL is
 *   v4_load(p) v4_store(p, a) v4_add(a, b)
 *   v4_transpose(v)          of four v4, rows to columns
 *
 * Lane i % 16 of a sum takes column i, as the reference says: with VL = 8 the lower eight lanes
 * go over all columns, and then the upper eight. */

enum { TILE = DOT_TILE_ROWS, CHUNK = 1024 };

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
    const v4 low = v4_add(v4_load(lane), v4_load(lane + 8));
    v4_store(s, v4_add(low, v4_add(v4_load(lane + 4), v4_load(lane + 12))));
    return (s[0] + s[2]) + (s[1] + s[3]);
}

/* The sums of the sixteen lanes of four rows, in the order of dot_add_lanes. */
INLINE v4 add_lanes(float lane[TILE][DOT_LANES])
{
    v4 s[TILE];
    UNROLL
    for (int r = 0; r < TILE; r++) {
        const v4 low = v4_add(v4_load(lane[r]), v4_load(lane[r] + 8));
        s[r] = v4_add(low, v4_add(v4_load(lane[r] + 4), v4_load(lane[r] + 12)));
    }
    v4_transpose(s);
    return v4_add(v4_add(s[0], s[2]), v4_add(s[1], s[3]));
}

/* The lanes of a tile from `pass` on, those of four rows with so many x, += the products of
 * `count` columns; x are n apart.  `first`: the lanes are none yet. */
INLINE void add_tile(float lane[COLUMNS][TILE][DOT_LANES], size_t pass, bool first, const float *w,
                     const float *x, size_t n, size_t count, int columns)
{
    vf sum[COLUMNS][TILE];
    UNROLL
    for (int c = 0; c < columns; c++) {
        UNROLL
        for (int r = 0; r < TILE; r++)
            sum[c][r] = first ? vf_zero() : vf_load(lane[c][r] + pass);
    }
    for (size_t i = pass; i < count; i += DOT_LANES, w += TILE * DOT_LANES) {
        vf xc[COLUMNS];
        UNROLL
        for (int c = 0; c < columns; c++)
            xc[c] = vf_load(x + (size_t)c * n + i);
        UNROLL
        for (int r = 0; r < TILE; r++) {
            const vf row = vf_load(w + r * DOT_LANES + pass);
            UNROLL
            for (int c = 0; c < columns; c++)
                sum[c][r] = vf_fma(row, xc[c], sum[c][r]);
        }
    }
    UNROLL
    for (int c = 0; c < columns; c++) {
        UNROLL
        for (int r = 0; r < TILE; r++)
            vf_store(lane[c][r] + pass, sum[c][r]);
    }
}

/* y of all rows; a chunk of the x stays in the first cache while the rows go by. */
INLINE void multiply_columns(float y[][DOT_PANEL_ROWS], const float *panel, size_t rows,
                             const float *x, size_t n, int columns)
{
    _Alignas(64) float lane[DOT_PANEL_ROWS / TILE][COLUMNS][TILE][DOT_LANES];
    const size_t tiles = (rows + TILE - 1) / TILE;
    for (size_t i = 0; i < n; i += CHUNK)
        for (size_t t = 0; t < tiles; t++) {
            const float *w = panel + TILE * (t * n + i);
            const size_t count = n - i < CHUNK ? n - i : CHUNK;
            for (size_t pass = 0; pass < DOT_LANES; pass += VL)
                if (i == 0)
                    add_tile(lane[t], pass, true, w, x, n, count, columns);
                else
                    add_tile(lane[t], pass, false, w, x + i, n, count, columns);
        }
    for (int c = 0; c < columns; c++)
        for (size_t t = 0; t < tiles; t++)
            v4_store(y[c] + TILE * t, add_lanes(lane[t][c]));
}

static void multiply_float(float *y, size_t stride, const void *panel, size_t rows, const void *x,
                           size_t vectors, size_t n)
{
    const size_t padded = (n + DOT_LANES - 1) / DOT_LANES * DOT_LANES;
    const float *in = x;
    while (vectors > 0) {
        float sum[COLUMNS][DOT_PANEL_ROWS];
        const size_t columns = vectors >= COLUMNS ? COLUMNS : vectors >= 2 ? 2 : 1;
        if (columns == COLUMNS)
            multiply_columns(sum, panel, rows, in, padded, COLUMNS);
        else if (columns == 2)
            multiply_columns(sum, panel, rows, in, padded, 2);
        else
            multiply_columns(sum, panel, rows, in, padded, 1);
        for (size_t c = 0; c < columns; c++, y += stride)
            panel_put(y, sum[c], rows);
        in += columns * padded;
        vectors -= columns;
    }
}

/* More x than these, a power of two columns apart, would push each other out of the first cache. */
enum { BESIDE = COLUMNS < 4 ? COLUMNS : 4 };

/* One row as it lies in the file, with so many x.  Rows follow one another in memory, and are read
 * that way: several at a time are too much for the machine's foresight. */
INLINE void multiply_row(float *y, size_t stride, const uint8_t *row, const float *x, size_t n,
                         size_t size, vf (*load)(const void *), int columns)
{
    enum { PARTS = DOT_LANES / VL };
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

static void init_float(struct dot_kernels *k)
{
    k->add_float = add_float;
    for (int type = 0; type < DTYPE_COUNT; type++)
        if (dot_form((enum dtype_id)type) == DOT_FLOAT) {
            k->pack[type] = dot_pack_float;
            k->multiply[type] = multiply_float;
        }
    k->few[DTYPE_F32] = few_f32;
    k->few[DTYPE_F16] = few_f16;
    k->few[DTYPE_BF16] = few_bf16;
}
