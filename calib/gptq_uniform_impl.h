/* gptq_uniform_impl.h - a tile of rows into uniform groups: what gptq_uniform.c and
 * gptq_uniform_avx2.c compile, each for its instructions.  Sums have the same order in both and no
 * product is fused: same bytes. */
#include "calib/gptq_uniform.h"

#include "core/half.h"

#include <math.h>
#include <string.h>

/* A tile of rows stands column by column: x[col * ROWS + row], so that a step of all rows is one
 * loop over neighbours.  Rows past the last are zero. */
enum { ROWS = UNIFORM_ROWS, CUTS = 24 };
static const float CUT = 0.025f;

struct uniform_tile {
    const struct gptq_uniform *g;
    size_t cols, span;
    float top;
    float *w, *x, *v;    /* cols x ROWS: weights; with errors fed back; decoded */
    float *q;            /* codes */
    float *error;        /* cols x ROWS: of a group, over U's diagonal; or V - W */
    float *trial;        /* span x ROWS */
    float *scale, *zero; /* groups x ROWS */
};

void gptq_uniform_tile_avx2(struct uniform_tile *t, const float *w, int rows,
                            const struct uniform_rows *to, struct uniform_sums *sums);

/* q, v and the error over U[j][j] of one column. */
static void round_column(const float *restrict x, const float *restrict scale,
                         const float *restrict zero, float top, float over_u, float *restrict q,
                         float *restrict v, float *restrict error)
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

static void add_product(float *restrict sum, const float *restrict of, float by)
{
    for (int r = 0; r < ROWS; r++)
        sum[r] += of[r] * by;
}

/* Rounds the n columns of a group that begin at `first`, x being theirs, with feedback among them;
 * loss[r] += the squares of the errors. */
static void round_group(const struct uniform_tile *t, size_t first, size_t n, float *x,
                        const float *scale, const float *zero, float *q, float *v, float *error,
                        double *loss)
{
    const struct factor *f = t->g->factor;
    for (size_t j = 0; j < n; j++) {
        float *e = error + j * ROWS;
        round_column(x + j * ROWS, scale, zero, t->top, 1.0f / factor_u_at(f, first + j, first + j),
                     q + j * ROWS, v + j * ROWS, e);
        for (int r = 0; r < ROWS; r++)
            loss[r] += (double)e[r] * e[r];
        for (size_t k = j + 1; k < n; k++)
            add_product(x + k * ROWS, e, -factor_u_at(f, first + j, first + k));
    }
}

/* The same without feedback: the errors by the diagonal of H. */
static void weigh_group(const struct uniform_tile *t, size_t first, size_t n, const float *x,
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
static void try_scales(const struct uniform_tile *t, size_t first, const float *scale,
                       const float *zero, struct choice *best)
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
static void choose_scales(const struct uniform_tile *t, size_t first, struct choice *best)
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
static void round_tile(struct uniform_tile *t)
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
        for (size_t k = first + t->span; k < t->cols; k++) {
            float back[ROWS] = {0.0f};
            for (size_t j = 0; j < t->span; j++)
                add_product(back, t->error + j * ROWS, factor_u_at(f, first + j, k));
            add_product(t->x + k * ROWS, back, -1.0f);
        }
    }
}

/* g = (V - W) H, and of each row the loss (v - w) H (v - w)'. */
static void differentiate(const struct uniform_tile *t, float *g, double *loss)
{
    for (int r = 0; r < ROWS; r++)
        loss[r] = 0.0;
    for (size_t i = 0; i < t->cols * ROWS; i++)
        t->error[i] = t->v[i] - t->w[i];
    for (size_t k = 0; k < t->cols; k++) {
        float *sum = g + k * ROWS;
        memset(sum, 0, ROWS * sizeof *sum);
        for (size_t j = 0; j < t->cols; j++)
            add_product(sum, t->error + j * ROWS, factor_h_at(t->g->factor, j, k));
        for (int r = 0; r < ROWS; r++)
            loss[r] += (double)t->error[k * ROWS + r] * sum[r];
    }
}

/* One pass over the columns: each code goes to where, the others as they are, the loss is least. */
static void sweep(const struct uniform_tile *t, float *g)
{
    const struct factor *f = t->g->factor;
    for (size_t j = 0; j < t->cols; j++) {
        const size_t at = j / t->span * ROWS;
        const float h = factor_h_at(f, j, j);
        float *q = t->q + j * ROWS, *v = t->v + j * ROWS;
        float x[ROWS], code[ROWS], to[ROWS], change[ROWS];
        bool any = false;
        for (int r = 0; r < ROWS; r++)
            x[r] = v[r] - g[j * ROWS + r] / h;
        round_column(x, t->scale + at, t->zero + at, t->top, 1.0f, code, to, change);
        for (int r = 0; r < ROWS; r++) {
            const float delta = to[r] - v[r];
            const bool better = delta * (2.0f * g[j * ROWS + r] + delta * h) < 0.0f;
            change[r] = better ? delta : 0.0f;
            q[r] = better ? code[r] : q[r];
            v[r] = better ? to[r] : v[r];
            any |= better;
        }
        for (size_t k = 0; any && k < t->cols; k++)
            add_product(g + k * ROWS, change, factor_h_at(f, j, k));
    }
}

/* Row r of the tile is what its codes say. */
static void place_row(const struct uniform_tile *t, int r, const uint8_t *code,
                      const uint16_t *scale, const uint8_t *zero)
{
    uniform_decode_row(&t->g->form, code, scale, zero, t->cols, t->x);
    for (size_t c = 0; c < t->cols; c++)
        t->v[c * ROWS + r] = t->x[c];
}

static void take_row(const struct uniform_tile *t, int r, uint8_t *code, uint16_t *scale,
                     uint8_t *zero)
{
    for (size_t c = 0; c < t->cols; c++)
        code[c] = (uint8_t)t->q[c * ROWS + r];
    for (size_t i = 0; i < t->cols / t->span; i++) {
        scale[i] = half_from_float(t->scale[i * ROWS + r]);
        zero[i] = (uint8_t)t->zero[i * ROWS + r];
    }
}

/* Plain rounding first; then what is better than it. */
static void encode_tile(struct uniform_tile *t, const float *w, int rows,
                        const struct uniform_rows *to, struct uniform_sums *sums)
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
