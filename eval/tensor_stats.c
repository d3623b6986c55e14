#include "eval/tensor_stats.h"

#include "core/mem.h"
#include "core/stop.h"

#include <math.h>
#include <stdlib.h>

enum { STOP_ROWS = 256 };

struct sums {
    double sum, squares;
};

static void add_row(struct tensor_stats *s, struct sums *sums, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const double v = (double)x[i];
        s->count++;
        if (isnan(v)) {
            s->nans++;
            continue;
        }
        if (isinf(v)) {
            s->infinities++;
            continue;
        }
        s->zeros += v == 0.0;
        s->min = v < s->min ? v : s->min;
        s->max = v > s->max ? v : s->max;
        sums->sum += v;
        sums->squares += v * v;
    }
}

static void finish(struct tensor_stats *s, const struct sums *sums)
{
    const uint64_t finite = s->count - s->nans - s->infinities;
    if (finite == 0) {
        s->min = s->max = 0.0;
        return;
    }
    s->mean = sums->sum / (double)finite;
    const double variance = sums->squares / (double)finite - s->mean * s->mean;
    s->deviation = variance > 0.0 ? sqrt(variance) : 0.0;
    s->from = fmax(s->min, s->mean - 4.0 * s->deviation);
    s->to = fmin(s->max, s->mean + 4.0 * s->deviation);
}

static void bin_row(struct tensor_stats *s, const float *x, size_t n)
{
    const double width = (s->to - s->from) / TENSOR_STATS_BINS;
    for (size_t i = 0; i < n; i++) {
        if (!isfinite(x[i]))
            continue;
        const double place = width > 0.0 ? floor(((double)x[i] - s->from) / width) : 0.0;
        const int bin = place < 0.0                  ? 0
                        : place >= TENSOR_STATS_BINS ? TENSOR_STATS_BINS - 1
                                                     : (int)place;
        s->bin[bin]++;
    }
}

bool tensor_stats(const struct tensor *t, const struct kernels *k, struct tensor_stats *stats,
                  struct err *err)
{
    const size_t rows = (size_t)tensor_rows(t), cols = (size_t)tensor_cols(t);
    struct sums sums = {0};
    size_t row_bytes;
    *stats = (struct tensor_stats){.min = INFINITY, .max = -INFINITY};
    if (!dtype_row_bytes(t->dtype, cols, &row_bytes, err))
        return false;
    float *x = mem_alloc(cols, sizeof *x);
    if (!x)
        return err_set(err, ERR_MEMORY, "no memory for a row of %zu", cols);
    bool ok = true;
    for (int pass = 0; ok && pass < 2; pass++) {
        for (size_t r = 0; ok && r < rows; r++) {
            ok = r % STOP_ROWS != 0 || stop_check(err);
            k->decode[t->dtype->id](x, t->data + r * row_bytes, cols);
            if (pass == 0)
                add_row(stats, &sums, x, cols);
            else
                bin_row(stats, x, cols);
        }
        if (pass == 0)
            finish(stats, &sums);
    }
    free(x);
    return ok;
}
