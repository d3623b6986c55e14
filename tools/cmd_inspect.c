#include "tools/command.h"

#include "eval/tensor_stats.h"
#include "formats/checkpoint.h"
#include "tools/calib_report.h"
#include "tools/report.h"
#include "tools/session.h"
#include "tools/table.h"
#include "tools/text.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

enum { VALUE_TEXT = 256, ARRAY_SHOWN = 5, BAR = 36 };

/* One value of a metadata array or a scalar, as text. */
static const char *scalar_text(const struct meta_value *v, char text[VALUE_TEXT])
{
    switch (v->type) {
    case META_F32:
        snprintf(text, VALUE_TEXT, "%.7g", v->as.f);
        break;
    case META_F64:
        snprintf(text, VALUE_TEXT, "%.16g", v->as.f);
        break;
    case META_BOOL:
        snprintf(text, VALUE_TEXT, "%s", v->as.u ? "true" : "false");
        break;
    case META_TEXT:
        text_fit(v->as.text.text, 120, text, VALUE_TEXT);
        break;
    case META_I8:
    case META_I16:
    case META_I32:
    case META_I64:
        snprintf(text, VALUE_TEXT, "%" PRId64, v->as.i);
        break;
    default:
        snprintf(text, VALUE_TEXT, "%" PRIu64, v->as.u);
    }
    return text;
}

static const char *value_text(const struct meta_value *v, char text[VALUE_TEXT])
{
    if (v->type != META_ARRAY)
        return scalar_text(v, text);
    char item[VALUE_TEXT];
    int n = snprintf(text, VALUE_TEXT, "%zu: [", v->count);
    for (size_t i = 0; i < v->count && i < ARRAY_SHOWN && n < VALUE_TEXT - 40; i++) {
        const struct meta_value one = meta_element(v, i);
        char fit[64];
        n += snprintf(text + n, (size_t)(VALUE_TEXT - n), "%s%s", i ? ", " : "",
                      text_fit(scalar_text(&one, item), 24, fit, sizeof fit));
    }
    snprintf(text + n, (size_t)(VALUE_TEXT - n), v->count > ARRAY_SHOWN ? ", ...]" : "]");
    return text;
}

static json_t *scalar_json(const struct meta_value *v)
{
    switch (v->type) {
    case META_F32:
    case META_F64:
        return json_real(v->as.f);
    case META_BOOL:
        return json_boolean(v->as.u != 0);
    case META_TEXT: {
        json_t *text = json_stringn(v->as.text.text, v->as.text.length);
        return text ? text : json_null(); /* not UTF-8 */
    }
    case META_I8:
    case META_I16:
    case META_I32:
    case META_I64:
        return json_integer((json_int_t)v->as.i);
    default:
        return json_integer((json_int_t)v->as.u);
    }
}

static json_t *value_json(const struct meta_value *v)
{
    if (v->type != META_ARRAY)
        return scalar_json(v);
    json_t *list = json_array();
    for (size_t i = 0; i < v->count; i++) {
        const struct meta_value one = meta_element(v, i);
        json_array_append_new(list, scalar_json(&one));
    }
    return list;
}

static bool print_json(const struct checkpoint *c, struct err *err)
{
    json_t *root = json_object(), *keys = json_object(), *tensors = json_array();
    for (size_t i = 0; i < c->meta.pairs; i++)
        json_object_set_new(keys, c->meta.pair[i].key, value_json(&c->meta.pair[i].value));
    for (size_t i = 0; i < c->tensors; i++) {
        const struct tensor *t = &c->tensor[i];
        json_t *row = json_object();
        json_object_set_new(row, "name", json_string(t->name));
        report_tensor(row, t, t->dtype);
        json_object_set_new(row, "bytes", json_integer((json_int_t)t->bytes));
        json_object_set_new(row, "file", json_string(checkpoint_file_of(c, t)));
        json_array_append_new(tensors, row);
    }
    json_object_set_new(root, "path", json_string(c->path));
    json_object_set_new(root, "container", json_string(c->container->name));
    json_object_set_new(root, "metadata", keys);
    json_object_set(root, "config", c->config);
    json_object_set_new(root, "tensors", tensors);
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

static void print_summary(const struct checkpoint *c)
{
    char size[TERM_TEXT], weights[TERM_TEXT];
    uint64_t bytes = 0, params = 0, per_type[DTYPE_COUNT] = {0};
    for (size_t i = 0; i < c->tensors; i++) {
        bytes += c->tensor[i].bytes;
        params += tensor_elems(&c->tensor[i]);
        per_type[c->tensor[i].dtype->id] += tensor_elems(&c->tensor[i]);
    }
    printf("%s: %s, %zu file%s\n", c->path, c->container->name, c->maps, c->maps == 1 ? "" : "s");
    printf("%zu tensors, %s weights, %s, %.3f bits a weight\n", c->tensors,
           term_count(params, weights), term_size(bytes, size),
           params ? 8.0 * (double)bytes / (double)params : 0.0);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (per_type[d])
            printf("  %-8s %5.1f%% of the weights\n", dtype_get((enum dtype_id)d)->name,
                   100.0 * (double)per_type[d] / (double)params);
}

static const struct table_column key_column[] = {{.title = "key", .shrinks = true},
                                                 {.title = "type", .dropped = 1},
                                                 {.title = "value", .shrinks = true}};
static const struct table_column tensor_column[] = {
    {.title = "tensor", .shrinks = true},
    {.title = "type"},
    {.title = "shape", .right = true},
    {.title = "bytes", .right = true, .dropped = 1}};

static bool print_tables(const struct checkpoint *c, struct err *err)
{
    struct table keys = {0}, tensors = {0};
    char text[VALUE_TEXT], shape[TENSOR_SHAPE_TEXT];
    table_open(&keys, key_column, sizeof key_column / sizeof key_column[0]);
    for (size_t i = 0; i < c->meta.pairs; i++) {
        const struct meta_pair *p = &c->meta.pair[i];
        table_row(&keys);
        table_cell(&keys, "%s", p->key);
        table_cell(&keys, "%s", meta_value_kind(&p->value));
        table_cell(&keys, "%s", value_text(&p->value, text));
    }
    table_open(&tensors, tensor_column, sizeof tensor_column / sizeof tensor_column[0]);
    for (size_t i = 0; i < c->tensors; i++) {
        const struct tensor *t = &c->tensor[i];
        table_row(&tensors);
        table_cell(&tensors, "%s", t->name);
        table_cell(&tensors, "%s", t->dtype->name);
        table_cell(&tensors, "%s", tensor_shape_text(t, shape));
        table_cell(&tensors, "%zu", t->bytes);
    }
    print_summary(c);
    bool ok = true;
    if (c->meta.pairs)
        ok = puts("") != EOF && table_print(&keys, stdout, err);
    ok = ok && puts("") != EOF && table_print(&tensors, stdout, err);
    table_close(&keys);
    table_close(&tensors);
    return ok;
}

static void print_histogram(const struct tensor_stats *s)
{
    uint64_t most = 1;
    for (int b = 0; b < TENSOR_STATS_BINS; b++)
        most = s->bin[b] > most ? s->bin[b] : most;
    const double width = (s->to - s->from) / TENSOR_STATS_BINS;
    for (int b = 0; b < TENSOR_STATS_BINS; b++) {
        const int bar = (int)((double)BAR * (double)s->bin[b] / (double)most + 0.5);
        printf("%11.4g |%.*s%*s %" PRIu64 "\n", s->from + (b + 0.5) * width, bar,
               "####################################", BAR - bar, "", s->bin[b]);
    }
}

static json_t *stats_json(const struct tensor *t, const struct tensor_stats *s)
{
    json_t *root = json_object(), *bins = json_array();
    json_object_set_new(root, "name", json_string(t->name));
    report_tensor(root, t, t->dtype);
    json_object_set_new(root, "mean", json_real(s->mean));
    json_object_set_new(root, "standard_deviation", json_real(s->deviation));
    json_object_set_new(root, "min", json_real(s->min));
    json_object_set_new(root, "max", json_real(s->max));
    json_object_set_new(root, "zeros", json_integer((json_int_t)s->zeros));
    json_object_set_new(root, "nans", json_integer((json_int_t)s->nans));
    json_object_set_new(root, "infinities", json_integer((json_int_t)s->infinities));
    for (int b = 0; b < TENSOR_STATS_BINS; b++)
        json_array_append_new(bins, json_integer((json_int_t)s->bin[b]));
    json_object_set_new(root, "histogram_from", json_real(s->from));
    json_object_set_new(root, "histogram_to", json_real(s->to));
    json_object_set_new(root, "histogram", bins);
    return root;
}

static bool inspect_tensor(const struct checkpoint *c, const char *name, const struct session *s,
                           struct err *err)
{
    struct tensor_stats stats;
    char shape[TENSOR_SHAPE_TEXT];
    const struct tensor *t = checkpoint_find(c, name);
    if (!t)
        return err_set(err, ERR_USAGE, "%s: has no tensor '%s'; `quern inspect` lists them",
                       c->path, name);
    if (!tensor_stats(t, &s->kernels, &stats, err))
        return err_wrap(err, "%s: tensor '%s'", c->path, name);
    if (s->common.json) {
        json_t *root = stats_json(t, &stats);
        const bool ok = report_print(root, err);
        json_decref(root);
        return ok;
    }
    printf("%s: %s, %s, %zu bytes\n", t->name, t->dtype->name, tensor_shape_text(t, shape),
           t->bytes);
    printf("mean %.6g, standard deviation %.6g\nfrom %.6g to %.6g\n", stats.mean, stats.deviation,
           stats.min, stats.max);
    printf("%" PRIu64 " values: %" PRIu64 " zero, %" PRIu64 " NaN, %" PRIu64 " infinite\n\n",
           stats.count, stats.zeros, stats.nans, stats.infinities);
    print_histogram(&stats);
    return true;
}

static bool inspect_calibration(const char *path, const struct session *s, struct err *err)
{
    struct calib_store store;
    const bool ok =
        calib_store_open(&store, path, err) && calib_report_print(&store, s->common.json, err);
    calib_store_close(&store);
    return ok;
}

static bool inspect(const char *path, const char *tensor, const struct session *s, struct err *err)
{
    if (!tensor && calib_store_probe(path))
        return inspect_calibration(path, s, err);
    struct checkpoint c = {0};
    bool ok = checkpoint_open(&c, path, err);
    if (ok && tensor)
        ok = inspect_tensor(&c, tensor, s, err);
    else if (ok)
        ok = s->common.json ? print_json(&c, err) : print_tables(&c, err);
    checkpoint_close(&c);
    return ok;
}

static bool run_inspect(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    const char *tensor = NULL;
    bool done;
    const struct opt table[] = {
        {"tensor", 0, OPT_TEXT, &tensor, "NAME",
         "one tensor: its statistics and a histogram of its values"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err) || done)
        return done;
    const bool ok = session_open(&s, err) && inspect(argv[0], tensor, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_inspect = {
    .name = "inspect",
    .usage = "FILE [--tensor NAME] [OPTION]...",
    .summary = "what is in a model file or folder: keys, tensors, values",
    .text = "Reads any container that quern reads: a folder, safetensors, GGUF; and what `quern "
            "calibrate` writes. With --json everything is "
            "printed whole; the tables shorten long values.\n\n"
            "  quern inspect model.gguf\n"
            "  quern inspect path/to/model-folder --tensor model.embed_tokens.weight\n",
    .run = run_inspect,
};
