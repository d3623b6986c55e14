#include "calib/salient.h"

#include "core/mem.h"
#include "core/stop.h"

#include <stdlib.h>

static const struct {
    enum dtype_id type, next;
} ladder[] = {
    {DTYPE_Q2_K, DTYPE_Q3_K},   {DTYPE_Q3_K, DTYPE_Q4_K}, {DTYPE_Q4_K, DTYPE_Q5_K},
    {DTYPE_Q5_K, DTYPE_Q6_K},   {DTYPE_Q6_K, DTYPE_Q8_0}, {DTYPE_IQ4_XS, DTYPE_Q5_K},
    {DTYPE_IQ4_NL, DTYPE_Q5_0}, {DTYPE_Q4_0, DTYPE_Q5_0}, {DTYPE_Q4_1, DTYPE_Q5_1},
    {DTYPE_Q5_0, DTYPE_Q8_0},   {DTYPE_Q5_1, DTYPE_Q8_0}, {DTYPE_Q8_0, DTYPE_F16},
};

const struct dtype *salient_next(const struct dtype *d)
{
    for (size_t i = 0; i < sizeof ladder / sizeof ladder[0]; i++)
        if (ladder[i].type == d->id)
            return dtype_get(ladder[i].next);
    return NULL;
}

struct work {
    const struct plan *plan;
    const struct salient_options *o;
    const struct calib_group **group; /* of each tensor, or NULL */
    struct salient *salient;
    size_t cols;    /* the most of any tensor */
    float *row;     /* a thread */
    double *energy; /* a thread: of each column */
};

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

/* The share of the largest `count` of n energies. */
static double share_of(double *energy, size_t n, size_t count)
{
    double all = 0.0, top = 0.0;
    qsort(energy, n, sizeof *energy, by_size);
    for (size_t c = 0; c < n; c++) {
        all += energy[c];
        top += c < count ? energy[c] : 0.0;
    }
    return all > 0.0 ? top / all : 0.0;
}

static void measure(size_t i, int thread, void *arg)
{
    const struct work *w = arg;
    const struct plan_tensor *t = &w->plan->tensor[i];
    const struct calib_group *g = w->group[i];
    float *row = w->row + (size_t)thread * w->cols;
    double *energy = w->energy + (size_t)thread * w->cols;
    if (!g)
        return;
    for (size_t c = 0; c < g->cols; c++)
        energy[c] = 0.0;
    for (uint64_t r = 0; r < tensor_rows(&t->out); r++) {
        plan_read(t, w->o->kernels, r, 1, row);
        for (size_t c = 0; c < g->cols; c++)
            energy[c] += (double)row[c] * row[c];
    }
    for (size_t c = 0; c < g->cols; c++)
        energy[c] *= g->mean_square[c];
    const size_t count = (size_t)((double)g->cols * w->o->columns);
    w->salient[i].share = share_of(energy, g->cols, count > 0 ? count : 1);
}

static bool find_groups(struct work *w, const struct calib_store *store, struct err *err)
{
    for (size_t i = 0; i < w->plan->tensors; i++) {
        const struct tensor *out = &w->plan->tensor[i].out;
        const struct calib_group *g = calib_store_find(store, out->name);
        if (!g || g->matrices != 1)
            continue;
        if (tensor_cols(out) != g->cols)
            return err_set(err, ERR_FORMAT, "%s: '%s' has %zu columns, the model's another number",
                           store->path, out->name, g->cols);
        w->group[i] = g;
        w->cols = g->cols > w->cols ? g->cols : w->cols;
    }
    return true;
}

/* The largest share that is not looked at yet; an earlier tensor where two are alike. */
static size_t next_of(const struct work *w, const bool *seen)
{
    size_t best = w->plan->tensors;
    for (size_t i = 0; i < w->plan->tensors; i++)
        if (w->group[i] && !seen[i] &&
            (best == w->plan->tensors || w->salient[i].share > w->salient[best].share))
            best = i;
    return best;
}

static void raise(const struct work *w, const struct dtype **dtype, bool *seen)
{
    double all = 0.0, raised = 0.0;
    for (size_t i = 0; i < w->plan->tensors; i++)
        if (w->group[i])
            all += (double)tensor_elems(&w->plan->tensor[i].out);
    for (size_t i; (i = next_of(w, seen)) < w->plan->tensors; seen[i] = true) {
        const struct dtype *next = salient_next(dtype[i]);
        const double more = (double)tensor_elems(&w->plan->tensor[i].out);
        if (!next || raised + more > w->o->weights * all)
            continue;
        dtype[i] = next;
        w->salient[i].raised = true;
        raised += more;
    }
}

static bool is_part(double part) { return part >= 0.0 && part <= 1.0; }

bool salient_raise(const struct plan *p, const struct calib_store *store,
                   const struct salient_options *o, const struct dtype **dtype,
                   struct salient *salient, struct err *err)
{
    const size_t threads = (size_t)pool_threads(o->pool);
    struct work w = {.plan = p, .o = o, .salient = salient};
    if (!is_part(o->columns) || !is_part(o->weights))
        return err_set(err, ERR_USAGE, "%g of the columns, %g of the weights: parts are 0 to 1",
                       o->columns, o->weights);
    bool *seen = mem_alloc(p->tensors, sizeof *seen);
    w.group = mem_alloc(p->tensors, sizeof *w.group);
    bool ok = (seen && w.group) || err_set(err, ERR_MEMORY, "%zu tensors", p->tensors);
    ok = ok && find_groups(&w, store, err);
    if (ok) {
        w.row = mem_alloc(threads * w.cols, sizeof *w.row);
        w.energy = mem_alloc(threads * w.cols, sizeof *w.energy);
        ok = (w.row && w.energy) || err_set(err, ERR_MEMORY, "rows of %zu columns", w.cols);
    }
    if (ok) {
        for (size_t i = 0; i < p->tensors; i++)
            salient[i] = (struct salient){0};
        pool_for(o->pool, p->tensors, measure, &w);
        raise(&w, dtype, seen);
        ok = stop_check(err);
    }
    free(w.row);
    free(w.energy);
    free(w.group);
    free(seen);
    return ok;
}
