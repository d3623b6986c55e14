#include "tools/command.h"

#include "core/mem.h"
#include "tools/compare_text.h"
#include "tools/report.h"
#include "tools/table.h"
#include "tools/verify_report.h"

#include <stdlib.h>

/* One file's row. */
struct level {
    const char *path;
    struct checkpoint file; /* open while result points into it */
    struct verify_result *result;
    size_t results;
    struct verify_total total;
    struct compare_text_figures text; /* with -f */
};

struct compare_options {
    const char *text; /* or NULL */
    size_t most;      /* windows of it; 0: all */
};

/* The last three are of a text, and left out without one. */
enum { COLUMNS = 11, TEXT_COLUMNS = 3 };

static const struct table_column column[COLUMNS] = {
    {.title = "file", .shrinks = true},
    {.title = "bytes", .right = true},
    {.title = "bits/weight", .right = true},
    {.title = "RMSE", .right = true, .dropped = 1},
    {.title = "SNR dB", .right = true},
    {.title = "max error", .right = true, .dropped = 2},
    {.title = "worst tensor", .shrinks = true, .dropped = 4},
    {.title = "dB", .right = true, .dropped = 4},
    {.title = "perplexity", .right = true},
    {.title = "KL mean", .right = true},
    {.title = "same top %", .right = true, .dropped = 3},
};

static uint64_t file_bytes(const struct level *l)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < l->file.maps; i++)
        bytes += l->file.map[i].size;
    return bytes;
}

static double bits(const struct level *l)
{
    return l->total.weights ? 8.0 * (double)l->total.bytes / (double)l->total.weights : 0.0;
}

static bool measure(struct level *l, const struct plan *plan, struct session *s, struct err *err)
{
    if (!verify_open(&l->file, l->path, err) ||
        !verify_gguf(plan, &l->file, &s->kernels, s->pool, &s->progress.base, &l->result,
                     &l->results, err))
        return false;
    term_progress_clear(&s->progress);
    l->total = verify_total(l->result, l->results);
    if (l->total.bad)
        return err_set(err, ERR_FORMAT,
                       "%s: tensor '%s' is not the source's (%s); `quern verify` tells more",
                       l->path, l->total.bad->name, verify_status_name(l->total.bad->status));
    return true;
}

static bool print_table(const struct level *level, size_t levels, const struct compare_options *o,
                        struct err *err)
{
    struct table t = {0};
    char text[TERM_TEXT], snr[REPORT_TEXT];
    table_open(&t, column, o->text ? COLUMNS : COLUMNS - TEXT_COLUMNS);
    for (size_t i = 0; i < levels; i++) {
        const struct error_figures all = error_figures(&level[i].total.all);
        table_row(&t);
        table_cell(&t, "%s", level[i].path);
        table_cell(&t, "%s", term_size(file_bytes(&level[i]), text));
        table_cell(&t, "%.3f", bits(&level[i]));
        table_cell(&t, "%.3g", all.rmse);
        table_cell(&t, "%s", report_snr(&all, snr));
        table_cell(&t, "%.3g", all.max_abs);
        if (level[i].total.worst) {
            const struct error_figures worst = error_figures(&level[i].total.worst->sums);
            table_cell(&t, "%s", level[i].total.worst->name);
            table_cell(&t, "%s", report_snr(&worst, snr));
        } else {
            table_cell(&t, "-");
            table_cell(&t, "-");
        }
        if (o->text) {
            table_cell(&t, "%.3f", level[i].text.perplexity.value);
            table_cell(&t, "%.5f", level[i].text.divergence.mean.value);
            table_cell(&t, "%.2f", 100.0 * level[i].text.divergence.same_top.value);
        }
    }
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static bool print_json(const struct level *level, size_t levels, const struct compare_options *o,
                       struct err *err)
{
    json_t *root = json_object(), *files = json_array();
    for (size_t i = 0; i < levels; i++) {
        const struct error_figures all = error_figures(&level[i].total.all);
        json_t *row = json_object();
        json_object_set_new(row, "file", json_string(level[i].path));
        json_object_set_new(row, "bytes", json_integer((json_int_t)file_bytes(&level[i])));
        json_object_set_new(row, "bits_per_weight", json_real(bits(&level[i])));
        report_figures(row, &all);
        if (level[i].total.worst)
            json_object_set_new(row, "worst_tensor", json_string(level[i].total.worst->name));
        if (o->text) {
            const struct compare_text_figures *f = &level[i].text;
            json_object_set_new(row, "perplexity", json_real(f->perplexity.value));
            json_object_set_new(row, "kl_mean", json_real(f->divergence.mean.value));
            json_object_set_new(row, "kl_mean_error", json_real(f->divergence.mean.error));
            json_object_set_new(row, "same_top", json_real(f->divergence.same_top.value));
        }
        json_array_append_new(files, row);
    }
    json_object_set_new(root, "files", files);
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

static bool measure_text(struct level *level, size_t levels, const struct compare_options *o,
                         struct session *s, struct err *err)
{
    struct compare_text text = {0};
    bool ok = compare_text_open(&text, level[0].path, o->text, o->most, s, err);
    if (ok)
        session_say(s, "%s: %zu windows of %zu tokens; KL divergence is from %s\n", o->text,
                    text.text.windows.count, text.text.windows.size, level[0].path);
    for (size_t i = 0; ok && i < levels; i++)
        ok = compare_text_measure(&text, &level[i].file, s, &level[i].text, err) ||
             err_wrap(err, "%s", level[i].path);
    compare_text_close(&text);
    return ok;
}

static bool compare(char **argv, size_t levels, const struct compare_options *o, struct session *s,
                    struct err *err)
{
    struct checkpoint source = {0};
    struct plan plan = {0};
    struct level *level = mem_alloc(levels, sizeof *level);
    if (!level)
        return err_set(err, ERR_MEMORY, "no memory for %zu files", levels);
    bool ok = checkpoint_open(&source, argv[0], err) &&
              plan_open(&plan, &source, &(struct plan_options){0}, err);
    for (size_t i = 0; ok && i < levels; i++) {
        level[i].path = argv[1 + i];
        ok = measure(&level[i], &plan, s, err);
    }
    if (ok && o->text)
        ok = measure_text(level, levels, o, s, err);
    if (ok)
        ok =
            s->common.json ? print_json(level, levels, o, err) : print_table(level, levels, o, err);
    for (size_t i = 0; i < levels; i++) {
        free(level[i].result);
        checkpoint_close(&level[i].file);
    }
    free(level);
    plan_close(&plan);
    checkpoint_close(&source);
    return ok;
}

static bool run_compare(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct compare_options o = {0};
    bool done;
    const struct opt table[] = {
        {"file", 'f', OPT_TEXT, &o.text, "TEXT",
         "also perplexity on this text, and KL divergence from the first file"},
        {"chunks", 0, OPT_COUNT, &o.most, "N", "only the first N windows of the text"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 2, 4096, &done, err) || done)
        return done;
    const bool ok = session_open(&s, err) && compare(argv, (size_t)argc - 1, &o, &s, err);
    session_close(&s);
    return ok;
}

const struct command cmd_compare = {
    .name = "compare",
    .usage = "SOURCE FILE.gguf... [OPTION]...",
    .summary = "several GGUF files side by side against one source",
    .text =
        "Measures what every file lost of SOURCE: bytes, bits a weight, root mean square error\n"
        "and signal to noise over all weights, and the tensor that lost most. Whatever tool\n"
        "made them. With a text also what that costs: perplexity, and KL divergence from the\n"
        "first file, which then should be the unquantized one.\n\n"
        "  quern compare path/to/model-folder model-Q4_K_M.gguf other-tool-Q4_K_M.gguf\n"
        "  quern compare model F16.gguf Q4_K_M.gguf Q2_K.gguf -f text.txt\n",
    .run = run_compare,
};
