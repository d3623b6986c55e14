#include "calib/gptq.h"

#include "calib/gptq_part.h"
#include "calib/gptq_shape.h"
#include "core/cpu.h"
#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

/* Strips hold up to this many rows side by side: room is aligned to that. */
enum { ROOM_ALIGN = 64 };

static const struct gptq_engine *choose_engine(unsigned cpu)
{
#if defined(QUERN_AVX512)
    if (cpu & CPU_AVX512VNNI)
        return &gptq_engine_avx512;
#endif
#if defined(QUERN_AVX2)
    if (cpu & CPU_AVX2)
        return &gptq_engine_avx2;
#endif
#if defined(QUERN_NEON)
    if (cpu & CPU_NEON)
        return &gptq_engine_neon;
#endif
    (void)cpu;
    return &gptq_engine_scalar;
}

bool gptq_supports(enum dtype_id dtype) { return gptq_shape_find(dtype) != NULL; }

static size_t supers_of(const struct gptq *g) { return g->factor->cols / g->span; }

size_t gptq_room(const struct gptq *g)
{
    return GPTQ_ROWS * (3 * g->factor->cols + g->chunk + 2 * g->blocks + 2 * supers_of(g));
}

/* The triangle of U, H, its inverse and that one's triangle, all within block b; t: work space. */
static bool fill_block(struct gptq *g, size_t b, double *t)
{
    const size_t n = (size_t)g->shape->block, col = b * n;
    float *u = g->u + b * n * n, *h = g->h + b * n * n;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            u[i * n + j] = i <= j ? factor_u_at(g->factor, col + i, col + j) : 0.0f;
            h[i * n + j] = factor_h_at(g->factor, col + i, col + j);
            t[i * n + j] = (double)h[i * n + j];
        }
    if (!factor_small(t, n))
        return false;
    for (size_t i = 0; i < n; i++)
        for (size_t j = 0; j < n; j++) {
            double sum = 0.0;
            for (size_t k = 0; k <= i && k <= j; k++)
                sum += t[k * n + i] * t[k * n + j];
            g->inverse[b * n * n + i * n + j] = (float)sum;
            g->t[b * n * n + i * n + j] = (float)t[i * n + j];
        }
    const size_t first = col / g->span * g->span;
    for (size_t i = 0; i < n; i++)
        for (size_t k = 0; k < g->span; k++)
            g->sum[b * g->span + k] += factor_h_at(g->factor, col + i, first + k);
    return true;
}

static bool fill(struct gptq *g, struct err *err)
{
    double t[GPTQ_BLOCK_MAX * GPTQ_BLOCK_MAX];
    for (size_t j = 0; j < g->factor->cols; j++) {
        const float u = factor_u_at(g->factor, j, j);
        g->weight[j] = 1.0f / (u * u);
    }
    for (size_t b = 0; b < g->blocks; b++)
        if (!fill_block(g, b, t))
            return err_set(err, ERR_NUMERIC, "the Hessian of block %zu has no inverse", b);
    return true;
}

static unsigned sweeps_of(const struct gptq_options *o, size_t cols)
{
    return o->fast ? 0 : o->sweeps ? o->sweeps : GPTQ_SWEEPS - (cols >= GPTQ_WIDE);
}

/* From tests/bench/gptq_bench.c, of AVX-512: what each column takes, and that times the columns. */
double gptq_row_seconds(const struct gptq_options *options, size_t cols)
{
    const double first = options->fast ? 85e-9 : 185e-9;
    const double each = options->fast ? 5.7e-11 : 7e-11 * sweeps_of(options, cols);
    return (double)cols * (first + each * (double)cols);
}

bool gptq_open(struct gptq *g, const struct factor *f, enum dtype_id dtype,
               const struct gptq_options *options, const struct kernels *kernels, struct err *err)
{
    const struct gptq_engine *engine = choose_engine(options->cpu);
    *g = (struct gptq){.factor = f,
                       .shape = gptq_shape_find(dtype),
                       .kernels = kernels,
                       .dtype = dtype_get(dtype),
                       .engine = engine,
                       .sweeps = sweeps_of(options, f->cols),
                       .passes = GPTQ_PASSES,
                       .tries = options->fast ? 1 : GPTQ_TRIES};
    if (!g->shape)
        return err_set(err, ERR_UNSUPPORTED, "gptq does not encode to %s", g->dtype->name);
    const size_t n = (size_t)g->shape->block;
    g->span = n * (size_t)g->shape->blocks;
    if (f->cols % g->span != 0)
        return err_set(err, ERR_FORMAT, "%zu columns are not whole blocks of %zu", f->cols,
                       g->span);
    g->chunk = GPTQ_SPAN_MAX / g->span * g->span;
    g->blocks = f->cols / n;
    float **const part[] = {&g->u, &g->h, &g->inverse, &g->t};
    bool ok = (g->weight = mem_alloc(f->cols, sizeof(float))) != NULL &&
              (g->sum = mem_alloc(g->blocks, g->span * sizeof(float))) != NULL;
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        ok = ok && (*part[i] = mem_alloc(f->cols, n * sizeof(float)));
    if (!ok)
        err_set(err, ERR_MEMORY, "blocks of a Hessian of %zu columns", f->cols);
    if (!ok || !fill(g, err)) {
        gptq_close(g);
        return false;
    }
    return true;
}

void gptq_close(struct gptq *g)
{
    free(g->weight);
    free(g->sum);
    free(g->u);
    free(g->h);
    free(g->inverse);
    free(g->t);
    *g = (struct gptq){0};
}

/* What a thread's floats hold. */
struct layout {
    float *room, *q, *sc, *m, *d, *dmin, *decoded;
};

static size_t layout_of(const struct gptq *g, struct layout *l, float *base)
{
    const size_t sizes[] = {gptq_room(g),
                            GPTQ_ROWS * g->factor->cols,
                            GPTQ_ROWS * g->blocks,
                            GPTQ_ROWS * g->blocks,
                            GPTQ_ROWS * supers_of(g),
                            GPTQ_ROWS * supers_of(g),
                            GPTQ_ROWS * g->factor->cols};
    float **const to[] = {&l->room, &l->q, &l->sc, &l->m, &l->d, &l->dmin, &l->decoded};
    size_t at = 0;
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        if (base)
            *to[i] = base + at;
        at += (sizes[i] + ROOM_ALIGN - 1) / ROOM_ALIGN * ROOM_ALIGN;
    }
    return at;
}

size_t gptq_row_bytes(const struct gptq *g)
{
    return g->factor->cols / g->dtype->block_elems * g->dtype->block_bytes;
}

bool gptq_scratch_open(struct gptq_scratch *s, const struct gptq *g, struct err *err)
{
    struct layout unused;
    *s = (struct gptq_scratch){.floats = mem_alloc(layout_of(g, &unused, NULL), sizeof(float))};
    if (!s->floats)
        return err_set(err, ERR_MEMORY, "%d rows of %zu columns", GPTQ_ROWS, g->factor->cols);
    return true;
}

void gptq_scratch_close(struct gptq_scratch *s)
{
    free(s->floats);
    *s = (struct gptq_scratch){0};
}

/* Plain rounding of a tile into `blocks`, and its loss. */
static void round_plainly(const struct gptq *g, const float *w, size_t rows, uint8_t *blocks,
                          const struct layout *l, float *loss)
{
    const size_t cols = g->factor->cols, bytes = gptq_row_bytes(g);
    for (size_t r = 0; r < rows; r++) {
        float *v = l->decoded + r * cols;
        g->kernels->encode[g->dtype->id](blocks + r * bytes, w + r * cols, g->factor->diagonal,
                                         cols);
        g->kernels->decode[g->dtype->id](v, blocks + r * bytes, cols);
        for (size_t j = 0; j < cols; j++)
            v[j] -= w[r * cols + j];
    }
    g->engine->loss(g, l->decoded, rows, loss, l->room);
}

static void encode_tile(const struct gptq *g, const float *w, size_t rows, uint8_t *blocks,
                        const struct layout *l, struct gptq_sums *sums)
{
    const size_t cols = g->factor->cols, supers = supers_of(g);
    float loss[GPTQ_ROWS], plain[GPTQ_ROWS];
    round_plainly(g, w, rows, blocks, l, plain);
    const struct gptq_part part = {.rows = rows,
                                   .w = w,
                                   .q = l->q,
                                   .sc = l->sc,
                                   .m = l->m,
                                   .d = l->d,
                                   .dmin = l->dmin,
                                   .loss = loss,
                                   .room = l->room};
    g->engine->run(g, &part);
    for (size_t r = 0; r < rows; r++) {
        const struct gptq_row row = {l->q + r * cols, l->sc + r * g->blocks, l->m + r * g->blocks,
                                     l->d + r * supers, l->dmin + r * supers};
        const bool better = loss[r] < plain[r];
        if (better)
            g->shape->pack(blocks + r * gptq_row_bytes(g), &row, cols);
        if (sums) {
            sums->loss += (double)(better ? loss[r] : plain[r]);
            sums->rounding += (double)plain[r];
            sums->rows++;
            sums->kept += !better;
        }
    }
}

void gptq_rows(const struct gptq *g, const float *w, size_t rows, uint8_t *blocks,
               struct gptq_scratch *s, struct gptq_sums *sums)
{
    struct layout l;
    layout_of(g, &l, s->floats);
    for (size_t r = 0; r < rows; r += GPTQ_ROWS) {
        const size_t tile = rows - r < GPTQ_ROWS ? rows - r : GPTQ_ROWS;
        encode_tile(g, w + r * g->factor->cols, tile, blocks + r * gptq_row_bytes(g), &l, sums);
    }
}
