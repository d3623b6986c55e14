#include "model/fold.h"

#include "model/names.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

/* Which tensors of a layer read and write the channels of a site.  A site is there where its
 * first reader and writer are. */
static const struct place {
    const char *name, *key;
    const char *reader[FOLD_READERS], *writer[FOLD_WRITERS];
    const char *needs; /* not there: the site is not what it seems (an up without its gate) */
    bool heads;        /* channels are repeated for the queries of a key-value head */
} place[] = {
    {
        .name = "attn_in",
        .key = "quern.fold.attn_in",
        .reader = {"blk.%d.attn_q.weight", "blk.%d.attn_k.weight", "blk.%d.attn_v.weight"},
        .writer = {"blk.%d.attn_norm.weight"},
    },
    {
        .name = "attn_out",
        .key = "quern.fold.attn_out",
        .reader = {"blk.%d.attn_output.weight"},
        .writer = {"blk.%d.attn_v.weight", "blk.%d.attn_v.bias"},
        .heads = true,
    },
    {
        .name = "ffn_in",
        .key = "quern.fold.ffn_in",
        .reader = {"blk.%d.ffn_gate.weight", "blk.%d.ffn_up.weight"},
        .writer = {"blk.%d.ffn_norm.weight"},
    },
    {
        .name = "ffn_mid",
        .key = "quern.fold.ffn_mid",
        .reader = {"blk.%d.ffn_down.weight"},
        .writer = {"blk.%d.ffn_up.weight", "blk.%d.ffn_up.bias"},
        .needs = "blk.%d.ffn_gate.weight",
    },
    {
        .name = "output_in",
        .key = "quern.fold.output_in",
        .reader = {"output.weight"},
        .writer = {"output_norm.weight"},
    },
};
enum { PLACES = sizeof place / sizeof place[0] };

static struct plan_tensor *find(const struct plan *p, const char *pattern, int64_t layer)
{
    char name[NAME_MAX_TEXT];
    name_fill(name, pattern, layer);
    for (size_t i = 0; i < p->tensors; i++)
        if (strcmp(p->tensor[i].out.name, name) == 0)
            return &p->tensor[i];
    return NULL;
}

static size_t find_all(const struct plan *p, const char *const *pattern, size_t patterns,
                       int64_t layer, struct plan_tensor **found)
{
    size_t n = 0;
    for (size_t i = 0; i < patterns && pattern[i]; i++)
        if ((found[n] = find(p, pattern[i], layer)) != NULL)
            n++;
    return n;
}

/* How many channels a tensor writes: its rows, or a vector's values. */
static uint64_t written(const struct plan_tensor *t)
{
    return t->out.dims < 2 ? tensor_elems(&t->out) : tensor_rows(&t->out);
}

static bool check_sizes(const struct fold_site *s, struct err *err)
{
    for (size_t i = 0; i < s->readers; i++)
        if (tensor_cols(&s->reader[i]->out) != s->cols)
            return err_set(err, ERR_FORMAT, "tensor '%s' has %" PRIu64 " columns, '%s' %zu",
                           s->reader[i]->out.name, tensor_cols(&s->reader[i]->out),
                           s->reader[0]->out.name, s->cols);
    for (size_t i = 0; i < s->writers; i++)
        if (written(s->writer[i]) != s->channels)
            return err_set(err, ERR_FORMAT,
                           "tensor '%s' gives %" PRIu64 " channels, '%s' has %zu columns: %zu are "
                           "wanted",
                           s->writer[i]->out.name, written(s->writer[i]), s->reader[0]->out.name,
                           s->cols, s->channels);
    return true;
}

static bool add_site(struct fold *f, const struct plan *p, const struct place *from, int64_t layer,
                     struct err *err)
{
    struct fold_site s = {.name = from->name, .layer = layer, .repeats = 1};
    s.readers = find_all(p, from->reader, FOLD_READERS, layer, s.reader);
    s.writers = find_all(p, from->writer, FOLD_WRITERS, layer, s.writer);
    if (s.readers == 0 || s.writers == 0 || (from->needs && !find(p, from->needs, layer)))
        return true;
    s.cols = s.channels = s.run = (size_t)tensor_cols(&s.reader[0]->out);
    if (from->heads) {
        s.repeats = (size_t)(p->hparams.heads / p->hparams.kv_heads);
        s.run = (size_t)p->hparams.value_dim;
        s.channels = (size_t)p->hparams.kv_heads * s.run;
        if (s.cols != s.channels * s.repeats)
            return err_set(err, ERR_FORMAT, "tensor '%s' has %zu columns, the model's heads %zu",
                           s.reader[0]->out.name, s.cols, s.channels * s.repeats);
    }
    s.step = arena_alloc(&f->arena, s.channels, sizeof *s.step);
    s.up = arena_alloc(&f->arena, s.cols, sizeof *s.up);
    s.down = arena_alloc(&f->arena, s.channels, sizeof *s.down);
    if (!s.step || !s.up || !s.down)
        return err_set(err, ERR_MEMORY, "factors of %zu columns", s.cols);
    f->site[f->sites++] = s;
    return check_sizes(&s, err);
}

static bool find_sites(struct fold *f, const struct plan *p, struct err *err)
{
    const int64_t layers = (int64_t)p->hparams.layers;
    if (p->hparams.layers > p->tensors)
        return err_set(err, ERR_FORMAT, "%" PRIu64 " layers in a file of %zu tensors",
                       p->hparams.layers, p->tensors);
    if (!p->arch)
        return err_set(err, ERR_UNSUPPORTED,
                       "the architecture is not in the table: what reads what is not known");
    f->site = arena_alloc(&f->arena, PLACES * ((size_t)layers + 1), sizeof *f->site);
    if (!f->site)
        return err_set(err, ERR_MEMORY, "%" PRId64 " layers", layers);
    for (const struct place *at = place; at < place + PLACES; at++) {
        const bool layered = strstr(at->reader[0], "%d") != NULL;
        for (int64_t layer = layered ? 0 : -1; layer < (layered ? layers : 0); layer++)
            if (!add_site(f, p, at, layer, err))
                return false;
    }
    return true;
}

bool fold_open(struct fold *f, struct plan *p, struct err *err)
{
    *f = (struct fold){0};
    if (find_sites(f, p, err))
        return true;
    fold_close(f);
    return false;
}

static void set_factors(const struct fold_site *s, const float *up, const float *down)
{
    for (size_t i = 0; i < s->readers; i++)
        s->reader[i]->by_col = up;
    for (size_t i = 0; i < s->writers; i++) {
        struct plan_tensor *t = s->writer[i];
        if (t->out.dims < 2)
            t->by_col = down;
        else
            t->by_row = down;
    }
}

void fold_close(struct fold *f)
{
    for (size_t i = 0; i < f->sites; i++)
        set_factors(&f->site[i], NULL, NULL);
    arena_close(&f->arena);
    *f = (struct fold){0};
}

void fold_apply(struct fold_site *s)
{
    for (size_t c = 0; c < s->channels; c++)
        s->down[c] = fold_factor(-s->step[c]);
    for (size_t c = 0; c < s->cols; c++)
        s->up[c] = fold_factor(s->step[fold_channel(s, c)]);
    set_factors(s, s->up, s->down);
}

const struct fold_site *fold_find(const struct fold *f, const struct plan_tensor *reader)
{
    for (size_t i = 0; i < f->sites; i++)
        for (size_t r = 0; r < f->site[i].readers; r++)
            if (f->site[i].reader[r] == reader)
                return &f->site[i];
    return NULL;
}

float fold_factor(int step)
{
    static const float eighth[] = {0x1.000000p+0f, 0x1.172b84p+0f, 0x1.306fe0p+0f, 0x1.4bfdaep+0f,
                                   0x1.6a09e6p+0f, 0x1.8ace54p+0f, 0x1.ae89fap+0f, 0x1.d5818ep+0f};
    const int part = (step % 8 + 8) % 8;
    return ldexpf(eighth[part], (step - part) / 8);
}

int8_t fold_step(double factor)
{
    const double step = round(8.0 * log2(factor));
    return (int8_t)fmin(fmax(step, -FOLD_STEP_MAX), FOLD_STEP_MAX);
}

void fold_mean_square(const float *by_col, size_t cols, float *mean_square)
{
    for (size_t c = 0; by_col && c < cols; c++)
        mean_square[c] /= by_col[c] * by_col[c];
}

void fold_hessian(const float *by_col, size_t cols, float *upper)
{
    for (size_t i = 0; by_col && i < cols; i++)
        for (size_t j = i; j < cols; j++)
            *upper++ /= by_col[i] * by_col[j];
}

/* The steps of a place's sites lie one behind the other, layer by layer. */
static size_t count_steps(const struct fold *f, const struct place *at, bool *any)
{
    size_t steps = 0;
    *any = false;
    for (size_t i = 0; i < f->sites; i++) {
        const struct fold_site *s = &f->site[i];
        if (s->name != at->name)
            continue;
        steps += s->channels;
        for (size_t c = 0; c < s->channels; c++)
            *any |= s->step[c] != 0;
    }
    return steps;
}

void fold_write(const struct fold *f, bool all, struct meta *meta)
{
    for (const struct place *at = place; at < place + PLACES; at++) {
        bool any;
        const size_t steps = count_steps(f, at, &any);
        if (!any && !(all && steps > 0)) {
            meta_remove(meta, at->key);
            continue;
        }
        int8_t *step = arena_alloc(&meta->arena, steps, sizeof *step);
        size_t n = 0;
        meta->failed |= !step;
        for (size_t i = 0; step && i < f->sites; i++)
            if (f->site[i].name == at->name) {
                memcpy(step + n, f->site[i].step, f->site[i].channels);
                n += f->site[i].channels;
            }
        if (step)
            meta_set(meta, at->key,
                     &(struct meta_value){
                         .type = META_ARRAY, .elem = META_I8, .count = n, .as.array = step});
    }
}

/* The steps of one key into the sites. */
static bool take(struct fold *f, const struct place *at, const struct meta_value *v,
                 struct err *err)
{
    bool any;
    const size_t steps = count_steps(f, at, &any);
    if (v->type != META_ARRAY || v->elem != META_I8 || v->count != steps)
        return err_set(err, ERR_FORMAT, "key '%s' is %s, not an array of %zu i8", at->key,
                       meta_value_kind(v), steps);
    const int8_t *from = v->as.array;
    for (size_t i = 0; i < f->sites; i++) {
        struct fold_site *s = &f->site[i];
        if (s->name != at->name)
            continue;
        for (size_t c = 0; c < s->channels; c++)
            s->step[c] = (int8_t)(from[c] < -FOLD_STEP_MAX ? -FOLD_STEP_MAX : from[c]);
        from += s->channels;
        fold_apply(s);
    }
    return true;
}

bool fold_is_there(const struct meta *meta)
{
    for (const struct place *at = place; at < place + PLACES; at++)
        if (meta_find(meta, at->key))
            return true;
    return false;
}

bool fold_read(struct fold *f, struct plan *p, const struct meta *meta, struct err *err)
{
    for (const struct place *at = place; at < place + PLACES; at++) {
        const struct meta_value *v = meta_find(meta, at->key);
        if (!v)
            continue;
        if (f->sites == 0 && !fold_open(f, p, err))
            return false;
        if (!take(f, at, v, err)) {
            fold_close(f);
            return false;
        }
    }
    return true;
}

void fold_forget(struct meta *meta)
{
    for (const struct place *at = place; at < place + PLACES; at++)
        meta_remove(meta, at->key);
}
