#include "calib/store_merge.h"

#include "core/mem.h"
#include "core/version.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* A group that is being merged. */
struct merged {
    const struct calib_store *store;
    size_t stores, index; /* of the group */
    bool gradient;        /* among the gradients */
    struct calib_group group;
    uint64_t *tokens;
    float *mean;
    double *upper; /* of one matrix: sums over the stores of tokens times values */
    float *read;   /* one store's */
};

static const struct calib_group *group_of(const struct merged *m, size_t s)
{
    return m->gradient ? &m->store[s].gradient[m->index] : &m->store[s].group[m->index];
}

static bool differ(const char *a, const char *b) { return a[0] && b[0] && strcmp(a, b) != 0; }

static bool same_tensors(const struct calib_group *a, const struct calib_group *b)
{
    bool same = a->tensors == b->tensors && a->cols == b->cols && a->matrices == b->matrices;
    for (size_t t = 0; same && t < a->tensors; t++)
        same = strcmp(a->tensor[t], b->tensor[t]) == 0;
    return same;
}

static bool check(const struct calib_store *a, const struct calib_store *b, bool importance_only,
                  struct err *err)
{
    if (differ(a->info.architecture, b->info.architecture))
        return err_set(err, ERR_FORMAT, "%s and %s are of other models: %s and %s", a->path,
                       b->path, a->info.architecture, b->info.architecture);
    if (a->groups != b->groups)
        return err_set(err, ERR_FORMAT, "%s and %s are of other models: %zu and %zu inputs",
                       a->path, b->path, a->groups, b->groups);
    for (size_t g = 0; g < a->groups; g++)
        if (!same_tensors(&a->group[g], &b->group[g]))
            return err_set(err, ERR_FORMAT,
                           "%s and %s are of other models: input '%s' of %zu columns and %zu "
                           "linears, input '%s' of %zu and %zu",
                           a->path, b->path, a->group[g].name, a->group[g].cols,
                           a->group[g].tensors, b->group[g].name, b->group[g].cols,
                           b->group[g].tensors);
    if (differ(a->info.model, b->info.model))
        return err_set(err, ERR_FORMAT,
                       "%s and %s are of other models: their shapes are the same, their gains are "
                       "not",
                       a->path, b->path);
    if (!importance_only && a->info.hessians != b->info.hessians)
        return err_set(
            err, ERR_FORMAT,
            "%s has Hessians, %s has importance alone; --importance-only takes what both have",
            a->info.hessians ? a->path : b->path, a->info.hessians ? b->path : a->path);
    if (!importance_only && a->gradients != b->gradients)
        return err_set(err, ERR_FORMAT, "%s has gradients of %zu linears, %s of %zu", a->path,
                       a->gradients, b->path, b->gradients);
    for (size_t g = 0; !importance_only && g < a->gradients; g++)
        if (!same_tensors(&a->gradient[g], &b->gradient[g]))
            return err_set(err, ERR_FORMAT, "%s and %s are of other models: '%s' and '%s'", a->path,
                           b->path, a->gradient[g].name, b->gradient[g].name);
    return true;
}

/* What one of them knows counts for all. */
static const char *known(const struct calib_store *store, size_t stores, size_t at)
{
    for (size_t i = 0; i < stores; i++) {
        const char *text = *(const char *const *)((const char *)&store[i].info + at);
        if (text[0])
            return text;
    }
    return "";
}

/* `text` gets the names of all; the caller frees it. */
static bool merge_info(struct calib_info *to, const struct calib_store *store, size_t stores,
                       struct calib_text **text, struct err *err)
{
    size_t texts = 0;
    for (size_t i = 0; i < stores; i++)
        texts += store[i].info.texts;
    *to = store[0].info;
    *text = mem_alloc(texts, sizeof **text);
    if (!*text)
        return err_set(err, ERR_MEMORY, "%zu texts", texts);
    to->text = *text;
    to->texts = to->windows = to->tokens = 0;
    for (size_t i = 0; i < stores; i++) {
        const struct calib_info *from = &store[i].info;
        for (size_t t = 0; t < from->texts; t++)
            (*text)[to->texts++] = from->text[t];
        to->windows += from->windows;
        to->tokens += from->tokens;
        to->context = from->context == to->context ? to->context : 0;
    }
    to->quern = QUERN_VERSION;
    to->architecture = known(store, stores, offsetof(struct calib_info, architecture));
    to->model = known(store, stores, offsetof(struct calib_info, model));
    to->source = known(store, stores, offsetof(struct calib_info, source));
    to->through = known(store, stores, offsetof(struct calib_info, through));
    to->tokenizer = known(store, stores, offsetof(struct calib_info, tokenizer));
    to->vocabulary = known(store, stores, offsetof(struct calib_info, vocabulary));
    return true;
}

static bool merge_means(struct merged *m, struct err *err)
{
    const struct calib_group *first = group_of(m, 0);
    m->group = *first;
    m->group.tokens = m->tokens = mem_alloc(first->matrices, sizeof *m->tokens);
    m->group.mean_square = m->mean = mem_alloc(first->matrices, first->cols * sizeof *m->mean);
    if (!m->tokens || !m->mean)
        return err_set(err, ERR_MEMORY, "input '%s': no memory for its means", first->name);
    for (size_t x = 0; x < first->matrices; x++) {
        for (size_t s = 0; s < m->stores; s++)
            m->tokens[x] += group_of(m, s)->tokens[x];
        for (size_t c = 0; m->tokens[x] && c < first->cols; c++) {
            double sum = 0;
            for (size_t s = 0; s < m->stores; s++) {
                const struct calib_group *g = group_of(m, s);
                sum += (double)g->tokens[x] * (double)g->mean_square[x * first->cols + c];
            }
            m->mean[x * first->cols + c] = (float)(sum / (double)m->tokens[x]);
        }
    }
    return true;
}

static bool sum_matrix(struct merged *m, size_t matrix, struct err *err)
{
    size_t values = 0;
    calib_triangle(m->group.cols, &values);
    memset(m->upper, 0, values * sizeof *m->upper);
    for (size_t s = 0; s < m->stores; s++) {
        const struct calib_group *g = group_of(m, s);
        if (!calib_store_hessian(&m->store[s], g, matrix, m->read, err))
            return false;
        for (size_t i = 0; i < values; i++)
            m->upper[i] += (double)g->tokens[matrix] * (double)m->read[i];
    }
    return true;
}

static bool give_values(void *arg, size_t matrix, size_t first, size_t count, float *out,
                        struct err *err)
{
    struct merged *m = arg;
    const double tokens = m->tokens[matrix] ? (double)m->tokens[matrix] : 1.0;
    if (first == 0 && !sum_matrix(m, matrix, err))
        return false;
    for (size_t i = 0; i < count; i++)
        out[i] = (float)(m->upper[first + i] / tokens);
    return true;
}

static bool merge_group(struct merged *m, bool hessians, struct calib_writer *w, struct err *err)
{
    const struct calib_hessian h = {give_values, m};
    size_t values = 0;
    bool ok = merge_means(m, err);
    if (ok && hessians && calib_triangle(m->group.cols, &values)) {
        m->upper = mem_alloc(values, sizeof *m->upper);
        m->read = mem_alloc(values, sizeof *m->read);
        ok = (m->upper && m->read) ||
             err_set(err, ERR_MEMORY, "input '%s': no memory for its Hessian", m->group.name);
    }
    ok = ok && calib_writer_add(w, &m->group, hessians ? &h : NULL, err);
    free(m->tokens);
    free(m->mean);
    free(m->upper);
    free(m->read);
    return ok;
}

bool store_merge(const struct calib_store *store, size_t stores, bool importance_only,
                 const char *path, bool force, struct err *err)
{
    struct calib_writer w = {0};
    struct calib_info info;
    struct calib_text *text = NULL;
    for (size_t s = 1; s < stores; s++)
        if (!check(&store[0], &store[s], importance_only, err))
            return false;
    bool ok = merge_info(&info, store, stores, &text, err);
    info.hessians = store[0].info.hessians && !importance_only;
    ok = ok && calib_writer_open(&w, path, force, &info, err);
    for (size_t g = 0; ok && g < store[0].groups; g++) {
        struct merged m = {.store = store, .stores = stores, .index = g};
        ok = merge_group(&m, info.hessians, &w, err);
    }
    for (size_t g = 0; ok && info.hessians && g < store[0].gradients; g++) {
        struct merged m = {.store = store, .stores = stores, .index = g, .gradient = true};
        ok = merge_group(&m, true, &w, err);
    }
    ok = ok && calib_writer_commit(&w, err);
    calib_writer_close(&w);
    free(text);
    return ok;
}
