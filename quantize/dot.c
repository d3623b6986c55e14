#include "quantize/dot.h"

#include "core/cpu.h"
#include "quantize/dot_laid.h"
#include "quantize/dot_panel.h"

/* For fewer x a panel does not pay: where one x is taken after the other, where a few share a row, and
 * where rows are laid out. */
enum { FEW_ONE_BY_ONE = 4, FEW_TOGETHER = 8, FEW_LAID = 6 };

static_assert((int)LAID_ROWS == (int)DOT_PANEL_ROWS, "a group of rows makes a panel");

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

size_t dot_laid_bytes(const struct dot_kernels *k, enum dtype_id type, size_t rows, size_t cols)
{
    const struct dtype *t = dtype_get(type);
    if (!k->laid_multiply[type] || cols % DOT_PIECE != 0)
        return 0;
    return round_up(rows, LAID_ROWS) * (cols / t->block_elems * t->block_bytes);
}

size_t dot_scratch_bytes(size_t max_cols)
{
    size_t most = 0;
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

/* A panel, which stays in a core's cache while all x go by. */
static void multiply_panel(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                           size_t rows, const uint8_t *x, size_t vectors, float *y, size_t stride,
                           void *panel)
{
    const size_t x_bytes = dot_input_bytes(dot_form(w->type), w->cols);
    const uint8_t *data = w->data + first * w->row_bytes;
    fetch(data, rows * w->row_bytes);
    if (w->laid)
        k->laid_pack[w->type](panel, data, w->cols);
    else
        k->pack[w->type](k, w->type, panel, data, w->row_bytes, rows, w->cols);
    for (size_t v = 0; v < vectors; v += DOT_GROUP) {
        const size_t group = vectors - v < DOT_GROUP ? vectors - v : DOT_GROUP;
        k->multiply[w->type](y + v * stride + first, stride, panel, rows, x + v * x_bytes, group,
                             w->cols);
    }
}

/* Laid out: groups of rows are unpacked to panels, or, for a few x, stay in a cache. */
static void multiply_laid(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                          size_t rows, const uint8_t *x, size_t vectors, float *y, size_t stride)
{
    const size_t x_bytes = dot_input_bytes(dot_form(w->type), w->cols);
    const uint8_t *data = w->data + first * w->row_bytes;
    if (vectors == 1)
        k->laid_multiply[w->type](y + first, data, rows, x, w->cols);
    else
        for (size_t row = 0; row < rows; row += LAID_ROWS, data += LAID_ROWS * w->row_bytes)
            for (size_t v = 0; v < vectors; v++)
                k->laid_multiply[w->type](y + v * stride + first + row, data,
                                          rows - row < LAID_ROWS ? rows - row : LAID_ROWS,
                                          x + v * x_bytes, w->cols);
}

void dot_multiply(const struct dot_kernels *k, const struct dot_weight *w, size_t first,
                  size_t rows, const void *x, size_t vectors, float *y, size_t stride,
                  void *scratch)
{
    const size_t few = k->few[w->type] ? FEW_TOGETHER : FEW_ONE_BY_ONE;
    if (w->laid && vectors < FEW_LAID) {
        multiply_laid(k, w, first, rows, x, vectors, y, stride);
        return;
    }
    if (!w->laid && (vectors < few || !k->multiply[w->type])) {
        multiply_rows(k, w, first, rows, x, vectors, y, stride);
        return;
    }
    for (const size_t end = first + rows; first < end; first += DOT_PANEL_ROWS) {
        const size_t count = end - first < DOT_PANEL_ROWS ? end - first : DOT_PANEL_ROWS;
        multiply_panel(k, w, first, count, x, vectors, y, stride, scratch);
    }
}
