#include "calib/awq_search.h"

#include "core/mem.h"
#include "core/stop.h"
#include "quantize/dot.h"

#include <cblas.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of an item, which are multiplied with H together; the lattice's steps to 1. */
enum { TILE = 32, LATTICE = 20, SIDE = LATTICE + 1 };

/* Of a column that calibration hardly ever saw, in units of the mean over columns. */
static const double FAINT = 1e-4;

struct search {
    const struct awq_problem *p;
    const struct kernels *k;
    struct pool *pool;
    float *log_x, *log_w; /* log2 of the channels' magnitudes */
    float *up, *down;     /* factors of the columns */
    float *importance;    /* of the folded columns: mean squares of their inputs */
    float *column;        /* of each reader: squares of its columns, by what rows are worth */
    float *scratch;       /* a thread: TILE x cols, three times */
    size_t scratch_floats;
    double *part; /* of each tile */
    size_t tiles;
    double signal[FOLD_READERS]; /* tr(W H W'); of all where rows have a worth */
    bool measure;                /* the signal, not the error */
};

/* The reader and first row of a tile. */
static const struct awq_reader *find_tile(const struct search *s, size_t tile, size_t *row)
{
    const struct awq_reader *r = s->p->reader;
    while (tile >= (r->rows + TILE - 1) / TILE)
        tile -= (r++->rows + TILE - 1) / TILE;
    *row = tile * TILE;
    return r;
}

static double worth_of(const struct awq_reader *r, size_t row)
{
    return r->worth ? (double)r->worth[row] : 1.0;
}

/* x becomes what its type makes of it.  bytes: room for four a value. */
static void round_row(const struct search *s, const struct awq_reader *r, float *x, void *bytes)
{
    const size_t cols = s->p->site->cols;
    if (r->uniform) {
        uint16_t *scale = bytes;
        uint8_t *code = (uint8_t *)(scale + cols), *zero = code + cols;
        uniform_encode_row(r->uniform, x, s->importance, cols, code, scale, zero);
        uniform_decode_row(r->uniform, code, scale, zero, cols, x);
    } else {
        s->k->encode[r->dtype](bytes, x, s->importance, cols);
        s->k->decode[r->dtype](x, bytes, cols);
    }
}

/* One row: scaled, rounded, scaled back; the difference. */
static void quantize_row(const struct search *s, const struct awq_reader *r, const float *w,
                         float *error, float *x, void *bytes)
{
    const size_t cols = s->p->site->cols;
    for (size_t c = 0; c < cols; c++)
        x[c] = w[c] * s->up[c];
    round_row(s, r, x, bytes);
    for (size_t c = 0; c < cols; c++)
        error[c] = x[c] * s->down[c] - w[c];
}

static void run_tile(size_t tile, int thread, void *arg)
{
    const struct search *s = arg;
    const size_t cols = s->p->site->cols;
    float *error = s->scratch + (size_t)thread * s->scratch_floats;
    float *product = error + TILE * cols, *x = product + TILE * cols;
    size_t row;
    const struct awq_reader *r = find_tile(s, tile, &row);
    const size_t rows = r->rows - row < TILE ? r->rows - row : TILE;
    for (size_t i = 0; i < rows; i++) {
        const float *w = r->weight + (row + i) * cols;
        if (s->measure)
            memcpy(error + i * cols, w, cols * sizeof *error);
        else /* the last columns of x are room for the blocks: at most four bytes a weight */
            quantize_row(s, r, w, error + i * cols, x, x + cols);
    }
    cblas_ssymm(CblasRowMajor, CblasRight, CblasUpper, (int)rows, (int)cols, 1.0f, s->p->hessian,
                (int)cols, error, (int)cols, 0.0f, product, (int)cols);
    s->part[tile] = 0.0;
    for (size_t i = 0; i < rows; i++) {
        double sum = 0.0;
        for (size_t c = i * cols; c < (i + 1) * cols; c++)
            sum += (double)error[c] * product[c];
        s->part[tile] += sum * worth_of(r, row + i);
    }
}

/* The sum over tiles of each reader, in order. */
static void run_tiles(struct search *s, double *sum)
{
    size_t tile = 0;
    pool_for(s->pool, s->tiles, run_tile, s);
    for (size_t r = 0; r < s->p->readers; r++) {
        sum[r] = 0.0;
        for (size_t end = tile + (s->p->reader[r].rows + TILE - 1) / TILE; tile < end; tile++)
            sum[r] += s->part[tile];
    }
}

/* Columns that the program rounds together when it multiplies with the reader; 0: it does not. */
static size_t input_block(const struct search *s, const struct awq_reader *r)
{
    const enum dot_form form = dot_form(r->dtype);
    if (s->p->peak <= 0.0 || r->uniform || form == DOT_FLOAT)
        return 0;
    return form == DOT_SUPER ? DOT_PIECE : DOT_PIECE / DOT_BLOCKS;
}

/* What rounding the folded input costs a reader. */
static double input_loss(const struct search *s, size_t reader)
{
    const size_t cols = s->p->site->cols, block = input_block(s, &s->p->reader[reader]);
    const float *column = s->column + reader * cols;
    double loss = 0.0;
    for (size_t first = 0; block && first < cols; first += block) {
        const size_t end = cols - first < block ? cols : first + block;
        double fourth = 0.0, gain = 0.0;
        for (size_t c = first; c < end; c++) {
            fourth += (double)s->importance[c] * (double)s->importance[c];
            gain += (double)column[c] * s->up[c] * s->up[c];
        }
        loss += sqrt(fourth) * gain;
    }
    return s->p->peak * loss / (12.0 * 127.0 * 127.0);
}

static double loss_of(struct search *s, const int8_t *step)
{
    const struct fold_site *site = s->p->site;
    double sum[FOLD_READERS], loss = 0.0;
    for (size_t c = 0; c < site->cols; c++) {
        const int8_t at = step[fold_channel(site, c)];
        s->up[c] = fold_factor(at);
        s->down[c] = fold_factor(-at);
        s->importance[c] = s->p->mean_square[c] * s->down[c] * s->down[c];
    }
    run_tiles(s, sum);
    for (size_t r = 0; r < s->p->readers; r++)
        if (s->signal[r] > 0.0)
            loss += (s->p->remains * sum[r] + input_loss(s, r)) / s->signal[r];
    return loss;
}

static void measure_columns(const struct search *s)
{
    const size_t cols = s->p->site->cols;
    for (size_t r = 0; r < s->p->readers; r++) {
        const struct awq_reader *reader = &s->p->reader[r];
        float *column = s->column + r * cols;
        for (size_t i = 0; i < reader->rows; i++)
            for (size_t c = 0; c < cols; c++) {
                const float w = reader->weight[i * cols + c];
                column[c] += w * w * (float)worth_of(reader, i);
            }
    }
}

/* The magnitudes of each channel's inputs and weights, over all its columns, as logarithms with a
 * mean of 0: a factor that all channels share changes nothing. */
static void measure_channels(const struct search *s)
{
    const struct awq_problem *p = s->p;
    const size_t channels = p->site->channels, cols = p->site->cols;
    double mean_x = 0.0, mean_w = 0.0;
    for (size_t c = 0; c < cols; c++) {
        s->log_x[fold_channel(p->site, c)] += p->mean_square[c];
        mean_x += p->mean_square[c];
    }
    for (size_t r = 0; r < p->readers; r++)
        for (size_t i = 0; i < p->reader[r].rows * cols; i++) {
            const float w = p->reader[r].weight[i];
            s->log_w[fold_channel(p->site, i % cols)] += w * w;
        }
    for (size_t i = 0; i < channels; i++)
        mean_w += s->log_w[i];
    double sum_x = 0.0, sum_w = 0.0;
    for (size_t i = 0; i < channels; i++) {
        const double x = fmax(s->log_x[i], FAINT * mean_x / (double)channels);
        const double w = fmax(s->log_w[i], FAINT * mean_w / (double)channels);
        s->log_x[i] = x > 0.0 ? (float)(0.5 * log2(x)) : 0.0f;
        s->log_w[i] = w > 0.0 ? (float)(0.5 * log2(w)) : 0.0f;
        sum_x += s->log_x[i];
        sum_w += s->log_w[i];
    }
    for (size_t i = 0; i < channels; i++) {
        s->log_x[i] -= (float)(sum_x / (double)channels);
        s->log_w[i] -= (float)(sum_w / (double)channels);
    }
}

static void measure_signals(struct search *s)
{
    double all = 0.0;
    s->measure = true;
    run_tiles(s, s->signal);
    s->measure = false;
    for (size_t r = 0; r < s->p->readers; r++)
        all += s->signal[r];
    for (size_t r = 0; r < s->p->readers; r++)
        if (s->p->reader[r].worth)
            s->signal[r] = all;
}

static void search_close(struct search *s)
{
    free(s->log_x);
    free(s->up);
    free(s->scratch);
    free(s->part);
}

static size_t tiles_of(const struct awq_problem *p)
{
    size_t tiles = 0;
    for (size_t r = 0; r < p->readers; r++)
        tiles += (p->reader[r].rows + TILE - 1) / TILE;
    return tiles;
}

static size_t scratch_floats(const struct awq_problem *p) { return (2 * TILE + 2) * p->site->cols; }

uint64_t awq_search_memory(const struct awq_problem *p, int threads)
{
    const uint64_t floats = 2 * p->site->channels + (3 + p->readers) * p->site->cols +
                            (uint64_t)threads * scratch_floats(p);
    return floats * sizeof(float) + tiles_of(p) * sizeof(double);
}

static bool search_open(struct search *s, const struct awq_problem *p, const struct kernels *k,
                        struct pool *pool, struct err *err)
{
    const size_t cols = p->site->cols, channels = p->site->channels;
    *s = (struct search){.p = p, .k = k, .pool = pool, .tiles = tiles_of(p)};
    s->scratch_floats = scratch_floats(p);
    s->log_x = mem_alloc(2 * channels, sizeof *s->log_x);
    s->up = mem_alloc((3 + p->readers) * cols, sizeof *s->up);
    s->scratch = mem_alloc((size_t)pool_threads(pool), s->scratch_floats * sizeof *s->scratch);
    s->part = mem_alloc(s->tiles, sizeof *s->part);
    if (!s->log_x || !s->up || !s->scratch || !s->part) {
        search_close(s);
        err_set(err, ERR_MEMORY, "a search over %zu columns", cols);
        return false;
    }
    s->log_w = s->log_x + channels;
    s->down = s->up + cols;
    s->importance = s->down + cols;
    s->column = s->importance + cols;
    openblas_set_num_threads(1);
    measure_signals(s);
    measure_columns(s);
    return true;
}

/* s = x^a w^-b, a = i / LATTICE, b = j / LATTICE. */
static void fill_steps(const struct search *s, int i, int j, int8_t *step)
{
    for (size_t c = 0; c < s->p->site->channels; c++) {
        const double log = (i * (double)s->log_x[c] - j * (double)s->log_w[c]) / LATTICE;
        step[c] = (int8_t)fmin(fmax(round(8.0 * log), -FOLD_STEP_MAX), FOLD_STEP_MAX);
    }
}

struct walk {
    struct search *search;
    double loss[SIDE][SIDE]; /* 0: not known */
    int i, j;                /* the best so far */
    int8_t *step;
};

static bool visit(struct walk *w, int i, int j, struct err *err)
{
    if (i < 0 || j < 0 || i > LATTICE || j > LATTICE || w->loss[i][j] != 0.0)
        return true;
    fill_steps(w->search, i, j, w->step);
    w->loss[i][j] = loss_of(w->search, w->step);
    if (w->loss[i][j] < w->loss[w->i][w->j]) {
        w->i = i;
        w->j = j;
    }
    return stop_check(err);
}

/* Along the two lines that the paper and its programs try, then downhill from the best. */
static bool walk_lattice(struct walk *w, struct err *err)
{
    if (!visit(w, 0, 0, err))
        return false;
    for (int i = 2; i <= LATTICE; i += 2)
        if (!visit(w, i, 0, err) || !visit(w, i, LATTICE - i, err))
            return false;
    for (int i = -1, j = -1; i != w->i || j != w->j;) {
        i = w->i;
        j = w->j;
        for (int n = 0; n < 9; n++)
            if (!visit(w, i + n / 3 - 1, j + n % 3 - 1, err))
                return false;
    }
    return true;
}

bool awq_search(const struct awq_problem *p, const struct kernels *k, struct pool *pool,
                int8_t *step, struct awq_choice *choice, struct err *err)
{
    struct search s;
    struct walk w = {.search = &s, .step = step};
    if (!search_open(&s, p, k, pool, err))
        return false;
    measure_channels(&s);
    const bool ok = walk_lattice(&w, err);
    if (ok)
        fill_steps(&s, w.i, w.j, step);
    *choice = (struct awq_choice){.before = w.loss[0][0],
                                  .after = w.loss[w.i][w.j],
                                  .activation = (double)w.i / LATTICE,
                                  .weight = (double)w.j / LATTICE};
    search_close(&s);
    return ok;
}

bool awq_loss(const struct awq_problem *p, const struct kernels *k, struct pool *pool,
              const int8_t *step, double *loss, struct err *err)
{
    struct search s;
    if (!search_open(&s, p, k, pool, err))
        return false;
    *loss = loss_of(&s, step);
    search_close(&s);
    return true;
}
