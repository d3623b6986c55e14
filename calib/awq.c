#include "calib/awq.h"

#include "calib/fold_proof.h"
#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* Of an encoder's loss with importance GPTQ leaves about so much, whatever the type (docs/gptq.md). */
#define GPTQ_REMAINS 0.5

/* What one site's search works on. */
struct site_work {
    const struct awq_options *o;
    const struct calib_store *store;
    const struct calib_group *group;
    float *hessian; /* cols x cols */
    float *weight[FOLD_READERS], *worth[FOLD_READERS];
    struct awq_problem problem;
    uint64_t bytes; /* of the search; 0: there is none */
};

/* Takes a search: is rounded, by an encoder that we have. */
static bool is_rounded(const struct awq_options *o, const struct dtype *d)
{
    return o->uniform || (d->class == DTYPE_QUANTIZED && o->kernels->encode[d->id]);
}

static bool find_group(struct site_work *w, const struct fold_site *s, struct err *err)
{
    const char *name = s->reader[0]->out.name;
    w->group = calib_store_find(w->store, name);
    if (!w->group)
        return err_set(err, ERR_USAGE, "%s: nothing of tensor '%s'", w->store->path, name);
    if (!w->group->has_hessian)
        return err_set(err, ERR_USAGE, "%s: importance alone: scaling needs Hessians",
                       w->store->path);
    if (w->group->cols != s->cols || w->group->matrices != 1)
        return err_set(err, ERR_FORMAT, "%s: '%s' is %zu matrices of %zu columns, '%s' has %zu",
                       w->store->path, w->group->name, w->group->matrices, w->group->cols, name,
                       s->cols);
    return true;
}

/* The triangle is read into the end of the square and spread from its first row on: what is written
 * never passes what is still to be read. */
static bool read_hessian(struct site_work *w, size_t cols, struct err *err)
{
    size_t values = 0, square = 0;
    if (!calib_triangle(cols, &values) || !size_mul(cols, cols, &square) ||
        !(w->hessian = mem_alloc(square, sizeof *w->hessian)))
        return err_set(err, ERR_MEMORY, "a Hessian of %zu columns", cols);
    const float *from = w->hessian + square - values;
    if (!calib_store_hessian(w->store, w->group, 0, w->hessian + square - values, err))
        return false;
    for (size_t i = 0; i < cols; from += cols - i, i++)
        memmove(w->hessian + i * cols + i, from, (cols - i) * sizeof *from);
    return true;
}

/* What errors of those rows cost, where the store's gradients say so. */
static bool read_worth(struct site_work *w, const struct tensor *t, size_t rows, struct err *err)
{
    const struct calib_group *g = calib_store_gradient(w->store, t->name);
    const size_t all = (size_t)tensor_rows(t);
    if (!g || g->cols != all || g->tokens[0] == 0)
        return true;
    float *worth = mem_alloc(rows, sizeof *worth);
    for (size_t r = 0; worth && r < rows; r++)
        worth[r] = g->mean_square[r * all / rows] * (float)all / (float)rows;
    w->worth[w->problem.readers] = worth;
    return worth || err_set(err, ERR_MEMORY, "%zu rows", rows);
}

/* Rows at even distances, as they are without any fold. */
static bool read_rows(struct site_work *w, const struct plan_tensor *t, const struct dtype *d,
                      struct err *err)
{
    struct plan_tensor plain = *t;
    struct awq_problem *p = &w->problem;
    const size_t most = w->o->rows ? w->o->rows : AWQ_ROWS;
    const size_t all = (size_t)tensor_rows(&t->out), cols = (size_t)tensor_cols(&t->out);
    const size_t rows = all < most ? all : most;
    float *weight = mem_alloc(rows, cols * sizeof *weight);
    if (!weight)
        return err_set(err, ERR_MEMORY, "%zu rows of %zu columns", rows, cols);
    plain.by_row = plain.by_col = NULL;
    for (size_t r = 0; r < rows; r++)
        plan_read(&plain, w->o->kernels, (uint64_t)r * all / rows, 1, weight + r * cols);
    w->weight[p->readers] = weight;
    if (!read_worth(w, &t->out, rows, err))
        return false;
    p->reader[p->readers++] = (struct awq_reader){
        .weight = weight, .rows = rows, .dtype = d->id, .uniform = w->o->uniform};
    const size_t bad = w->o->kernels->find_nonfinite(weight, rows * cols);
    return bad == rows * cols ||
           err_set(err, ERR_NUMERIC, "tensor '%s': a weight is not finite", t->out.name);
}

/* Of the inputs (calib/awq_search.h): what a gate and a product make has long tails. */
static double peak_of(const struct fold_site *s)
{
    return strcmp(s->name, "ffn_mid") == 0 ? 4.0 : 1.0;
}

/* For all readers, or for none. */
static void take_worth(struct site_work *w)
{
    size_t known = 0;
    while (known < w->problem.readers && w->worth[known])
        known++;
    for (size_t r = 0; known == w->problem.readers && r < known; r++)
        w->problem.reader[r].worth = w->worth[r];
}

static void site_work_close(struct site_work *w)
{
    free(w->hessian);
    for (int i = 0; i < FOLD_READERS; i++) {
        free(w->weight[i]);
        free(w->worth[i]);
    }
}

static uint64_t memory_of(const struct site_work *w)
{
    const struct awq_problem *p = &w->problem;
    const uint64_t cols = p->site->cols;
    uint64_t floats = cols * cols;
    for (size_t r = 0; r < p->readers; r++)
        floats += p->reader[r].rows * (cols + 1);
    return floats * sizeof(float) + awq_search_memory(p, pool_threads(w->o->pool));
}

static bool search_site(struct site_work *w, struct awq_site *to, struct fold_site *s,
                        struct err *err)
{
    w->problem.site = s;
    w->problem.mean_square = w->group->mean_square;
    w->problem.remains = w->o->gptq ? GPTQ_REMAINS : 1.0;
    w->problem.peak = peak_of(s);
    take_worth(w);
    if (!read_hessian(w, s->cols, err))
        return false;
    w->problem.hessian = w->hessian;
    w->bytes = memory_of(w);
    to->searched = true;
    return awq_search(&w->problem, w->o->kernels, w->o->pool, s->step, &to->choice, err);
}

static bool run_site(struct awq *a, const struct plan *p, size_t i, struct site_work *w,
                     const struct dtype *const *dtype, struct err *err)
{
    struct fold_site *s = &a->fold.site[i];
    struct awq_site *to = &a->site[i];
    for (size_t r = 0; r < s->readers; r++) {
        const struct dtype *d = dtype[s->reader[r] - p->tensor];
        if (is_rounded(w->o, d) && !read_rows(w, s->reader[r], d, err))
            return false;
    }
    if (!find_group(w, s, err) || (w->problem.readers > 0 && !search_site(w, to, s, err)))
        return false;
    a->memory = w->bytes > a->memory ? w->bytes : a->memory;
    to->mean_square = arena_alloc(&a->fold.arena, s->cols, sizeof *to->mean_square);
    if (!to->mean_square)
        return err_set(err, ERR_MEMORY, "%zu mean squares", s->cols);
    memcpy(to->mean_square, w->group->mean_square, s->cols * sizeof *to->mean_square);
    fold_apply(s);
    fold_mean_square(s->up, s->cols, to->mean_square);
    a->before += to->choice.before;
    a->after += to->choice.after;
    return true;
}

static bool run_sites(struct awq *a, const struct plan *p, const struct calib_store *store,
                      const struct dtype *const *dtype, const struct awq_options *o,
                      struct err *err)
{
    bool ok = true;
    for (size_t i = 0; ok && i < a->fold.sites; i++) {
        struct site_work w = {.o = o, .store = store};
        ok = run_site(a, p, i, &w, dtype, err);
        site_work_close(&w);
        if (ok)
            progress_step(o->progress, a->fold.site[i].name, 1);
    }
    return ok;
}

bool awq_open(struct awq *a, struct plan *p, const struct calib_store *store,
              const struct dtype *const *dtype, const struct awq_options *o, struct err *err)
{
    *a = (struct awq){0};
    bool ok = fold_open(&a->fold, p, err);
    if (ok && o->progress) {
        o->progress->done = 0;
        o->progress->total = a->fold.sites;
    }
    a->site = ok ? mem_alloc(a->fold.sites, sizeof *a->site) : NULL;
    if (ok && !a->site) {
        err_set(err, ERR_MEMORY, "%zu sites", a->fold.sites);
        ok = false;
    }
    uint64_t proof = 0;
    ok = ok && run_sites(a, p, store, dtype, o, err) &&
         fold_proof(p, o->kernels, o->pool, &a->proof, &proof, err);
    a->memory = proof > a->memory ? proof : a->memory;
    if (!ok)
        awq_close(a);
    return ok;
}

void awq_close(struct awq *a)
{
    free(a->site);
    fold_close(&a->fold);
    *a = (struct awq){0};
}

void awq_use(const struct awq *a, struct produce_item *item)
{
    const struct fold_site *s = item->importance ? fold_find(&a->fold, item->tensor) : NULL;
    if (s)
        item->importance = a->site[s - a->fold.site].mean_square;
}
