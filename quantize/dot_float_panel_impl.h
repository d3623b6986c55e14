/* dot_float_panel_impl.h - many x of DOT_FLOAT: panels written and read; included behind
 * dot_float_impl.h by the files that define, besides,
 *
 *   COLUMNS                  so many x at a time
 *   CHUNK                    columns
 *   vf_add(a, b)
 *   put_sums(y, stride, lane, columns)
 *                            y[c * stride + r] = the sum of the lanes of lane[c][r], four rows;
 *                            in the order of dot_add_lanes, as everywhere
 *
 * A panel is tiles of four rows, filled up with zeros to whole tiles and lanes.  A tile is PARTS of
 * the lanes, VL each, and a part is the rows' share of sixteen columns in turn: it is read from
 * end to end.  With COLUMNS x the sums of a part fill the registers. */

enum { TILES = DOT_PANEL_ROWS / TILE };

/* The sums of a panel: where they wait between two parts of a tile, or of its columns. */
typedef float lanes[TILES][PARTS][TILE][VL];

static size_t padded_to_lanes(size_t n) { return (n + DOT_LANES - 1) / DOT_LANES * DOT_LANES; }

/* The rows that the last tile lacks are zeros. */
static void fill_up(float *panel, size_t rows, size_t padded)
{
    if (rows % TILE != 0)
        memset(panel + rows / TILE * TILE * padded, 0, TILE * padded * sizeof *panel);
}

static void pack_float(const struct dot_kernels *k, enum dtype_id type, void *panel,
                       const uint8_t *first, size_t row_bytes, size_t rows, size_t n)
{
    const struct dtype *t = dtype_get(type);
    const size_t padded = padded_to_lanes(n);
    fill_up(panel, rows, padded);
    for (size_t row = 0; row < rows; row++) {
        const uint8_t *from = first + row * row_bytes;
        float *out = (float *)panel + row / TILE * TILE * padded + row % TILE * VL;
        for (size_t i = 0; i < n; i += DOT_PIECE) {
            float w[DOT_PIECE];
            const size_t count = n - i < DOT_PIECE ? n - i : DOT_PIECE;
            k->codecs->decode[type](w, from + i / t->block_elems * t->block_bytes, count);
            memset(w + count, 0, (DOT_PIECE - count) * sizeof *w);
            for (size_t j = 0; j < count; j += DOT_LANES, out += TILE * VL)
                for (size_t p = 0; p < PARTS; p++)
                    vf_store(out + p * TILE * padded / PARTS, vf_load(w + j + p * VL));
        }
    }
}

/* Rows of floats of a file, which need no decoder. */
INLINE void pack_rows(float *panel, const uint8_t *first, size_t row_bytes, size_t rows, size_t n,
                      size_t size, vf (*load)(const void *))
{
    fill_up(panel, rows, n);
    for (size_t row = 0; row < rows; row++) {
        const uint8_t *from = first + row * row_bytes;
        float *out = panel + row / TILE * TILE * n + row % TILE * VL;
        for (size_t i = 0; i < n; i += DOT_LANES, out += TILE * VL) {
            UNROLL
            for (size_t p = 0; p < PARTS; p++)
                vf_store(out + p * TILE * n / PARTS, load(from + (i + p * VL) * size));
        }
    }
}

#define PACK(name, size)                                                                           \
    static void pack_##name(const struct dot_kernels *k, enum dtype_id type, void *panel,          \
                            const uint8_t *first, size_t row_bytes, size_t rows, size_t n)         \
    {                                                                                              \
        if (n % DOT_LANES == 0)                                                                    \
            pack_rows(panel, first, row_bytes, rows, n, size, vf_load_##name);                     \
        else                                                                                       \
            pack_float(k, type, panel, first, row_bytes, rows, n);                                 \
    }
PACK(f32, 4)
PACK(f16, 2)
PACK(bf16, 2)

/* Some columns of a panel's rows, and whether sums begin and end with them. */
struct chunk {
    size_t n, count;
    bool begins, ends;
};

/* The sums of one part of a tile with so many x; the lines at `next` are sent for meanwhile. */
INLINE void add_products(vf sum[COLUMNS][TILE], const float *w, const float *x, const float *next,
                         const struct chunk *chunk, int columns)
{
    for (size_t i = 0; i < chunk->count; i += DOT_LANES, w += TILE * VL) {
        vf xc[COLUMNS];
        __builtin_prefetch(next + i);
        UNROLL
        for (int c = 0; c < columns; c++)
            xc[c] = vf_load(x + (size_t)c * chunk->n + i);
        UNROLL
        for (int r = 0; r < TILE; r++) {
            const vf row = vf_load(w + r * VL);
            UNROLL
            for (int c = 0; c < columns; c++)
                sum[c][r] = vf_fma(row, xc[c], sum[c][r]);
        }
    }
}

/* The lanes of row r added until VL are left, `last` being those of the last part. */
INLINE vf add_parts(float lane[PARTS][TILE][VL], int r, vf last)
{
    vf part[PARTS];
    UNROLL
    for (int p = 0; p < PARTS - 1; p++)
        part[p] = vf_load(lane[p][r]);
    part[PARTS - 1] = last;
    UNROLL
    for (int apart = PARTS / 2; apart > 0; apart /= 2) {
        UNROLL
        for (int p = 0; p < apart; p++)
            part[p] = vf_add(part[p], part[p + apart]);
    }
    return part[0];
}

INLINE void multiply_tile(float *y, size_t stride, size_t rows, lanes lane[], int tile,
                          const float *w, const float *x, const float *next,
                          const struct chunk *chunk, int columns)
{
    vf sum[COLUMNS][TILE];
    for (int p = 0; p < PARTS; p++) {
        UNROLL
        for (int c = 0; c < columns; c++) {
            UNROLL
            for (int r = 0; r < TILE; r++)
                sum[c][r] = chunk->begins ? vf_zero() : vf_load(lane[c][tile][p][r]);
        }
        add_products(sum, w + (size_t)p * TILE * chunk->n / PARTS, x + p * VL, next, chunk,
                     columns);
        const bool end = chunk->ends && p == PARTS - 1;
        UNROLL
        for (int c = 0; c < columns; c++) {
            UNROLL
            for (int r = 0; r < TILE; r++)
                if (end)
                    sum[c][r] = add_parts(lane[c][tile], r, sum[c][r]);
                else
                    vf_store(lane[c][tile][p][r], sum[c][r]);
        }
    }
    if (!chunk->ends)
        return;
    if (rows == TILE) {
        put_sums(y, stride, sum, columns);
        return;
    }
    float some[COLUMNS][TILE];
    put_sums(some[0], TILE, sum, columns);
    for (int c = 0; c < columns; c++)
        memcpy(y + (size_t)c * stride, some[c], rows * sizeof *y);
}

/* A chunk of all rows with so many x; the next ones follow them. */
INLINE void multiply_columns(float *y, size_t stride, lanes lane[], const float *panel, size_t rows,
                             const float *x, const struct chunk *chunk, int columns)
{
    for (size_t row = 0; row < rows; row += TILE) {
        const size_t ahead = (size_t)columns + row / TILE % (size_t)columns;
        multiply_tile(y + row, stride, rows - row < TILE ? rows - row : TILE, lane,
                      (int)(row / TILE), panel + row * chunk->n, x, x + ahead * chunk->n, chunk,
                      columns);
    }
}

/* Chunks are as long as the second cache has room for one of all rows and of all x. */
static void multiply_float(float *y, size_t stride, const void *panel, size_t rows, const void *x,
                           size_t vectors, size_t n)
{
    _Alignas(64) lanes lane[DOT_GROUP];
    const size_t padded = padded_to_lanes(n), chunks = (padded + CHUNK - 1) / CHUNK;
    const size_t length = padded_to_lanes((padded + chunks - 1) / chunks);
    for (size_t i = 0; i < padded; i += length) {
        const size_t count = padded - i < length ? padded - i : length;
        const struct chunk chunk = {padded, count, i == 0, i + count == padded};
        const float *w = (const float *)panel + TILE * i / PARTS;
        size_t v = 0;
        while (v < vectors) {
            const float *in = (const float *)x + v * padded + i;
            const size_t columns = vectors - v >= COLUMNS ? COLUMNS : vectors - v >= 2 ? 2 : 1;
            if (columns == COLUMNS)
                multiply_columns(y + v * stride, stride, lane + v, w, rows, in, &chunk, COLUMNS);
            else if (columns == 2)
                multiply_columns(y + v * stride, stride, lane + v, w, rows, in, &chunk, 2);
            else
                multiply_columns(y + v * stride, stride, lane + v, w, rows, in, &chunk, 1);
            v += columns;
        }
    }
}

static void init_float(struct dot_kernels *k)
{
    k->add_float = add_float;
    for (int type = 0; type < DTYPE_COUNT; type++)
        if (dot_form((enum dtype_id)type) == DOT_FLOAT) {
            k->pack[type] = pack_float;
            k->multiply[type] = multiply_float;
        }
    k->pack[DTYPE_F32] = pack_f32;
    k->pack[DTYPE_F16] = pack_f16;
    k->pack[DTYPE_BF16] = pack_bf16;
    k->few[DTYPE_F32] = few_f32;
    k->few[DTYPE_F16] = few_f16;
    k->few[DTYPE_BF16] = few_bf16;
}
