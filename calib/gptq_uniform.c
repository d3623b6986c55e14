#include "calib/gptq_uniform.h"

#include "core/half.h"

#include <math.h>
#include <string.h>

/* A tile of rows stands column by column: x[col * ROWS + row], so that a step of all rows is one
 * loop over neighbours.  Rows past the last are zero. */
enum { ROWS = UNIFORM_ROWS, CUTS = 24 };
static const float CUT = 0.025f;

struct tile {
    const struct gptq_uniform *g;
    size_t cols, span;
    float top;
    float *w, *x, *v;    /* cols x ROWS: weights; with errors fed back; decoded */
    float *q;            /* codes */
    float *error;        /* span x ROWS: of a group, in units of U's diagonal */
    float *trial;        /* span x ROWS */
    float *scale, *zero; /* groups x ROWS */
};

/* q, v and the error over U[j][j] of one column. */
static void round_column(const float *x, const float *scale, const float *zero, float top,
                         float over_u, float *q, float *v, float *error)
{
    for (int r = 0; r < ROWS; r++) {
        const float inverse = scale[r] > 0.0f ? 1.0f / scale[r] : 0.0f;
        float code = x[r] * inverse + zero[r];
        code = code < 0.0f ? 0.0f : code > top ? top : code;
        q[r] = (float)(int)(code + 0.5f);
        v[r] = scale[r] * (q[r] - zero[r]);
        error[r] = (x[r] - v[r]) * over_u;
    }
}

static void feed_back(float *x, const float *error, float u)
{
    for (int r = 0; r < ROWS; r++)
        x[r] -= error[r] * u;
}

/* Rounds the n columns of a group that begin at `first`, x being theirs, with feedback among them;
 * loss[r] += the squares of the errors. */
static void round_group(const struct tile *t, size_t first, size_t n, float *x, const float *scale,
                        const float *zero, float *q, float *v, float *error, double *loss)
{
    const struct factor *f = t->g->factor;
    for (size_t j = 0; j < n; j++) {
        float *e = error + j * ROWS;
        round_column(x + j * ROWS, scale, zero, t->top, 1.0f / factor_u_at(f, first + j, first + j),
                     q + j * ROWS, v + j * ROWS, e);
        for (int r = 0; r < ROWS; r++)
            loss[r] += (double)e[r] * e[r];
        for (size_t k = j + 1; k < n; k++)
            feed_back(x + k * ROWS, e, factor_u_at(f, first + j, first + k));
    }
}

/* The same without feedback: the errors by the diagonal of H. */
static void weigh_group(const struct tile *t, size_t first, size_t n, const float *x,
                        const float *scale, const float *zero, double *loss)
{
    float q[ROWS], v[ROWS], error[ROWS];
    for (size_t j = 0; j < n; j++) {
        round_column(x + j * ROWS, scale, zero, t->top, sqrtf(t->g->factor->diagonal[first + j]), q,
                     v, error);
        for (int r = 0; r < ROWS; r++)
            loss[r] += (double)error[r] * error[r];
    }
}

struct choice {
    float scale[ROWS], zero[ROWS];
    double loss[ROWS];
};

/* Tries a scale and zero for each row and keeps them where they are better. */
static void try_scales(const struct tile *t, size_t first, const float *scale, const float *zero,
                       struct choice *best)
{
    double loss[ROWS] = {0.0};
    const float *x = t->x + first * ROWS;
    if (t->span > UNIFORM_SEARCH) {
        weigh_group(t, first, t->span, x, scale, zero, loss);
    } else {
        float *copy = t->trial, *q = copy + t->span * ROWS, *v = q + t->span * ROWS;
        memcpy(copy, x, t->span * ROWS * sizeof *copy);
        round_group(t, first, t->span, copy, scale, zero, q, v, t->error, loss);
    }
    for (int r = 0; r < ROWS; r++)
        if (loss[r] < best->loss[r]) {
            best->loss[r] = loss[r];
            best->scale[r] = scale[r];
            best->zero[r] = zero[r];
        }
}

/* Ranges of x cut further and further. */
static void choose_scales(const struct tile *t, size_t first, struct choice *best)
{
    float low[ROWS] = {0.0f}, high[ROWS] = {0.0f};
    for (size_t j = 0; j < t->span; j++)
        for (int r = 0; r < ROWS; r++) {
            const float x = t->x[(first + j) * ROWS + r];
            low[r] = x < low[r] ? x : low[r];
            high[r] = x > high[r] ? x : high[r];
        }
    for (int r = 0; r < ROWS; r++)
        best->loss[r] = INFINITY;
    for (int i = 0; i < CUTS; i++) {
        const float part = 1.0f - (float)i * CUT;
        float scale[ROWS], zero[ROWS];
        for (int r = 0; r < ROWS; r++)
            scale[r] = uniform_scale(&t->g->form, part * low[r], part * high[r], &zero[r]);
        try_scales(t, first, scale, zero, best);
    }
}

/* All groups in order; each one's errors go into the columns behind it. */
static void round_tile(struct tile *t)
{
    const struct factor *f = t->g->factor;
    memcpy(t->x, t->w, t->cols * ROWS * sizeof *t->x);
    for (size_t first = 0; first < t->cols; first += t->span) {
        struct choice best;
        double loss[ROWS] = {0.0};
        const size_t at = first / t->span * ROWS;
        choose_scales(t, first, &best);
        memcpy(t->scale + at, best.scale, sizeof best.scale);
        memcpy(t->zero + at, best.zero, sizeof best.zero);
        round_group(t, first, t->span, t->x + first * ROWS, best.scale, best.zero,
                    t->q + first * ROWS, t->v + first * ROWS, t->error, loss);
        for (size_t k = first + t->span; k < t->cols; k++)
            for (size_t j = 0; j < t->span; j++)
                feed_back(t->x + k * ROWS, t->error + j * ROWS, factor_u_at(f, first + j, k));
    }
}

/* g = (V - W) H, and of each row the loss (v - w) H (v - w)'. */
static void differentiate(const struct tile *t, float *g, double *loss)
{
    for (int r = 0; r < ROWS; r++)
        loss[r] = 0.0;
    for (size_t k = 0; k < t->cols; k++) {
        float sum[ROWS] = {0.0f};
        for (size_t j = 0; j < t->cols; j++) {
            const float h = factor_h_at(t->g->factor, j, k);
            for (int r = 0; r < ROWS; r++)
                sum[r] += (t->v[j * ROWS + r] - t->w[j * ROWS + r]) * h;
        }
        memcpy(g + k * ROWS, sum, sizeof sum);
        for (int r = 0; r < ROWS; r++)
            loss[r] += (double)(t->v[k * ROWS + r] - t->w[k * ROWS + r]) * sum[r];
    }
}

/* One pass over the columns: each code goes to where, the others as they are, the loss is least. */
static void sweep(const struct tile *t, float *g)
{
    const struct factor *f = t->g->factor;
    for (size_t j = 0; j < t->cols; j++) {
        const size_t at = j / t->span * ROWS;
        const float h = factor_h_at(f, j, j);
        float *q = t->q + j * ROWS, *v = t->v + j * ROWS;
        float x[ROWS], code[ROWS], to[ROWS], back[ROWS];
        bool any = false;
        for (int r = 0; r < ROWS; r++)
            x[r] = v[r] - g[j * ROWS + r] / h;
        round_column(x, t->scale + at, t->zero + at, t->top, 1.0f, code, to, back);
        for (int r = 0; r < ROWS; r++) {
            const float delta = to[r] - v[r];
            const bool better = delta * (2.0f * g[j * ROWS + r] + delta * h) < 0.0f;
            back[r] = better ? -delta : 0.0f;
            q[r] = better ? code[r] : q[r];
            v[r] = better ? to[r] : v[r];
            any |= better;
        }
        for (size_t k = 0; any && k < t->cols; k++)
            feed_back(g + k * ROWS, back, factor_h_at(f, j, k));
    }
}

/* Row r of the tile is what its codes say. */
static void place_row(const struct tile *t, int r, const uint8_t *code, const uint16_t *scale,
                      const uint8_t *zero)
{
    uniform_decode_row(&t->g->form, code, scale, zero, t->cols, t->x);
    for (size_t c = 0; c < t->cols; c++)
        t->v[c * ROWS + r] = t->x[c];
}

static void take_row(const struct tile *t, int r, uint8_t *code, uint16_t *scale, uint8_t *zero)
{
    for (size_t c = 0; c < t->cols; c++)
        code[c] = (uint8_t)t->q[c * ROWS + r];
    for (size_t i = 0; i < t->cols / t->span; i++) {
        scale[i] = half_from_float(t->scale[i * ROWS + r]);
        zero[i] = (uint8_t)t->zero[i * ROWS + r];
    }
}

/* Plain rounding first; then what is better than it. */
static void encode_tile(struct tile *t, const float *w, int rows, const struct uniform_rows *to,
                        struct uniform_sums *sums)
{
    const size_t cols = t->cols, groups = cols / t->span;
    double plain[ROWS], loss[ROWS];
    memset(t->w, 0, cols * ROWS * sizeof *t->w);
    memset(t->v, 0, cols * ROWS * sizeof *t->v);
    for (int r = 0; r < rows; r++) {
        uint8_t *code = to->code + (size_t)r * cols, *zero = to->zero + (size_t)r * groups;
        uint16_t *scale = to->scale + (size_t)r * groups;
        for (size_t c = 0; c < cols; c++)
            t->w[c * ROWS + r] = w[(size_t)r * cols + c];
        uniform_encode_row(&t->g->form, w + (size_t)r * cols, t->g->factor->diagonal, cols, code,
                           scale, zero);
        place_row(t, r, code, scale, zero);
    }
    differentiate(t, t->x, plain);
    round_tile(t);
    for (unsigned i = 0; i < t->g->sweeps; i++) {
        differentiate(t, t->x, loss);
        sweep(t, t->x);
    }
    differentiate(t, t->x, loss);
    for (int r = 0; r < rows; r++) {
        const bool better = loss[r] < plain[r];
        if (better)
            take_row(t, r, to->code + (size_t)r * cols, to->scale + (size_t)r * groups,
                     to->zero + (size_t)r * groups);
        sums->loss += better ? loss[r] : plain[r];
        sums->rounding += plain[r];
        sums->rows++;
        sums->kept += !better;
    }
}

/* How many floats the parts of a tile take. */
static size_t lay_out(struct tile *t, float *room)
{
    const size_t whole = t->cols * ROWS, part = t->span * ROWS, groups = whole / t->span;
    const struct {
        float **at;
        size_t size;
    } parts[] = {{&t->w, whole},    {&t->x, whole},        {&t->v, whole},      {&t->q, whole},
                 {&t->error, part}, {&t->trial, 3 * part}, {&t->scale, groups}, {&t->zero, groups}};
    size_t used = 0;
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (room)
            *parts[i].at = room + used;
        used += parts[i].size;
    }
    return used;
}

static struct tile tile_of(const struct gptq_uniform *g)
{
    const size_t cols = g->factor->cols;
    return (struct tile){.g = g,
                         .cols = cols,
                         .span = uniform_span(&g->form, cols),
                         .top = (float)uniform_max(&g->form)};
}

size_t gptq_uniform_room(const struct gptq_uniform *g)
{
    struct tile t = tile_of(g);
    return lay_out(&t, NULL);
}

void gptq_uniform_rows(const struct gptq_uniform *g, const float *w, size_t rows,
                       const struct uniform_rows *to, float *room, struct uniform_sums *sums)
{
    struct tile t = tile_of(g);
    struct uniform_sums none = {0};
    const size_t groups = t.cols / t.span;
    lay_out(&t, room);
    for (size_t row = 0; row < rows; row += ROWS) {
        const struct uniform_rows at = {to->code + row * t.cols, to->scale + row * groups,
                                        to->zero + row * groups};
        encode_tile(&t, w + row * t.cols, rows - row < ROWS ? (int)(rows - row) : ROWS, &at,
                    sums ? sums : &none);
    }
}
