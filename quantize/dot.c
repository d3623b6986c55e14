#include "quantize/dot.h"

#include "core/cpu.h"
#include "quantize/dot_panel.h"

/* Panels multiplied together stay in a core's cache while the x go by, some at a time. */
enum { TILE_BYTES = 512 * 1024, TILE_PANELS = 2, GROUP = 24 };

/* For fewer x it does not pay to lay rows side by side: where one x is taken after the other, where
 * a few share a row, and for floats, which take up more when they are unpacked. */
enum { FEW_ONE_BY_ONE = 4, FEW_TOGETHER = 8, FEW_FLOATS = 10 };

void dot_init(struct dot_kernels *k, const struct kernels *codecs, unsigned cpu)
{
    *k = (struct dot_kernels){.name = "scalar", .codecs = codecs};
    dot_init_scalar(k);
#if defined(QUERN_AVX2)
    if (cpu & CPU_AVX2) {
        k->name = "avx2";
        dot_init_avx2(k);
    }
#endif
#if defined(QUERN_AVX512)
    if (cpu & CPU_AVX512VNNI) {
        k->name = "avx512";
        dot_init_avx512(k);
    }
#endif
#if defined(QUERN_NEON)
    if (cpu & CPU_NEON) {
        k->name = "neon";
        dot_init_neon(k);
    }
    if (cpu & CPU_DOTPROD) {
        k->name = "dotprod";
        dot_init_dotprod(k);
    }
#endif
    (void)cpu;
}

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }

size_t dot_input_bytes(enum dot_form form, size_t n)
{
    if (form == DOT_FLOAT)
        return round_up(n, DOT_LANES) * sizeof(float);
    return round_up(n, DOT_PIECE) / DOT_PIECE * sizeof(struct dot_super_input);
}

void dot_quantize(const struct dot_kernels *k, enum dot_form form, void *restrict x8,
                  const float *restrict x, size_t n)
{
    k->quantize[form](x8, x, n);
}

static size_t panel_bytes(enum dot_form form, size_t cols)
{
    if (form == DOT_FLOAT)
        return round_up(cols, DOT_LANES) * DOT_PANEL_ROWS * sizeof(float);
    const size_t pieces = round_up(cols, DOT_PIECE) / DOT_PIECE;
    return pieces * (form == DOT_BLOCK ? sizeof(struct panel_block) : sizeof(struct panel_super));
}

size_t dot_scratch_bytes(size_t max_cols)
{
    size_t most = TILE_BYTES;
    for (int form = 0; form < DOT_FORMS; form++) {
        const size_t bytes = panel_bytes((enum dot_form)form, max_cols);
        most = bytes > most ? bytes : most;
    }
    return most;
}

static void multiply_rows(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                          size_t rows, const uint8_t *x, size_t vectors, float *y, size_t stride)
{
    const enum dot_form form = dot_form(w->type);
    const size_t x_bytes = dot_input_bytes(form, w->cols);
    const bool few = k->few[w->type] && (form != DOT_FLOAT || w->cols % DOT_LANES == 0);
    for (size_t row = first; row < first + rows; row++) {
        const uint8_t *data = w->data + row * w->row_bytes;
        if (few)
            k->few[w->type](y + row, stride, data, x, vectors, w->cols);
        else
            for (size_t v = 0; v < vectors; v++)
                y[v * stride + row] = k->row[w->type](k, w->type, data, x + v * x_bytes, w->cols);
    }
}

/* Sends for what is about to be read row beside row, in the order in which it lies in memory. */
static void fetch(const uint8_t *p, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += 64)
        __builtin_prefetch(p + i, 0, 2);
}

/* Up to TILE_PANELS panels, all x. */
static void multiply_tile(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                          size_t rows, const uint8_t *x, size_t vectors, float *y, size_t stride,
                          uint8_t *scratch)
{
    const enum dot_form form = dot_form(w->type);
    const size_t bytes = panel_bytes(form, w->cols), x_bytes = dot_input_bytes(form, w->cols);
    for (size_t r = 0; r < rows; r += DOT_PANEL_ROWS) {
        const size_t count = rows - r < DOT_PANEL_ROWS ? rows - r : DOT_PANEL_ROWS;
        const uint8_t *data = w->data + (first + r) * w->row_bytes;
        fetch(data, count * w->row_bytes);
        k->pack[w->type](k, w->type, scratch + r / DOT_PANEL_ROWS * bytes, data, w->row_bytes,
                         count, w->cols);
    }
    for (size_t v = 0; v < vectors; v += GROUP) {
        const size_t group = vectors - v < GROUP ? vectors - v : GROUP;
        for (size_t r = 0; r < rows; r += DOT_PANEL_ROWS) {
            const size_t count = rows - r < DOT_PANEL_ROWS ? rows - r : DOT_PANEL_ROWS;
            k->multiply[w->type](y + v * stride + first + r, stride,
                                 scratch + r / DOT_PANEL_ROWS * bytes, count, x + v * x_bytes,
                                 group, w->cols);
        }
    }
}

void dot_multiply(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                  size_t rows, const void *x, size_t vectors, float *y, size_t stride,
                  void *scratch)
{
    const size_t few = !k->few[w->type]                 ? FEW_ONE_BY_ONE
                       : dot_form(w->type) == DOT_FLOAT ? FEW_FLOATS
                                                        : FEW_TOGETHER;
    if (vectors < few || !k->multiply[w->type]) {
        multiply_rows(k, w, first, rows, x, vectors, y, stride);
        return;
    }
    const size_t fit = TILE_BYTES / panel_bytes(dot_form(w->type), w->cols);
    const size_t panels = fit < 1 ? 1 : fit > TILE_PANELS ? TILE_PANELS : fit;
    for (size_t end = first + rows; first < end; first += panels * DOT_PANEL_ROWS) {
        const size_t left = end - first, tile = panels * DOT_PANEL_ROWS;
        multiply_tile(k, w, first, left < tile ? left : tile, x, vectors, y, stride, scratch);
    }
}
