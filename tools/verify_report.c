#include "tools/verify_report.h"

#include "core/mem.h"
#include "tools/report.h"
#include "tools/table.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

static const struct table_column column[] = {
    {.title = "tensor", .shrinks = true},
    {.title = "type"},
    {.title = "is"},
    {.title = "RMSE", .right = true, .dropped = 1},
    {.title = "SNR dB", .right = true},
    {.title = "max error", .right = true, .dropped = 2},
};

struct verify_total verify_total(const struct verify_result *result, size_t results)
{
    struct verify_total t = {0};
    double worst = 0.0;
    for (size_t i = 0; i < results; i++) {
        const struct verify_result *r = &result[i];
        const struct error_figures f = error_figures(&r->sums);
        t.count[r->status]++;
        if (!verify_status_good(r->status) && !t.bad)
            t.bad = r;
        if (!r->file || !r->source)
            continue;
        t.weights += tensor_elems(r->file);
        t.bytes += r->file->bytes;
        error_merge(&t.all, &r->sums);
        if (r->status == VERIFY_QUANTIZED && f.mse > 0.0 && (!t.worst || f.snr_db < worst)) {
            t.worst = r;
            worst = f.snr_db;
        }
    }
    return t;
}

static bool print_table(const struct verify_result *result, size_t results, struct err *err)
{
    struct table t = {0};
    char snr[REPORT_TEXT];
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < results; i++) {
        const struct verify_result *r = &result[i];
        const struct error_figures f = error_figures(&r->sums);
        table_row(&t);
        table_cell(&t, "%s", r->name);
        table_cell(&t, "%s", r->file ? r->file->dtype->name : "-");
        table_cell(&t, "%s", verify_status_name(r->status));
        if (f.mse > 0.0) {
            table_cell(&t, "%.3g", f.rmse);
            table_cell(&t, "%s", report_snr(&f, snr));
            table_cell(&t, "%.3g", f.max_abs);
        }
        if (!verify_status_good(r->status))
            table_mark(&t);
    }
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static json_t *make_json(const char *path, const struct verify_result *result, size_t results)
{
    json_t *root = json_object(), *tensors = json_array();
    const struct verify_total total = verify_total(result, results);
    for (size_t i = 0; i < results; i++) {
        const struct verify_result *r = &result[i];
        const struct error_figures f = error_figures(&r->sums);
        json_t *t = json_object();
        json_object_set_new(t, "name", json_string(r->name));
        json_object_set_new(t, "status", json_string(verify_status_name(r->status)));
        if (r->file)
            report_tensor(t, r->file, r->file->dtype);
        json_object_set_new(t, "different", json_integer((json_int_t)r->different));
        report_figures(t, &f);
        json_array_append_new(tensors, t);
    }
    json_object_set_new(root, "file", json_string(path));
    json_object_set_new(root, "good", json_boolean(!total.bad));
    json_object_set_new(root, "tensors", tensors);
    return root;
}

static bool print_json(json_t *report, struct err *err)
{
    const bool ok = report_print(report, err);
    json_decref(report);
    return ok;
}

static void say_total(const struct verify_total *t, const char *path, const struct session *s)
{
    const char *before = "";
    session_say(s, "verify: %s: ", path);
    for (int i = 0; i <= VERIFY_EXTRA; i++) {
        if (t->count[i] == 0)
            continue;
        session_say(s, "%s%zu %s", before, t->count[i], verify_status_name((enum verify_status)i));
        before = ", ";
    }
    session_say(s, "\n");
}

/* What is wrong with the first tensor that is. */
static bool complain(const struct verify_total *t, const char *path, struct err *err)
{
    const struct verify_result *r = t->bad;
    char a[TENSOR_SHAPE_TEXT], b[TENSOR_SHAPE_TEXT];
    const struct error_figures f = error_figures(&r->sums);
    switch (r->status) {
    case VERIFY_MISSING:
        return err_set(err, ERR_FORMAT, "%s: tensor '%s' is missing", path, r->name);
    case VERIFY_EXTRA:
        return err_set(err, ERR_FORMAT, "%s: tensor '%s' is in no tensor of the source", path,
                       r->name);
    case VERIFY_SHAPE:
        return err_set(err, ERR_FORMAT, "%s: tensor '%s' is %s, the source makes it %s", path,
                       r->name, tensor_shape_text(r->file, a),
                       tensor_shape_text(&r->source->out, b));
    default:
        if (r->file->dtype->class == DTYPE_QUANTIZED)
            return err_set(err, ERR_FORMAT,
                           "%s: tensor '%s' (%s) is not the source's: its error is as large as "
                           "itself (SNR %.2f dB)",
                           path, r->name, r->file->dtype->name, f.snr_db);
        return err_set(err, ERR_FORMAT,
                       "%s: tensor '%s': %" PRIu64 " of %" PRIu64
                       " values differ from the source, the first at row %" PRIu64
                       ", column %" PRIu64,
                       path, r->name, r->different, tensor_elems(r->file), r->row, r->column);
    }
}

bool verify_open(struct checkpoint *file, const char *path, struct err *err)
{
    if (!checkpoint_open(file, path, err))
        return false;
    return strcmp(file->container->name, "GGUF") == 0 ||
           err_set(err, ERR_USAGE, "%s: is %s, not the GGUF file that is to be compared", path,
                   file->container->name);
}

bool verify_report_run(const struct plan *plan, const char *path, bool no_table, struct session *s,
                       json_t **report, struct err *err)
{
    struct checkpoint file = {0};
    struct verify_result *result = NULL;
    size_t results = 0;
    bool ok =
        verify_open(&file, path, err) &&
        verify_gguf(plan, &file, &s->kernels, s->pool, &s->progress.base, &result, &results, err);
    term_progress_clear(&s->progress);
    if (ok && report)
        *report = make_json(path, result, results);
    else if (ok && s->common.json)
        ok = print_json(make_json(path, result, results), err);
    if (ok && !s->common.json && !no_table && !s->common.quiet)
        ok = print_table(result, results, err);
    if (ok) {
        const struct verify_total total = verify_total(result, results);
        say_total(&total, path, s);
        ok = !total.bad || complain(&total, path, err);
    }
    free(result);
    checkpoint_close(&file);
    return ok;
}
