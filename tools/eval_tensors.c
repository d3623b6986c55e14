#include "tools/eval_tensors.h"

#include "tools/report.h"
#include "tools/table.h"
#include "tools/verify_report.h"

#include <stdlib.h>

static const struct table_column column[] = {
    {.title = "tensor", .shrinks = true},
    {.title = "type"},
    {.title = "is", .dropped = 1},
    {.title = "MSE", .right = true, .dropped = 2},
    {.title = "RMSE", .right = true},
    {.title = "SNR dB", .right = true},
    {.title = "max error", .right = true, .dropped = 3},
    {.title = "cosine", .right = true},
};

/* What could not be compared is said; where that is all, there are no figures. */
static bool check(const struct eval_tensors *t, const struct session *s, struct err *err)
{
    const struct verify_total total = verify_total(t->result, t->results);
    size_t bad = 0;
    for (int i = 0; i <= VERIFY_EXTRA; i++)
        bad += verify_status_good((enum verify_status)i) ? 0 : total.count[i];
    if (total.all.count == 0)
        return err_set(err, ERR_FORMAT, "%s and %s have no tensor of the same name and shape",
                       t->file.path, t->source.path);
    if (bad > 0)
        session_say(s, "note: %zu of %zu tensors are not the source's\n", bad, t->results);
    return true;
}

bool eval_tensors_open(struct eval_tensors *t, const char *file, const char *source,
                       struct session *s, struct err *err)
{
    s->progress.base.unit = NULL;
    const bool ok = verify_open(&t->file, file, err) && checkpoint_open(&t->source, source, err) &&
                    plan_open(&t->plan, &t->source, &(struct plan_options){0}, err) &&
                    verify_gguf(&t->plan, &t->file, &s->kernels, s->pool, &s->progress.base,
                                &t->result, &t->results, err);
    term_progress_clear(&s->progress);
    return ok && check(t, s, err);
}

void eval_tensors_close(struct eval_tensors *t)
{
    free(t->result);
    plan_close(&t->plan);
    checkpoint_close(&t->source);
    checkpoint_close(&t->file);
    *t = (struct eval_tensors){0};
}

static bool compared(const struct verify_result *r) { return r->sums.count > 0; }

static void put_figures(struct table *t, const struct error_figures *f)
{
    char snr[REPORT_TEXT];
    if (f->mse > 0.0) {
        table_cell(t, "%.3g", f->mse);
        table_cell(t, "%.3g", f->rmse);
        table_cell(t, "%s", report_snr(f, snr));
        table_cell(t, "%.3g", f->max_abs);
    } else {
        table_cell(t, "0");
        table_cell(t, "0");
        table_cell(t, "exact");
        table_cell(t, "0");
    }
    table_cell(t, "%.8f", f->cosine);
}

bool eval_tensors_print(const struct eval_tensors *e, struct err *err)
{
    struct table t = {0};
    const struct verify_total total = verify_total(e->result, e->results);
    const struct error_figures all = error_figures(&total.all);
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < e->results; i++) {
        const struct verify_result *r = &e->result[i];
        const struct error_figures f = error_figures(&r->sums);
        table_row(&t);
        table_cell(&t, "%s", r->name);
        table_cell(&t, "%s", r->file ? r->file->dtype->name : "-");
        table_cell(&t, "%s", verify_status_name(r->status));
        if (compared(r))
            put_figures(&t, &f);
        if (!verify_status_good(r->status))
            table_mark(&t);
    }
    table_row(&t);
    table_cell(&t, "all");
    table_cell(&t, " ");
    table_cell(&t, " ");
    put_figures(&t, &all);
    table_rule(&t);
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static void add_figures(json_t *to, const struct error_sums *sums)
{
    const struct error_figures f = error_figures(sums);
    report_figures(to, &f);
    json_object_set_new(to, "cosine", json_real(f.cosine));
}

void eval_tensors_json(const struct eval_tensors *e, json_t *to)
{
    const struct verify_total total = verify_total(e->result, e->results);
    json_t *tensors = json_array(), *all = json_object();
    for (size_t i = 0; i < e->results; i++) {
        const struct verify_result *r = &e->result[i];
        json_t *t = json_object();
        json_object_set_new(t, "name", json_string(r->name));
        json_object_set_new(t, "status", json_string(verify_status_name(r->status)));
        if (r->file)
            report_tensor(t, r->file, r->file->dtype);
        if (compared(r))
            add_figures(t, &r->sums);
        json_array_append_new(tensors, t);
    }
    add_figures(all, &total.all);
    json_object_set_new(to, "tensors", tensors);
    json_object_set_new(to, "all_tensors", all);
}
