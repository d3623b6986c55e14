#include "tools/make_allocate.h"

#include "calib/allocate.h"
#include "calib/sensitivity.h"
#include "calib/source.h"
#include "core/mem.h"
#include "core/sink.h"
#include "model/recipe_override.h"
#include "tools/report.h"
#include "tools/sensitivity_file.h"
#include "tools/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { ALIGNMENT = 32, NAME_ROOM = 32 };

static const char usual_types[] = "Q2_K,Q3_K,IQ4_XS,Q4_K,Q5_K,Q6_K,Q8_0,Q4_0,IQ4_NL,Q5_0,Q5_1";

/* All that is open. */
struct work {
    struct make_allocation *a;
    bool type[DTYPE_COUNT];
    struct source source;
    char *converted; /* what a source that is no GGUF becomes */
    struct corpus corpus;
    struct sensitivity sensitivity;
    struct sensitivity_options options;
    struct allocate_item *item;
    size_t *tensor; /* of each item: its index in the plan */
    size_t items;
    double mean, p99;           /* measured, of the choice */
    double like_mean, like_p99; /* of the mixture that it is measured against */
    double predicted;           /* of the mean */
};

bool make_allocate_wanted(const struct make_options *o)
{
    return o->like || o->target_size || o->target_bpw > 0.0;
}

/* "Q2_K,Q3_K" */
static bool read_types(bool *type, const char *text, struct err *err)
{
    while (*text) {
        char name[NAME_ROOM];
        const size_t n = strcspn(text, ",");
        snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
        const struct dtype *d = recipe_dtype_find("--types", name, err);
        if (!d)
            return false;
        type[d->id] = true;
        text += n + (text[n] == ',');
    }
    return true;
}

bool make_allocate_check(const struct make_options *o, struct err *err)
{
    bool type[DTYPE_COUNT] = {false};
    const int asked = (o->like != NULL) + (o->target_size > 0) + (o->target_bpw > 0.0);
    if (asked > 1)
        return err_set(err, ERR_USAGE,
                       "--like, --target-size and --target-bpw: one of them is enough");
    if (o->types && !read_types(type, o->types, err))
        return false;
    const char *idle = o->types                     ? "--types"
                       : o->probe && !o->sequential ? "--probe"
                       : o->sensitivity             ? "--sensitivity"
                                                    : NULL;
    if (!asked && idle)
        return err_set(err, ERR_USAGE, "%s is for --like, --target-size or --target-bpw", idle);
    if (asked && !o->calib)
        return err_set(err, ERR_USAGE,
                       "types are chosen by what calibration knows: --calib is "
                       "needed");
    if (asked && !o->probe && calib_store_probe(o->calib))
        return err_set(err, ERR_USAGE,
                       "--probe TEXT is needed: a calibration text that sensitivity is measured "
                       "on");
    return true;
}

static bool open_corpus(struct work *w, struct err *err)
{
    const struct make_options *o = w->a->options;
    const char *path = o->probe ? o->probe : o->calib;
    const struct corpus_options options = {.path = &path, .paths = 1};
    struct tokenizer t = {0};
    const bool ok =
        tokenizer_open(&t, &w->a->plan->meta, err) && corpus_open(&w->corpus, &options, &t, err);
    tokenizer_close(&t);
    return ok;
}

/* The source as something that runs. */
static bool open_source(struct work *w, struct err *err)
{
    const struct make_options *o = w->a->options;
    struct session *s = w->a->session;
    const char *beside = o->out ? o->out : o->source;
    const size_t room = strlen(beside) + sizeof ".source.gguf";
    if (!(w->converted = malloc(room)))
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", beside);
    snprintf(w->converted, room, "%s.source.gguf", beside);
    return source_open(&w->source, o->source, &s->kernels, err) &&
           source_ready(&w->source, w->converted, &s->kernels, s->pool, &s->progress.base, err);
}

/* What a file of sensitivities must have been measured with. */
static void make_key(const struct work *w, char text[HASH_TEXT])
{
    const struct calib_info *info = &w->a->calib->store.info;
    struct hash h;
    hash_init(&h);
    hash_add_text(&h, w->source.sha256, strlen(w->source.sha256));
    hash_add_text(&h, info->source, strlen(info->source));
    hash_add_u64(&h, info->tokens);
    hash_add_u64(&h, w->a->calib->method);
    hash_add_u64(&h, w->a->calib->fast);
    hash_add(&h, w->corpus.token, w->corpus.windows * w->corpus.context * sizeof *w->corpus.token);
    hash_text(&h, text);
}

static bool measure(struct work *w, struct err *err)
{
    const struct make_options *o = w->a->options;
    struct session *s = w->a->session;
    char key[HASH_TEXT];
    make_key(w, key);
    w->options = (struct sensitivity_options){
        .weights = &w->source.weights,
        .corpus = &w->corpus,
        .reference = DTYPE_Q3_K,
        .type = w->type,
        .trial = {&w->a->calib->calibrated, &s->kernels, s->pool},
        .progress = &s->progress.base,
    };
    if (o->sensitivity && access(o->sensitivity, F_OK) == 0) {
        session_say(s, "allocation: sensitivities of %s\n", o->sensitivity);
        return sensitivity_load(&w->sensitivity, key, w->type, w->source.weights.checkpoint,
                                o->sensitivity, err);
    }
    session_say(s, "allocation: what each matrix costs the predictions, on %s\n",
                o->probe ? o->probe : o->calib);
    s->progress.base.unit = "matrices";
    const bool ok = sensitivity_measure(&w->sensitivity, &w->options, err);
    term_progress_clear(&s->progress);
    s->progress.base.unit = NULL;
    return ok && (!o->sensitivity || sensitivity_save(&w->sensitivity, key, o->sensitivity, err));
}

static uint64_t padded(const struct tensor *t, const struct dtype *d)
{
    const uint64_t bytes = tensor_elems(t) / d->block_elems * d->block_bytes;
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

/* May tensor i get another type? */
static bool is_free(const struct work *w, size_t i)
{
    const enum recipe_reason reason = w->a->choice[i].reason;
    return reason == RECIPE_OWN || reason == RECIPE_RULED;
}

/* Bytes that the file may have. */
static uint64_t target_of(const struct work *w)
{
    const struct make_options *o = w->a->options;
    uint64_t tensors = 0, params = 0;
    if (!(o->target_bpw > 0.0))
        return o->like ? w->a->like : o->target_size;
    for (size_t i = 0; i < w->a->plan->tensors; i++) {
        const struct tensor *t = &w->a->plan->tensor[i].out;
        tensors += padded(t, w->a->choice[i].dtype);
        params += tensor_elems(t);
    }
    /* of the tensors alone */
    return (uint64_t)(o->target_bpw * (double)params / 8.0) + (w->a->bytes - tensors);
}

/* `least`: "at least ", where that is all that is known. */
static bool check_target(const struct work *w, uint64_t smallest, const char *least,
                         struct err *err)
{
    const uint64_t target = target_of(w);
    uint64_t params = 0;
    for (size_t i = 0; i < w->a->plan->tensors; i++)
        params += tensor_elems(&w->a->plan->tensor[i].out);
    return smallest <= target ||
           err_set(err, ERR_USAGE,
                   "%" PRIu64 " bytes are asked for; the smallest possible file has %s%" PRIu64
                   " (%.2f bits a weight)",
                   target, least, smallest, 8.0 * (double)smallest / (double)params);
}

/* With every free tensor in the type that takes the fewest bytes. */
static bool check_smallest(const struct work *w, const char *least, struct err *err)
{
    const struct trial trial = {.kernels = &w->a->session->kernels};
    uint64_t smallest = w->a->bytes;
    for (size_t i = 0; i < w->a->plan->tensors; i++) {
        const struct tensor *t = &w->a->plan->tensor[i].out;
        uint64_t fewest = UINT64_MAX;
        for (int d = 0; is_free(w, i) && d < DTYPE_COUNT; d++)
            if (w->type[d] && trial_possible(&trial, t, (enum dtype_id)d)) {
                const uint64_t bytes = padded(t, dtype_get((enum dtype_id)d));
                fewest = bytes < fewest ? bytes : fewest;
            }
        if (fewest < UINT64_MAX)
            smallest = smallest - padded(t, w->a->choice[i].dtype) + fewest;
    }
    return check_target(w, smallest, least, err);
}

/* The tensors whose type is free, with what each type takes and costs. */
static bool list_items(struct work *w, uint64_t *free_bytes, struct err *err)
{
    const struct plan *p = w->a->plan;
    w->item = mem_alloc(p->tensors, sizeof *w->item);
    w->tensor = mem_alloc(p->tensors, sizeof *w->tensor);
    if (!w->item || !w->tensor)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", p->tensors);
    *free_bytes = 0;
    for (size_t i = 0; i < p->tensors; i++) {
        const struct tensor *t = &p->tensor[i].out;
        const struct sensitivity_matrix *m = sensitivity_find(&w->sensitivity, t->name);
        struct allocate_item *item = &w->item[w->items];
        if (!m || !is_free(w, i))
            continue;
        for (int d = 0; d < DTYPE_COUNT; d++)
            if (w->type[d] && !isnan(m->cost[d]))
                item->option[item->options++] = (struct allocate_option){
                    (enum dtype_id)d, padded(t, dtype_get((enum dtype_id)d)), m->cost[d]};
        if (item->options == 0)
            continue;
        w->tensor[w->items++] = i;
        *free_bytes += padded(t, w->a->choice[i].dtype);
    }
    return w->items > 0 || err_set(err, ERR_USAGE, "no tensor is free to get another type");
}

static bool choose(struct work *w, struct err *err)
{
    const uint64_t target = target_of(w);
    uint64_t free_bytes = 0, smallest = 0;
    struct err why = {0};
    if (!list_items(w, &free_bytes, err))
        return false;
    const uint64_t fixed = w->a->bytes - free_bytes;
    const uint64_t budget = target > fixed ? target - fixed : 0;
    if (allocate_types(w->item, w->items, budget, &smallest, &why))
        return true;
    return why.code == ERR_USAGE ? check_target(w, fixed + smallest, "", err)
                                 : err_set(err, why.code, "%s", why.text);
}

/* The types of all measured matrices: of the choice, or of the mixture. */
static void types_of(const struct work *w, bool mixture, enum dtype_id *type, double *predicted)
{
    *predicted = 0.0;
    for (size_t i = 0; i < w->sensitivity.matrices; i++)
        type[i] = DTYPE_COUNT;
    for (size_t i = 0; i < w->items; i++) {
        const struct allocate_option *o = &w->item[i].option[w->item[i].chosen];
        const size_t t = w->tensor[i];
        const struct sensitivity_matrix *m =
            sensitivity_find(&w->sensitivity, w->a->plan->tensor[t].out.name);
        type[m - w->sensitivity.matrix] = mixture ? w->a->choice[t].dtype->id : o->type;
        *predicted += o->cost;
    }
}

/* The choice as a whole, and where there is one the mixture, on the same windows. */
static bool verify(struct work *w, struct err *err)
{
    enum dtype_id *type = mem_alloc(w->sensitivity.matrices, sizeof *type);
    double ignored;
    if (!type)
        return err_set(err, ERR_MEMORY, "%zu matrices", w->sensitivity.matrices);
    types_of(w, true, type, &ignored);
    bool ok = !w->a->options->like ||
              sensitivity_all(&w->sensitivity, &w->options, type, &w->like_mean, &w->like_p99, err);
    types_of(w, false, type, &w->predicted);
    ok = ok && sensitivity_all(&w->sensitivity, &w->options, type, &w->mean, &w->p99, err);
    free(type);
    return ok;
}

static const struct table_column column[] = {
    {.title = "tensor", .shrinks = true},
    {.title = "mixture", .dropped = 2},
    {.title = "type"},
    {.title = "bits", .right = true, .dropped = 3},
    {.title = "KL in Q3_K", .right = true, .dropped = 1},
    {.title = "KL", .right = true},
    {.title = "share", .right = true, .dropped = 4},
};

static json_t *item_json(const struct work *w, size_t i)
{
    const struct allocate_option *o = &w->item[i].option[w->item[i].chosen];
    const char *name = w->a->plan->tensor[w->tensor[i]].out.name;
    const struct sensitivity_matrix *m = sensitivity_find(&w->sensitivity, name);
    json_t *to = json_object();
    json_object_set_new(to, "name", json_string(name));
    json_object_set_new(to, "mixture_type", json_string(w->a->choice[w->tensor[i]].dtype->name));
    json_object_set_new(to, "type", json_string(dtype_get(o->type)->name));
    json_object_set_new(to, "reference", json_string(dtype_get(m->reference)->name));
    json_object_set_new(to, "kl_reference", json_real(m->measured));
    json_object_set_new(to, "kl_predicted", json_real(o->cost));
    return to;
}

static bool report(struct work *w, bool kept, struct err *err)
{
    struct session *s = w->a->session;
    struct table t = {0};
    json_t *root = json_object(), *tensors = json_array();
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < w->items; i++) {
        const struct allocate_option *o = &w->item[i].option[w->item[i].chosen];
        const char *name = w->a->plan->tensor[w->tensor[i]].out.name;
        json_array_append_new(tensors, item_json(w, i));
        table_row(&t);
        table_cell(&t, "%s", name);
        table_cell(&t, "%s", w->a->choice[w->tensor[i]].dtype->name);
        table_cell(&t, "%s", dtype_get(o->type)->name);
        table_cell(&t, "%.4g", dtype_bits(dtype_get(o->type)));
        table_cell(&t, "%.2e", sensitivity_find(&w->sensitivity, name)->measured);
        table_cell(&t, "%.2e", o->cost);
        table_cell(&t, "%.1f %%", w->predicted > 0.0 ? 100.0 * o->cost / w->predicted : 0.0);
    }
    json_object_set_new(root, "tensors", tensors);
    json_object_set_new(root, "kl_predicted", json_real(w->predicted));
    json_object_set_new(root, "kl_measured", json_real(w->mean));
    json_object_set_new(root, "kl_99_measured", json_real(w->p99));
    if (w->a->options->like) {
        json_object_set_new(root, "kl_mixture", json_real(w->like_mean));
        json_object_set_new(root, "kl_99_mixture", json_real(w->like_p99));
    }
    json_object_set_new(root, "mixture_kept", json_boolean(kept));
    w->a->report = root;
    const bool ok = s->common.json || s->common.quiet || w->a->options->no_table ||
                    table_print(&t, stdout, err);
    table_close(&t);
    session_say(s, "allocation: KL %.5f predicted, %.5f measured (99 %%: %.4f)\n", w->predicted,
                w->mean, w->p99);
    if (w->a->options->like)
        session_say(s, "            the mixture of %s: %.5f (99 %%: %.4f)%s\n", w->a->options->like,
                    w->like_mean, w->like_p99, kept ? "; it is better, and stays" : "");
    return ok;
}

static bool list_types(struct work *w, struct err *err)
{
    const char *types = w->a->options->types;
    return read_types(w->type, types ? types : usual_types, err);
}

bool make_allocate_possible(struct make_allocation *a, struct err *err)
{
    struct work w = {.a = a};
    return list_types(&w, err) && check_smallest(&w, "at least ", err);
}

static bool run(struct work *w, struct err *err)
{
    const struct make_options *o = w->a->options;
    if (!list_types(w, err) || !check_smallest(w, "", err) || !open_corpus(w, err) ||
        !open_source(w, err) || !measure(w, err) || !choose(w, err) || !verify(w, err))
        return false;
    /* The gate: neither the mean nor the worst hundredth may be worse than the mixture's. */
    const bool kept = o->like && (w->mean > w->like_mean || w->p99 > w->like_p99);
    if (!report(w, kept, err))
        return false;
    for (size_t i = 0; !kept && i < w->items; i++) {
        const struct dtype *d = dtype_get(w->item[i].option[w->item[i].chosen].type);
        w->a->choice[w->tensor[i]] = (struct recipe_choice){d, d, RECIPE_ALLOCATED};
    }
    return true;
}

bool make_allocate(struct make_allocation *a, struct err *err)
{
    struct work w = {.a = a};
    const bool ok = run(&w, err);
    sensitivity_close(&w.sensitivity);
    corpus_close(&w.corpus);
    source_close(&w.source);
    if (w.converted)
        unlink(w.converted);
    free(w.converted);
    free(w.item);
    free(w.tensor);
    return ok;
}
