#include "model/linear.h"

#include "core/mem.h"

#include <assert.h>
#include <cblas.h>
#include <stdlib.h>

/* An exact tile is about 1 MiB of floats, so that it stays in a core's cache, and at least so many
 * rows that packing x again for each does not weigh much.  A fast one is small, so that threads
 * end together, and a panel where many x take long with it. */
enum { TILE_FLOATS = 256 * 1024, TILE_ROWS_MIN = 64, TILE_ROWS_MAX = 512 };
enum { FAST_ROWS = 64, MANY = 64 };

/* So many x are quantized and multiplied at a time. */
enum { PIECE = 512 };

static size_t exact_rows(size_t cols)
{
    const size_t rows = TILE_FLOATS / cols;
    return rows < TILE_ROWS_MIN ? TILE_ROWS_MIN : rows > TILE_ROWS_MAX ? TILE_ROWS_MAX : rows;
}

static size_t largest(size_t a, size_t b) { return a > b ? a : b; }

static size_t clamp(size_t n, size_t low, size_t high)
{
    return n < low ? low : n > high ? high : n;
}

static size_t input_bytes(size_t cols)
{
    size_t bytes = 0;
    for (int form = 0; form < DOT_FORMS; form++)
        bytes = largest(bytes, dot_input_bytes((enum dot_form)form, cols));
    return bytes;
}

bool linear_open(struct linear_engine *e, const struct kernels *k, struct pool *pool,
                 size_t max_cols, struct err *err)
{
    const bool fast = k->dot != NULL;
    const size_t floats = largest(TILE_ROWS_MIN * max_cols, TILE_FLOATS);
    *e = (struct linear_engine){.kernels = k, .pool = pool};
    e->scratch_bytes = fast ? (dot_scratch_bytes(max_cols) + 63) / 64 * 64 : floats * sizeof(float);
    e->scratch = mem_alloc_large((size_t)pool_threads(pool), e->scratch_bytes);
    e->input = fast ? mem_alloc_large(PIECE, input_bytes(max_cols)) : NULL;
    if (!e->scratch || (fast && !e->input)) {
        linear_close(e);
        return err_set(err, ERR_MEMORY, "no memory to multiply with rows of %zu", max_cols);
    }
    openblas_set_num_threads(1);
    return true;
}

void linear_close(struct linear_engine *e)
{
    free(e->scratch);
    free(e->input);
    *e = (struct linear_engine){0};
}

struct work {
    const struct linear_engine *engine;
    const float *x;
    size_t vectors, cols;
    enum dot_form form; /* fast: of x, and of the jobs in work */
    const uint8_t *input;
    size_t input_bytes;
    const struct linear_job *job;
    size_t jobs;
    size_t end[LINEAR_JOBS_MAX]; /* the tile behind each job's last */
};

/* The rows of one weight that an item is for. */
struct tile {
    const struct linear *linear;
    size_t rows; /* of the weight */
    size_t first, count;
    float *y; /* of its first row and the first x */
    uint8_t *scratch;
};

static uint8_t *scratch_of(const struct work *w, int thread)
{
    return w->engine->scratch + (size_t)thread * w->engine->scratch_bytes;
}

static size_t tile_rows(const struct work *w)
{
    if (!w->engine->kernels->dot)
        return exact_rows(w->cols);
    return w->vectors < MANY ? FAST_ROWS : DOT_PANEL_ROWS;
}

static struct tile find_tile(const struct work *w, size_t item, int thread)
{
    size_t j = 0;
    while (item >= w->end[j])
        j++;
    struct tile t = {.linear = w->job[j].linear};
    t.rows = (size_t)tensor_rows(t.linear->weight);
    t.first = (item - (j ? w->end[j - 1] : 0)) * tile_rows(w);
    t.count = t.rows - t.first < tile_rows(w) ? t.rows - t.first : tile_rows(w);
    t.y = w->job[j].y + t.first;
    t.scratch = scratch_of(w, thread);
    return t;
}

static void add_bias(const struct work *w, const struct tile *t)
{
    const struct vector_kernels *k = &w->engine->kernels->vector;
    for (size_t v = 0; t->linear->bias && v < w->vectors; v++)
        k->add(t->y + v * t->rows, t->linear->bias + t->first, t->count);
}

static void multiply_exact(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const struct tile t = find_tile(w, item, thread);
    const struct tensor *weight = t.linear->weight;
    const uint8_t *from = weight->data + weight->bytes / t.rows * t.first;
    float *tile = (float *)(void *)t.scratch;
    w->engine->kernels->decode[weight->dtype->id](tile, from, t.count * w->cols);
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)w->vectors, (int)t.count,
                (int)w->cols, 1.0f, w->x, (int)w->cols, tile, (int)w->cols, 0.0f, t.y, (int)t.rows);
    add_bias(w, &t);
}

static void quantize_input(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    (void)thread;
    dot_quantize(w->engine->kernels->dot, w->form, w->engine->input + item * w->input_bytes,
                 w->x + item * w->cols, w->cols);
}

static bool is_in_work(const struct work *w, const struct linear *l)
{
    return dot_form(l->weight->dtype->id) == w->form;
}

static void multiply_rows(const struct work *w, const struct tile *t)
{
    const struct tensor *weight = t->linear->weight;
    const uint8_t *laid = t->linear->laid;
    const struct dot_weight rows = {.type = weight->dtype->id,
                                    .data = laid ? laid : weight->data,
                                    .row_bytes = weight->bytes / t->rows,
                                    .cols = w->cols,
                                    .laid = laid != NULL};
    dot_multiply(w->engine->kernels->dot, &rows, t->first, t->count, w->input, w->vectors,
                 t->y - t->first, t->rows, t->scratch);
    add_bias(w, t);
}

static void multiply_fast(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const struct tile t = find_tile(w, item, thread);
    if (is_in_work(w, t.linear))
        multiply_rows(w, &t);
}

/* One x: rows are read once, and nothing else counts.  A thread takes most of its share of the bytes
 * of all jobs in one go, as a stream; the rest, in eighths, is for whoever is done first. */
enum { SHARE_ITEMS = 3, EIGHTHS = 8 };

static size_t share_begin(size_t bytes, size_t item, size_t threads)
{
    static const size_t begin[SHARE_ITEMS] = {0, 6, 7};
    const size_t share = item / SHARE_ITEMS;
    const size_t from = bytes / threads * share;
    const size_t to = share + 1 < threads ? bytes / threads * (share + 1) : bytes;
    return share < threads ? from + (to - from) / EIGHTHS * begin[item % SHARE_ITEMS] : bytes;
}

/* The first group of a weight's rows that begins at byte `at` of all or behind it; `before` are those
 * of other weights. */
static size_t group_begin(size_t at, size_t before, const struct tensor *t)
{
    const size_t rows = (size_t)tensor_rows(t), row_bytes = t->bytes / rows;
    const size_t row = (clamp(at, before, before + t->bytes) - before + row_bytes - 1) / row_bytes;
    const size_t begin = (row + DOT_PANEL_ROWS - 1) / DOT_PANEL_ROWS * DOT_PANEL_ROWS;
    return begin < rows ? begin : rows;
}

static void multiply_share(size_t item, int thread, void *arg)
{
    const struct work *w = arg;
    const size_t threads = (size_t)pool_threads(w->engine->pool);
    size_t all = 0, before = 0;
    for (size_t j = 0; j < w->jobs; j++)
        all += is_in_work(w, w->job[j].linear) ? w->job[j].linear->weight->bytes : 0;
    const size_t from = share_begin(all, item, threads), to = share_begin(all, item + 1, threads);
    for (size_t j = 0; j < w->jobs; j++) {
        struct tile t = {.linear = w->job[j].linear, .scratch = scratch_of(w, thread)};
        const struct tensor *weight = t.linear->weight;
        if (!is_in_work(w, t.linear))
            continue;
        t.rows = (size_t)tensor_rows(weight);
        t.first = group_begin(from, before, weight);
        t.count = group_begin(to, before, weight) - t.first;
        t.y = w->job[j].y + t.first;
        before += weight->bytes;
        if (t.count > 0)
            multiply_rows(w, &t);
    }
}

/* One piece of x, form by form: x is quantized once for all jobs of a form, and floats in whole
 * lanes are what they are. */
static void run_fast(struct work *w, size_t tiles)
{
    for (int form = 0; form < DOT_FORMS; form++) {
        bool wanted = false;
        w->form = (enum dot_form)form;
        for (size_t j = 0; j < w->jobs; j++)
            wanted |= is_in_work(w, w->job[j].linear);
        if (!wanted)
            continue;
        w->input_bytes = dot_input_bytes(w->form, w->cols);
        if (w->form == DOT_FLOAT && w->input_bytes == w->cols * sizeof(float))
            w->input = (const uint8_t *)w->x;
        else {
            w->input = w->engine->input;
            pool_for(w->engine->pool, w->vectors, quantize_input, w);
        }
        if (w->vectors == 1)
            pool_for(w->engine->pool, SHARE_ITEMS * (size_t)pool_threads(w->engine->pool),
                     multiply_share, w);
        else
            pool_for(w->engine->pool, tiles, multiply_fast, w);
    }
}

void linear_run(struct linear_engine *e, const float *x, size_t vectors,
                const struct linear_job *job, size_t jobs)
{
    struct linear_job piece[LINEAR_JOBS_MAX];
    struct work w = {.engine = e, .job = piece, .jobs = jobs};
    assert(jobs > 0 && jobs <= LINEAR_JOBS_MAX);
    w.cols = (size_t)tensor_cols(job[0].linear->weight);
    for (size_t done = 0; done < vectors; done += w.vectors) {
        w.vectors = vectors - done < PIECE ? vectors - done : PIECE;
        w.x = x + done * w.cols;
        size_t tiles = 0;
        for (size_t j = 0; j < jobs; j++) {
            const size_t rows = (size_t)tensor_rows(job[j].linear->weight);
            piece[j] = (struct linear_job){job[j].linear, job[j].y + done * rows};
            tiles += (rows + tile_rows(&w) - 1) / tile_rows(&w);
            w.end[j] = tiles;
        }
        if (e->kernels->dot)
            run_fast(&w, tiles);
        else
            pool_for(e->pool, tiles, multiply_exact, &w);
    }
}
