#include "tools/make_report.h"

#include "core/mem.h"
#include "tools/report.h"
#include "tools/table.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum { WORST = 5 };

enum {
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_SHAPE,
    COLUMN_BITS,
    COLUMN_RMSE,
    COLUMN_SNR,
    COLUMN_MAX,
    COLUMN_WEIGHTED,
    COLUMN_LOSS,
    COLUMN_SECONDS,
    COLUMNS
};

static const struct table_column column[COLUMNS] = {
    [COLUMN_NAME] = {.title = "tensor", .shrinks = true},
    [COLUMN_TYPE] = {.title = "type"},
    [COLUMN_SHAPE] = {.title = "shape", .right = true, .dropped = 2},
    [COLUMN_BITS] = {.title = "bits", .right = true, .dropped = 3},
    [COLUMN_RMSE] = {.title = "RMSE", .right = true, .dropped = 1},
    [COLUMN_SNR] = {.title = "SNR dB", .right = true},
    [COLUMN_MAX] = {.title = "max error", .right = true, .dropped = 4},
    [COLUMN_WEIGHTED] = {.title = "weighted", .right = true, .dropped = 5},
    [COLUMN_LOSS] = {.title = "loss", .right = true, .dropped = 7},
    [COLUMN_SECONDS] = {.title = "s", .right = true, .dropped = 6},
};

/* All tensors that were encoded, together. */
static struct error_figures total_figures(const struct make_report *r)
{
    struct error_sums sums = {0};
    for (size_t i = 0; i < r->plan->tensors; i++)
        if (!r->result[i].copied)
            error_merge(&sums, &r->result[i].sums);
    return error_figures(&sums);
}

/* A weight, over all tensors; *params: how many weights these are. */
static double total_bits(const struct make_report *r, uint64_t *params)
{
    double bits = 0.0;
    *params = 0;
    for (size_t i = 0; i < r->plan->tensors; i++) {
        const uint64_t n = tensor_elems(&r->plan->tensor[i].out);
        *params += n;
        bits += dtype_bits(r->choice[i].dtype) * (double)n;
    }
    return *params ? bits / (double)*params : 0.0;
}

static double loss_of(const struct produce_result *r)
{
    return r->plain_loss > 0.0 ? r->loss / r->plain_loss : NAN;
}

static double total_loss(const struct make_report *r)
{
    struct produce_result all = {0};
    for (size_t i = 0; i < r->plan->tensors; i++) {
        all.loss += r->result[i].loss;
        all.plain_loss += r->result[i].plain_loss;
    }
    return loss_of(&all);
}

/* loss: of GPTQ, as part of what plain search leaves; NAN: not by GPTQ. */
static void add_figures(struct table *t, const struct error_figures *f, double loss, double seconds)
{
    char snr[REPORT_TEXT];
    const bool exact = f->mse == 0.0;
    table_cell(t, exact ? "0" : "%.3g", f->rmse);
    table_cell(t, "%s", report_snr(f, snr));
    table_cell(t, exact ? "0" : "%.3g", f->max_abs);
    table_cell(t, isnan(f->weighted_mse) ? "-" : "%.3g", f->weighted_mse);
    table_cell(t, isnan(loss) ? "-" : "%.3f", loss);
    table_cell(t, "%.2f", seconds);
}

static void add_tensors(const struct make_report *r, const struct error_figures *f,
                        const bool *worst, struct table *t)
{
    char shape[TENSOR_SHAPE_TEXT];
    for (size_t i = 0; i < r->plan->tensors; i++) {
        const struct tensor *out = &r->plan->tensor[i].out;
        table_row(t);
        table_cell(t, "%s", out->name);
        table_cell(t, "%s", r->choice[i].dtype->name);
        table_cell(t, "%s", tensor_shape_text(out, shape));
        table_cell(t, "%.4g", dtype_bits(r->choice[i].dtype));
        add_figures(t, &f[i], loss_of(&r->result[i]), r->result[i].seconds);
        if (worst[i])
            table_mark(t);
    }
}

static void add_total(const struct make_report *r, struct table *t)
{
    const struct error_figures all = total_figures(r);
    char size[TERM_TEXT], weights[TERM_TEXT];
    uint64_t params;
    const double bits = total_bits(r, &params);
    table_row(t);
    table_rule(t);
    table_cell(t, "total");
    table_cell(t, "%s", term_size(r->bytes, size));
    table_cell(t, "%s weights", term_count(params, weights));
    table_cell(t, "%.4g", bits);
    add_figures(t, &all, total_loss(r), r->seconds);
}

static bool print_table(const struct make_report *r, const struct error_figures *f,
                        const bool *worst, struct err *err)
{
    struct table t = {0};
    table_open(&t, column, COLUMNS);
    if (!r->options->no_table)
        add_tensors(r, f, worst, &t);
    add_total(r, &t);
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static json_t *gptq_json(const struct produce_result *r)
{
    json_t *to = json_object();
    json_object_set_new(to, "loss", json_real(r->loss));
    json_object_set_new(to, "plain_loss", json_real(r->plain_loss));
    json_object_set_new(to, "damping", json_real(r->damp));
    json_object_set_new(to, "retries", json_integer((json_int_t)r->retries));
    json_object_set_new(to, "dead_columns", json_integer((json_int_t)r->dead));
    json_object_set_new(to, "plain_matrices", json_integer((json_int_t)r->plain));
    return to;
}

static json_t *tensor_json(const struct make_report *r, size_t i, const struct error_figures *f,
                           bool worst)
{
    json_t *t = json_object();
    const struct recipe_choice *c = &r->choice[i];
    json_object_set_new(t, "name", json_string(r->plan->tensor[i].out.name));
    report_tensor(t, &r->plan->tensor[i].out, c->dtype);
    json_object_set_new(t, "bits_per_weight", json_real(dtype_bits(c->dtype)));
    json_object_set_new(t, "chosen_by", json_string(recipe_reason_name(c->reason)));
    if (c->wanted != c->dtype)
        json_object_set_new(t, "wanted_type", json_string(c->wanted->name));
    if (r->options->dry_run)
        return t;
    json_object_set_new(t, "copied", json_boolean(r->result[i].copied));
    json_object_set_new(t, "nonfinite", json_integer((json_int_t)r->result[i].nonfinite));
    report_figures(t, f);
    if (r->item[i].encoder && !r->result[i].copied)
        json_object_set_new(t, "gptq", gptq_json(&r->result[i]));
    json_object_set_new(t, "worst", json_boolean(worst));
    json_object_set_new(t, "seconds", json_real(r->result[i].seconds));
    return t;
}

static json_t *make_json(const struct make_report *r, const struct error_figures *f,
                         const bool *worst)
{
    json_t *root = json_object(), *tensors = json_array(), *total = json_object();
    json_t *notes = json_array();
    const struct error_figures all = total_figures(r);
    uint64_t params;
    const double bits = total_bits(r, &params);
    for (size_t i = 0; i < r->plan->tensors; i++)
        json_array_append_new(tensors, tensor_json(r, i, &f[i], worst[i]));
    for (size_t i = 0; i < r->plan->notes; i++)
        json_array_append_new(notes, json_string(r->plan->note[i]));
    json_object_set_new(root, "source", json_string(r->options->source));
    json_object_set_new(root, "output",
                        r->options->out ? json_string(r->options->out) : json_null());
    json_object_set_new(root, "dry_run", json_boolean(r->options->dry_run));
    json_object_set_new(root, "type", json_string(r->options->type ? r->options->type : "auto"));
    json_object_set_new(root, "method", json_string(r->method));
    json_object_set_new(root, "bytes", json_integer((json_int_t)r->bytes));
    json_object_set_new(root, "seconds", json_real(r->seconds));
    json_object_set_new(root, "fallback_tensors", json_integer((json_int_t)r->census->fallbacks));
    json_object_set_new(root, "fallback_weights",
                        json_integer((json_int_t)r->census->fallback_params));
    json_object_set_new(root, "notes", notes);
    json_object_set_new(total, "weights", json_integer((json_int_t)params));
    json_object_set_new(total, "bits_per_weight", json_real(bits));
    if (!r->options->dry_run)
        report_figures(total, &all);
    json_object_set_new(root, "total", total);
    json_object_set_new(root, "tensors", tensors);
    if (r->allocation)
        json_object_set(root, "allocation", r->allocation);
    if (r->checked)
        json_object_set(root, "check", r->checked);
    if (r->verified)
        json_object_set(root, "verify", r->verified);
    return root;
}

/* What both forms need: the figures of every tensor, and which are the worst. */
static bool measure(const struct make_report *r, struct error_figures **f, bool **worst,
                    struct err *err)
{
    const size_t n = r->plan->tensors;
    *f = mem_alloc(n, sizeof **f);
    *worst = mem_alloc(n, sizeof **worst);
    if (!*f || !*worst)
        return err_set(err, ERR_MEMORY, "no memory for a table of %zu tensors", n);
    for (size_t i = 0; i < n; i++)
        (*f)[i] = error_figures(&r->result[i].sums);
    report_mark_worst(*f, n, WORST, *worst);
    return true;
}

bool make_report_print(const struct make_report *r, struct err *err)
{
    struct error_figures *f = NULL;
    bool *worst = NULL;
    const bool ok = measure(r, &f, &worst, err) && print_table(r, f, worst, err);
    free(f);
    free(worst);
    return ok;
}

bool make_report_json(const struct make_report *r, const struct session *s, struct err *err)
{
    struct error_figures *f = NULL;
    bool *worst = NULL, ok = measure(r, &f, &worst, err);
    json_t *root = ok ? make_json(r, f, worst) : NULL;
    if (ok && r->options->report)
        ok = json_save(root, r->options->report, s->common.force, err);
    if (ok && s->common.json)
        ok = report_print(root, err);
    json_decref(root);
    free(f);
    free(worst);
    return ok;
}
