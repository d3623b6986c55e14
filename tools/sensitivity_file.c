#include "tools/sensitivity_file.h"

#include "core/mem.h"

#include <math.h>
#include <string.h>

static json_t *matrix_json(const struct sensitivity_matrix *m)
{
    json_t *to = json_object(), *cost = json_object();
    json_object_set_new(to, "name", json_string(m->tensor->name));
    json_object_set_new(to, "reference", json_string(dtype_get(m->reference)->name));
    json_object_set_new(to, "kl_mean", json_real(m->measured));
    json_object_set_new(to, "kl_99", json_real(m->p99));
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (!isnan(m->cost[d]))
            json_object_set_new(cost, dtype_get((enum dtype_id)d)->name, json_real(m->cost[d]));
    json_object_set_new(to, "cost", cost);
    return to;
}

bool sensitivity_save(const struct sensitivity *s, const char *key, const char *path,
                      struct err *err)
{
    json_t *root = json_object(), *matrices = json_array();
    for (size_t i = 0; i < s->matrices; i++)
        json_array_append_new(matrices, matrix_json(&s->matrix[i]));
    json_object_set_new(root, "measured_with", json_string(key));
    json_object_set_new(root, "matrices", matrices);
    const bool ok = json_save(root, path, true, err);
    json_decref(root);
    return ok;
}

static bool read_cost(const json_t *from, double *to)
{
    *to = json_is_number(from) ? json_number_value(from) : NAN;
    return isnan(*to) || (isfinite(*to) && *to >= 0.0);
}

static bool read_matrix(struct sensitivity_matrix *m, const json_t *from, const bool *type,
                        const struct checkpoint *model, struct err *err)
{
    const char *name = json_string_value(json_object_get(from, "name"));
    const char *reference = json_string_value(json_object_get(from, "reference"));
    const struct dtype *dtype = reference ? dtype_find(reference) : NULL;
    const json_t *cost = json_object_get(from, "cost");
    m->tensor = name ? checkpoint_find(model, name) : NULL;
    if (!m->tensor || !dtype || !read_cost(json_object_get(from, "kl_mean"), &m->measured) ||
        !read_cost(json_object_get(from, "kl_99"), &m->p99) || isnan(m->measured))
        return err_set(err, ERR_FORMAT, "matrix '%.80s' is not what was written",
                       name ? name : "(no name)");
    m->reference = dtype->id;
    for (int d = 0; d < DTYPE_COUNT; d++) {
        const struct dtype *t = dtype_get((enum dtype_id)d);
        if (!read_cost(json_object_get(cost, t->name), &m->cost[d]))
            return err_set(err, ERR_FORMAT, "matrix '%s': the cost of %s is none", name, t->name);
        if (type[d] && isnan(m->cost[d]) && tensor_cols(m->tensor) % t->block_elems == 0)
            return err_set(err, ERR_USAGE, "matrix '%s' was not measured in %s", name, t->name);
    }
    return true;
}

static bool read_all(struct sensitivity *s, const json_t *root, const char *key, const bool *type,
                     const struct checkpoint *model, struct err *err)
{
    const json_t *matrices = json_object_get(root, "matrices");
    const char *own = json_string_value(json_object_get(root, "measured_with"));
    if (!own || !json_is_array(matrices))
        return err_set(err, ERR_FORMAT, "no sensitivities");
    if (strcmp(own, key) != 0)
        return err_set(err, ERR_USAGE, "was measured with another model, calibration or method");
    s->matrices = json_array_size(matrices);
    if (!(s->matrix = mem_alloc(s->matrices, sizeof *s->matrix)))
        return err_set(err, ERR_MEMORY, "%zu matrices", s->matrices);
    for (size_t i = 0; i < s->matrices; i++)
        if (!read_matrix(&s->matrix[i], json_array_get(matrices, i), type, model, err))
            return false;
    return true;
}

bool sensitivity_load(struct sensitivity *s, const char *key, const bool *type,
                      const struct checkpoint *model, const char *path, struct err *err)
{
    json_t *root = json_open(path, err);
    *s = (struct sensitivity){0};
    if (!root)
        return false;
    const bool ok = read_all(s, root, key, type, model, err) || err_wrap(err, "%s", path);
    if (!ok)
        sensitivity_close(s);
    json_decref(root);
    return ok;
}
