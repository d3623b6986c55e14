#include "calib/gptq_uniform_impl.h"

#include "core/cpu.h"

/* How many floats the parts of a tile take. */
static size_t lay_out(struct uniform_tile *t, float *room)
{
    const size_t whole = t->cols * ROWS, part = t->span * ROWS, groups = whole / t->span;
    const struct {
        float **at;
        size_t size;
    } parts[] = {{&t->w, whole},      {&t->x, whole},     {&t->v, whole},
                 {&t->q, whole},      {&t->error, whole}, {&t->trial, 3 * part},
                 {&t->scale, groups}, {&t->zero, groups}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (room)
            *parts[i].at = room + used;
        used += parts[i].size;
    }
    return used;
}

static struct uniform_tile tile_of(const struct gptq_uniform *g)
{
    const size_t cols = g->factor->cols;
    return (struct uniform_tile){.g = g,
                                 .cols = cols,
                                 .span = uniform_span(&g->form, cols),
                                 .top = (float)uniform_max(&g->form)};
}

size_t gptq_uniform_room(const struct gptq_uniform *g)
{
    struct uniform_tile t = tile_of(g);
    return lay_out(&t, NULL);
}

void gptq_uniform_rows(const struct gptq_uniform *g, const float *w, size_t rows,
                       const struct uniform_rows *to, float *room, struct uniform_sums *sums)
{
    struct uniform_tile t = tile_of(g);
    struct uniform_sums none = {0};
    const size_t groups = t.cols / t.span;
    lay_out(&t, room);
    for (size_t row = 0; row < rows; row += ROWS) {
        const struct uniform_rows at = {to->code + row * t.cols, to->scale + row * groups,
                                        to->zero + row * groups};
        const int n = rows - row < ROWS ? (int)(rows - row) : ROWS;
#if defined(QUERN_AVX2)
        if (g->cpu & CPU_AVX2) {
            gptq_uniform_tile_avx2(&t, w + row * t.cols, n, &at, sums ? sums : &none);
            continue;
        }
#endif
        encode_tile(&t, w + row * t.cols, n, &at, sums ? sums : &none);
    }
}
