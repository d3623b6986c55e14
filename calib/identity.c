#include "calib/identity.h"

#include "core/map.h"
#include "core/mem.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static void add_tensor(struct hash *h, const struct tensor *t)
{
    hash_add_text(h, t->name, strlen(t->name));
    hash_add_u64(h, (uint64_t)t->dims);
    for (int i = 0; i < t->dims; i++)
        hash_add_u64(h, t->shape[i]);
}

bool identity_model(const struct plan *p, const struct kernels *k, char text[HASH_TEXT],
                    struct err *err)
{
    struct hash h;
    hash_init(&h);
    for (size_t i = 0; i < p->tensors; i++) {
        const struct plan_tensor *t = &p->tensor[i];
        const size_t cols = (size_t)tensor_cols(&t->out);
        add_tensor(&h, &t->out);
        if (t->out.dims > 1)
            continue;
        float *value = mem_alloc(cols, sizeof *value);
        if (!value)
            return err_set(err, ERR_MEMORY, "tensor '%s': %zu values", t->out.name, cols);
        plan_read(t, k, 0, 1, value);
        hash_add(&h, value, cols * sizeof *value);
        free(value);
    }
    hash_text(&h, text);
    return true;
}

void identity_source(const struct checkpoint *c, char text[HASH_TEXT])
{
    struct hash h;
    hash_init(&h);
    for (size_t i = 0; i < c->tensors; i++) {
        const struct tensor *t = c->by_name[i].tensor;
        add_tensor(&h, t);
        hash_add_text(&h, t->dtype->name, strlen(t->dtype->name));
        hash_add(&h, t->data, t->bytes);
        checkpoint_release(c, t);
    }
    hash_text(&h, text);
}

bool identity_file(const char *path, char text[HASH_TEXT], struct err *err)
{
    enum { PIECE = 4 << 20 };
    struct map m;
    struct hash h;
    if (!map_open(&m, path, err))
        return false;
    hash_init(&h);
    for (size_t at = 0, size; at < m.size; at += size) {
        size = m.size - at < PIECE ? m.size - at : PIECE;
        hash_add(&h, m.data + at, size);
        map_release(&m, m.data + at, size);
    }
    map_close(&m);
    hash_text(&h, text);
    return true;
}

static void add_array(struct hash *h, const struct meta *meta, const char *key)
{
    const struct meta_value *v = meta_find(meta, key);
    const size_t count = v && v->type == META_ARRAY ? v->count : 0;
    hash_add_u64(h, count);
    for (size_t i = 0; i < count; i++) {
        const struct meta_value e = meta_element(v, i);
        if (e.type == META_TEXT)
            hash_add_text(h, e.as.text.text, e.as.text.length);
        else
            hash_add_u64(h, e.as.u);
    }
}

void identity_vocabulary(const struct meta *meta, char text[HASH_TEXT])
{
    struct hash h;
    hash_init(&h);
    add_array(&h, meta, "tokenizer.ggml.tokens");
    add_array(&h, meta, "tokenizer.ggml.token_type");
    hash_text(&h, text);
}

bool identity_check(const struct calib_store *s, const struct plan *p, const struct kernels *k,
                    struct err *err)
{
    const char *architecture = meta_get_text(&p->meta, "general.architecture");
    char model[HASH_TEXT];
    if (s->info.architecture[0] && architecture && strcmp(s->info.architecture, architecture) != 0)
        return err_set(err, ERR_FORMAT,
                       "%s: the calibration is of another model: its architecture is %s, not %s",
                       s->path, s->info.architecture, architecture);
    for (size_t i = 0; i < p->tensors; i++) {
        const struct tensor *t = &p->tensor[i].out;
        const struct calib_group *g = calib_store_find(s, t->name);
        if (g && g->cols != tensor_cols(t))
            return err_set(err, ERR_FORMAT,
                           "%s: the calibration is of another model: tensor '%s' has %zu columns "
                           "there, %" PRIu64 " here",
                           s->path, t->name, g->cols, tensor_cols(t));
    }
    if (!identity_model(p, k, model, err))
        return false;
    return !s->info.model[0] || strcmp(s->info.model, model) == 0 ||
           err_set(err, ERR_FORMAT,
                   "%s: the calibration is of another model: its shapes are the same, its gains "
                   "are not",
                   s->path);
}
