#include "calib/store_imatrix.h"

#include "core/mem.h"
#include "formats/imatrix_write.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CHUNK_TOKENS = 512 }; /* llama.cpp's context, where nothing else is said */

static const char embedding[] = "token_embd.weight";

static bool add_group(struct imatrix *m, const struct calib_group *g, struct err *err)
{
    float *count = mem_alloc(g->matrices, sizeof *count);
    bool ok = count != NULL;
    if (!ok)
        err_set(err, ERR_MEMORY, "%zu counts", g->matrices);
    for (size_t i = 0; ok && i < g->matrices; i++)
        count[i] = (float)g->tokens[i];
    for (size_t t = 0; ok && t < g->tensors; t++) {
        const struct imatrix_entry e = {g->tensor[t],   g->matrices, g->matrices * g->cols,
                                        g->mean_square, count,       0};
        if (strcmp(g->tensor[t], embedding) != 0)
            ok = imatrix_add(m, &e, err);
    }
    free(count);
    return ok;
}

static bool add_texts(struct imatrix *m, const struct calib_info *i, struct err *err)
{
    m->dataset = arena_alloc(&m->arena, i->texts, sizeof *m->dataset);
    for (size_t t = 0; m->dataset && t < i->texts; t++) {
        const size_t length = strlen(i->text[t].name);
        const char *name = arena_text(&m->arena, i->text[t].name, length);
        if (!name)
            return err_set(err, ERR_MEMORY, "%zu names of texts", i->texts);
        m->dataset[m->datasets++] = (struct meta_text){name, length};
    }
    return m->dataset || err_set(err, ERR_MEMORY, "%zu names of texts", i->texts);
}

bool store_to_imatrix(const struct calib_store *s, struct imatrix *m, struct err *err)
{
    *m = (struct imatrix){.chunks = (uint32_t)s->info.windows,
                          .chunk_size = (uint32_t)s->info.context};
    bool ok = add_texts(m, &s->info, err);
    for (size_t g = 0; ok && g < s->groups; g++)
        ok = add_group(m, &s->group[g], err);
    ok = ok && imatrix_sort(m, err);
    if (!ok)
        imatrix_close(m);
    return ok || err_wrap(err, "%s", s->path);
}

static bool has_suffix(const char *path, const char *suffix)
{
    const size_t length = strlen(path), end = strlen(suffix);
    return length > end && strcmp(path + length - end, suffix) == 0;
}

bool store_write_imatrix(const struct calib_store *s, const char *path, bool force, struct err *err)
{
    struct imatrix m;
    if (!store_to_imatrix(s, &m, err))
        return false;
    const bool ok =
        (has_suffix(path, ".dat") ? imatrix_write_dat : imatrix_write_gguf)(&m, path, force, err);
    imatrix_close(&m);
    return ok;
}

/* Which input a tensor has, by its name: as collect.c calls them. */
static const struct {
    const char *tensor, *input;
} inputs[] = {
    {"attn_q", "attn_in"},          {"attn_k", "attn_in"},       {"attn_v", "attn_in"},
    {"attn_qkv", "attn_in"},        {"attn_output", "attn_out"}, {"ffn_gate", "ffn_in"},
    {"ffn_up", "ffn_in"},           {"ffn_gate_inp", "ffn_in"},  {"ffn_gate_exps", "ffn_in_exps"},
    {"ffn_up_exps", "ffn_in_exps"}, {"ffn_down", "ffn_mid"},     {"ffn_down_exps", "ffn_mid_exps"},
    {"output", "output_in"},
};
enum { INPUTS = sizeof inputs / sizeof inputs[0] };

/* An entry's place: layers in order, in each the table's order; then what belongs to none. */
struct place {
    const struct imatrix_entry *entry;
    uint64_t layer;
    size_t row; /* of the table; INPUTS: not in it */
};

static struct place place_of(const struct imatrix_entry *e)
{
    struct place p = {.entry = e, .layer = UINT64_MAX};
    const char *name = e->name;
    char *end = NULL;
    if (strncmp(name, "blk.", 4) == 0) {
        p.layer = strtoull(name + 4, &end, 10);
        name = *end == '.' ? end + 1 : name;
    }
    const size_t length = strcspn(name, ".");
    while (p.row < INPUTS && (strncmp(inputs[p.row].tensor, name, length) != 0 ||
                              inputs[p.row].tensor[length] != '\0'))
        p.row++;
    return p;
}

static int compare_places(const void *a, const void *b)
{
    const struct place *x = a, *y = b;
    if (x->layer != y->layer)
        return x->layer < y->layer ? -1 : 1;
    if (x->row != y->row)
        return x->row < y->row ? -1 : 1;
    return strcmp(x->entry->name, y->entry->name);
}

static bool same_input(const struct place *a, const struct place *b)
{
    const struct imatrix_entry *x = a->entry, *y = b->entry;
    return a->layer == b->layer && a->row < INPUTS && b->row < INPUTS &&
           strcmp(inputs[a->row].input, inputs[b->row].input) == 0 && x->values == y->values &&
           x->matrices == y->matrices &&
           memcmp(x->mean, y->mean, x->values * sizeof *x->mean) == 0 &&
           memcmp(x->count, y->count, x->matrices * sizeof *x->count) == 0;
}

/* An input's own name, or the tensor's where another group has that already. */
static const char *name_group(struct calib_store *s, const struct place *p)
{
    const char *name = p->entry->name;
    const char *own = p->row == INPUTS         ? NULL
                      : p->layer == UINT64_MAX ? inputs[p->row].input
                                               : arena_printf(&s->arena, "blk.%" PRIu64 ".%s",
                                                              p->layer, inputs[p->row].input);
    for (size_t g = 0; own && g < s->groups; g++)
        if (strcmp(s->group[g].name, own) == 0)
            own = NULL;
    return arena_text(&s->arena, own ? own : name, strlen(own ? own : name));
}

/* `count` places that share an input become the next group. */
static bool make_group(struct calib_store *s, const struct place *p, size_t count, size_t per_count)
{
    const struct imatrix_entry *e = p->entry;
    struct calib_group *g = &s->group[s->groups];
    const char **tensor = arena_alloc(&s->arena, count, sizeof *tensor);
    uint64_t *tokens = arena_alloc(&s->arena, e->matrices, sizeof *tokens);
    float *mean = arena_alloc(&s->arena, e->values, sizeof *mean);
    if (!tensor || !tokens || !mean)
        return false;
    *g = (struct calib_group){name_group(s, p), tensor, count, e->values / e->matrices,
                              e->matrices,      tokens, mean,  false};
    for (size_t i = 0; i < count; i++)
        if (!(tensor[i] = arena_text(&s->arena, p[i].entry->name, strlen(p[i].entry->name))))
            return false;
    for (size_t m = 0; m < e->matrices; m++) {
        tokens[m] = (uint64_t)e->count[m] * per_count;
        if (tokens[m] > 0)
            memcpy(mean + m * g->cols, e->mean + m * g->cols, g->cols * sizeof *mean);
    }
    s->info.tokens = tokens[0] > s->info.tokens ? tokens[0] : s->info.tokens;
    s->groups++;
    return g->name != NULL;
}

static bool make_groups(struct calib_store *s, const struct imatrix *m, size_t per_count)
{
    struct place *place = mem_alloc(m->entries, sizeof *place);
    s->group = arena_alloc(&s->arena, m->entries, sizeof *s->group);
    bool ok = place && s->group;
    for (size_t i = 0; ok && i < m->entries; i++)
        place[i] = place_of(&m->entry[i]);
    if (ok)
        qsort(place, m->entries, sizeof *place, compare_places);
    for (size_t i = 0, end; ok && i < m->entries; i = end) {
        for (end = i + 1; end < m->entries && same_input(&place[i], &place[end]);)
            end++;
        ok = make_group(s, &place[i], end - i, per_count);
    }
    free(place);
    return ok;
}

static bool describe(struct calib_store *s, const char *path, const struct imatrix *m)
{
    struct calib_text *text = arena_alloc(&s->arena, m->datasets, sizeof *text);
    s->path = arena_text(&s->arena, path, strlen(path));
    if (!text || !s->path)
        return false;
    for (size_t i = 0; i < m->datasets; i++) {
        const char *name = arena_text(&s->arena, m->dataset[i].text, strlen(m->dataset[i].text));
        if (!name)
            return false;
        text[i] = (struct calib_text){name, ""};
    }
    s->info = (struct calib_info){
        "", "", "", "", "", "", "", text, m->datasets, m->chunk_size, m->chunks, 0, false};
    return true;
}

bool store_from_imatrix(struct calib_store *s, const char *path, size_t *assumed, struct err *err)
{
    struct imatrix m;
    *s = (struct calib_store){0};
    if (!imatrix_open(&m, path, err))
        return false;
    *assumed = m.chunk_size == 0 ? CHUNK_TOKENS : 0;
    const bool ok = describe(s, path, &m) && make_groups(s, &m, *assumed ? *assumed : 1);
    imatrix_close(&m);
    if (!ok)
        calib_store_close(s);
    return ok || err_set(err, ERR_MEMORY, "%s: no memory for its entries", path);
}
