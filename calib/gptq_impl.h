/* gptq_impl.h - the engine: a tile of rows through rounding with feedback and descent.
 *
 * Include a lanes header first; it is built once for each.  Chunks of columns are entered from the
 * left: what all columns before them bring is one product with a slice of U (then of H), so that
 * each slice is read once for all rows of the tile.
 */
#ifndef CALIB_GPTQ_IMPL_H
#define CALIB_GPTQ_IMPL_H

#include "calib/gptq_descent_impl.h"
#include "calib/gptq_round_impl.h"

struct tile {
    const struct gptq *g;
    struct codes codes;
    struct strip strip[STRIPS];
    int strips; /* with rows in them */
    size_t cols, span, supers;
};

static inline f8 *take_room(f8 **room, size_t count)
{
    f8 *p = *room;
    *room += count;
    return p;
}

static void tile_open(struct tile *t, const struct gptq *g, size_t rows, float *room)
{
    f8 *at = (f8 *)(void *)room;
    t->g = g;
    t->cols = g->factor->cols;
    t->span = g->span;
    t->supers = t->cols / t->span;
    t->strips = (int)((rows + LANES - 1) / LANES);
    codes_init(&t->codes, g->shape);
    for (int s = 0; s < STRIPS; s++)
        t->strip[s] = (struct strip){
            .w = take_room(&at, t->cols),
            .q = take_room(&at, t->cols),
            .e = take_room(&at, t->cols),
            .x = take_room(&at, g->chunk),
            .sc = take_room(&at, g->blocks),
            .m = take_room(&at, g->blocks),
            .d = take_room(&at, t->supers),
            .dmin = take_room(&at, t->supers),
        };
}

/* Past every value of every type, and no square of a sum overflows. */
#define WEIGHT_MAX 0x1p33f

/* Rows to lanes; those past the last are zero. */
static void load_rows(const struct tile *t, f8 *dst, const float *src, size_t rows, int strip)
{
    const size_t first = (size_t)strip * LANES;
    const f8 limit = f8_set1(WEIGHT_MAX);
    for (size_t j = 0; j < t->cols; j++) {
        float lane[LANES] = {0};
        for (size_t l = 0; l < LANES && first + l < rows; l++)
            lane[l] = src[(first + l) * t->cols + j];
        dst[j] = f8_clamp(f8_load(lane), f8_neg(limit), limit);
    }
}

/* `count` vectors of a strip to rows. */
static void store_rows(float *dst, const f8 *src, size_t count, size_t rows, int strip)
{
    const size_t first = (size_t)strip * LANES;
    for (size_t j = 0; j < count; j++) {
        float lane[LANES];
        f8_store(lane, src[j]);
        for (size_t l = 0; l < LANES && first + l < rows; l++)
            dst[(first + l) * count + j] = lane[l];
    }
}

/* Columns of the chunk that begins with super-block i. */
static inline size_t chunk_cols(const struct tile *t, size_t i)
{
    const size_t left = t->cols - i * t->span;
    return left < t->g->chunk ? left : t->g->chunk;
}

static void round_tile(struct tile *t)
{
    for (size_t i = 0; i < t->supers; i += t->g->chunk / t->span) {
        const size_t col = i * t->span, cols = chunk_cols(t, i);
        for (int s = 0; s < t->strips; s++)
            memcpy(t->strip[s].x, t->strip[s].w + col, cols * sizeof(f8));
        product_far(t->strip, t->strips, t->g->factor, true, col, col, cols);
        for (int s = 0; s < t->strips; s++)
            round_chunk(t->g, &t->codes, &t->strip[s], i, cols / t->span);
    }
}

/* e = v - w in super-block i. */
static void take_error(const struct tile *t, struct strip *s, size_t i)
{
    const struct gptq_shape *shape = t->g->shape;
    for (int b = 0; b < shape->blocks; b++) {
        const size_t n = (size_t)shape->block, block = i * (size_t)shape->blocks + (size_t)b;
        const struct block line = {shape, &t->codes, NULL, NULL, s->d[i], s->dmin[i]};
        const f8 scale = scale_of(&line, s->sc[block]), offset = offset_of(&line, s->m[block]);
        for (size_t j = block * n; j < (block + 1) * n; j++)
            s->e[j] = f8_sub(f8_add(f8_mul(scale, s->q[j]), offset), s->w[j]);
    }
}

static void sweep_tile(struct tile *t)
{
    for (size_t i = 0; i < t->supers; i += t->g->chunk / t->span) {
        const size_t col = i * t->span, cols = chunk_cols(t, i);
        for (int s = 0; s < t->strips; s++)
            memset(t->strip[s].x, 0, cols * sizeof(f8));
        product_far(t->strip, t->strips, t->g->factor, false, t->cols, col, cols);
        for (int s = 0; s < t->strips; s++) {
            descend_chunk(t->g, &t->codes, &t->strip[s], i, cols / t->span);
            for (size_t k = i; k < i + cols / t->span; k++)
                take_error(t, &t->strip[s], k);
        }
    }
}

/* The loss of what stands in e: H is symmetric, so each chunk meets those before it twice. */
static void tile_loss(struct tile *t, float *loss, size_t rows)
{
    f8 sum[STRIPS];
    for (int s = 0; s < t->strips; s++)
        sum[s] = f8_set1(0.0f);
    for (size_t i = 0; i < t->supers; i += t->g->chunk / t->span) {
        const size_t col = i * t->span, cols = chunk_cols(t, i);
        for (int s = 0; s < t->strips; s++)
            memset(t->strip[s].x, 0, cols * sizeof(f8));
        product_far(t->strip, t->strips, t->g->factor, false, col, col, cols);
        for (int k = 0; k < t->strips; k++) {
            struct strip *s = &t->strip[k];
            for (size_t j = 0; j < cols; j++)
                s->x[j] = f8_add(s->x[j], s->x[j]);
            product_near(s->x, s->e + col, t->g->factor, false, col, cols, col, cols);
            sum[k] = f8_add(sum[k], sum_of_products(s->e + col, s->x, (int)cols));
        }
    }
    for (int s = 0; s < t->strips; s++)
        store_rows(loss, &sum[s], 1, rows, s);
}

static void engine_run(const struct gptq *g, const struct gptq_part *p)
{
    struct tile t;
    tile_open(&t, g, p->rows, p->room);
    for (int s = 0; s < t.strips; s++)
        load_rows(&t, t.strip[s].w, p->w, p->rows, s);
    round_tile(&t);
    for (int s = 0; s < t.strips; s++)
        for (size_t i = 0; i < t.supers; i++)
            take_error(&t, &t.strip[s], i);
    for (unsigned k = 0; k < g->sweeps; k++)
        sweep_tile(&t);
    tile_loss(&t, p->loss, p->rows);
    for (int s = 0; s < t.strips; s++) {
        store_rows(p->q, t.strip[s].q, t.cols, p->rows, s);
        store_rows(p->sc, t.strip[s].sc, g->blocks, p->rows, s);
        store_rows(p->m, t.strip[s].m, g->blocks, p->rows, s);
        store_rows(p->d, t.strip[s].d, t.supers, p->rows, s);
        store_rows(p->dmin, t.strip[s].dmin, t.supers, p->rows, s);
    }
}

static void engine_loss(const struct gptq *g, const float *x, size_t rows, float *loss, float *room)
{
    struct tile t;
    tile_open(&t, g, rows, room);
    for (int s = 0; s < t.strips; s++)
        load_rows(&t, t.strip[s].e, x, rows, s);
    tile_loss(&t, loss, rows);
}

#endif
