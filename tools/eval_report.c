#include "tools/eval_report.h"

#include "tools/report.h"
#include "tools/table.h"

#include <stdio.h>
#include <string.h>

static const struct table_column column[] = {
    {.title = "figure"},
    {.title = "value", .right = true},
    {.title = "+-", .right = true},
};

static const struct table_column layer_column[] = {
    {.title = "layer", .right = true}, {.title = "error entering, %", .right = true},
    {.title = "+-", .right = true},    {.title = "leaving, %", .right = true},
    {.title = "+-", .right = true},
};

/* A figure's row in the table and name in the JSON. */
struct row {
    const char *title, *name;
    int digits;   /* behind the point */
    bool sure;    /* has no error */
    double scale; /* 100: per cent */
    struct estimate estimate;
};

enum { ROWS_MAX = 16 };

static size_t fill(const struct eval_report *r, struct row row[ROWS_MAX])
{
    const struct divergence *d = &r->divergence;
    size_t rows = 0;
    row[rows++] = (struct row){"perplexity", "perplexity", 4, false, 1, r->perplexity};
    row[rows++] = (struct row){"loss, nats a token", "loss", 5, false, 1, r->loss};
    if (!r->against)
        return rows;
    const struct row more[] = {
        {"perplexity of the source", "source_perplexity", 4, false, 1, d->base_perplexity},
        {"perplexity / source's", "perplexity_ratio", 6, false, 1, d->ratio},
        {"KL divergence, mean", "kl_mean", 6, false, 1, d->mean},
        {"KL divergence, noise floor", "kl_noise", 9, false, 1, r->noise},
        {"KL divergence, median", "kl_median", 6, false, 1, d->quantile[0]},
        {"KL divergence, 90 %", "kl_90", 6, false, 1, d->quantile[1]},
        {"KL divergence, 99 %", "kl_99", 6, false, 1, d->quantile[2]},
        {"KL divergence, 99.9 %", "kl_99_9", 6, false, 1, d->quantile[3]},
        {"KL divergence, maximum", "kl_max", 6, true, 1, {d->max, 0.0}},
        {"same top token, %", "same_top", 3, false, 100, d->same_top},
        {"change of p(token), mean, %", "p_change_mean", 3, false, 100, d->change},
        {"change of p(token), RMS, %", "p_change_rms", 3, false, 100, d->rms_change},
    };
    for (size_t i = 0; i < sizeof more / sizeof more[0]; i++)
        if (r->noise_known || strcmp(more[i].name, "kl_noise") != 0)
            row[rows++] = more[i];
    return rows;
}

static bool print_figures(const struct row *row, size_t rows, struct err *err)
{
    struct table t = {0};
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < rows; i++) {
        table_row(&t);
        table_cell(&t, "%s", row[i].title);
        table_cell(&t, "%.*f", row[i].digits, row[i].scale * row[i].estimate.value);
        if (!row[i].sure)
            table_cell(&t, "%.*f", row[i].digits, row[i].scale * row[i].estimate.error);
    }
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static bool print_layers(const struct eval_report *r, struct err *err)
{
    struct table t = {0};
    table_open(&t, layer_column, sizeof layer_column / sizeof layer_column[0]);
    for (size_t i = 0; i < r->layers; i++) {
        table_row(&t);
        table_cell(&t, "%zu", i);
        for (size_t side = i; side < i + 2; side++) {
            table_cell(&t, "%.4f", 100.0 * r->layer[side].value);
            table_cell(&t, "%.4f", 100.0 * r->layer[side].error);
        }
    }
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static bool print_tables(const struct eval_report *r, const struct row *row, size_t rows,
                         struct err *err)
{
    const char *between = "\n";
    bool ok = !r->text || print_figures(row, rows, err);
    if (r->layer)
        ok = ok && fputs(between, stdout) != EOF && print_layers(r, err);
    if (r->tensors)
        ok = ok && (!r->text || fputs(between, stdout) != EOF) &&
             eval_tensors_print(r->tensors, err);
    return ok;
}

static json_t *estimate_json(struct estimate e, bool sure)
{
    json_t *figure = json_object();
    json_object_set_new(figure, "value", json_real(e.value));
    if (!sure)
        json_object_set_new(figure, "error", json_real(e.error));
    return figure;
}

static json_t *layers_json(const struct eval_report *r)
{
    json_t *layers = json_array();
    for (size_t i = 0; i < r->layers; i++) {
        json_t *layer = json_object();
        json_object_set_new(layer, "layer", json_integer((json_int_t)i));
        json_object_set_new(layer, "entering", estimate_json(r->layer[i], false));
        json_object_set_new(layer, "leaving", estimate_json(r->layer[i + 1], false));
        json_array_append_new(layers, layer);
    }
    return layers;
}

/* What the windows showed. */
static void add_text(json_t *root, const struct eval_report *r, const struct row *row, size_t rows)
{
    const struct windows *w = r->windows;
    const size_t scored = w->count * w->scored;
    json_object_set_new(root, "text", json_string(r->text));
    json_object_set_new(root, "cache", json_string(r->cache));
    json_object_set_new(root, "text_tokens", json_integer((json_int_t)w->tokens));
    json_object_set_new(root, "windows", json_integer((json_int_t)w->count));
    json_object_set_new(root, "window_tokens", json_integer((json_int_t)w->size));
    json_object_set_new(root, "window_step", json_integer((json_int_t)w->step));
    json_object_set_new(root, "scored_tokens", json_integer((json_int_t)scored));
    json_object_set_new(root, "seconds", json_real(r->seconds));
    for (size_t i = 0; i < rows; i++)
        json_object_set_new(root, row[i].name, estimate_json(row[i].estimate, row[i].sure));
    if (r->layer)
        json_object_set_new(root, "layers", layers_json(r));
}

static bool print_json(const struct eval_report *r, const struct row *row, size_t rows,
                       struct err *err)
{
    json_t *root = json_object();
    json_object_set_new(root, "file", json_string(r->model));
    if (r->against)
        json_object_set_new(root, "against", json_string(r->against));
    if (r->text)
        add_text(root, r, row, rows);
    if (r->tensors)
        eval_tensors_json(r->tensors, root);
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

bool eval_report_print(const struct eval_report *r, bool json, struct err *err)
{
    struct row row[ROWS_MAX];
    const size_t rows = fill(r, row);
    return json ? print_json(r, row, rows, err) : print_tables(r, row, rows, err);
}
