#include "tools/calib_report.h"

#include "calib/coverage.h"
#include "tools/report.h"
#include "tools/table.h"
#include "tools/term.h"
#include "tools/text.h"

#include <inttypes.h>
#include <string.h>

enum { NAMES = 160, HASH_SHOWN = 16 };

/* Names from a file need not be UTF-8. */
static json_t *text_json(const char *text) { return report_bytes(text, strlen(text), NULL); }

static json_t *group_json(const struct calib_group *g)
{
    const struct coverage c = coverage_of(g);
    json_t *row = json_object(), *tensors = json_array();
    for (size_t t = 0; t < g->tensors; t++)
        json_array_append_new(tensors, text_json(g->tensor[t]));
    json_object_set_new(row, "name", text_json(g->name));
    json_object_set_new(row, "tensors", tensors);
    json_object_set_new(row, "columns", json_integer((json_int_t)g->cols));
    json_object_set_new(row, "matrices", json_integer((json_int_t)g->matrices));
    json_object_set_new(row, "least_tokens", json_integer((json_int_t)c.least));
    json_object_set_new(row, "most_tokens", json_integer((json_int_t)c.most));
    json_object_set_new(row, "mean_square", json_real(c.mean_square));
    json_object_set_new(row, "dead_columns", json_integer((json_int_t)c.dead));
    json_object_set_new(row, "weak_columns", json_integer((json_int_t)c.weak));
    json_object_set_new(row, "unseen_matrices", json_integer((json_int_t)c.unseen));
    json_object_set_new(row, "matrices_with_few_tokens", json_integer((json_int_t)c.few));
    return row;
}

static bool print_json(const struct calib_store *s, struct err *err)
{
    const struct calib_info *i = &s->info;
    const struct {
        const char *key, *text;
    } member[] = {{"path", s->path},
                  {"quern", i->quern},
                  {"architecture", i->architecture},
                  {"model", i->model},
                  {"source_sha256", i->source},
                  {"through_sha256", i->through},
                  {"tokenizer", i->tokenizer},
                  {"vocabulary_sha256", i->vocabulary},
                  {"kind", i->hessians ? "hessian" : "importance"}};
    json_t *root = json_object(), *texts = json_array(), *groups = json_array();
    for (size_t m = 0; m < sizeof member / sizeof member[0]; m++)
        json_object_set_new(root, member[m].key, text_json(member[m].text));
    for (size_t t = 0; t < i->texts; t++) {
        json_t *text = json_object();
        json_object_set_new(text, "name", text_json(i->text[t].name));
        json_object_set_new(text, "sha256", text_json(i->text[t].sha256));
        json_array_append_new(texts, text);
    }
    for (size_t g = 0; g < s->groups; g++)
        json_array_append_new(groups, group_json(&s->group[g]));
    json_object_set_new(root, "texts", texts);
    json_object_set_new(root, "context", json_integer((json_int_t)i->context));
    json_object_set_new(root, "windows", json_integer((json_int_t)i->windows));
    json_object_set_new(root, "tokens", json_integer((json_int_t)i->tokens));
    json_object_set_new(root, "inputs", groups);
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

static const char *shown(const char *text, char fit[NAMES])
{
    return text[0] ? text_fit(text, NAMES / 2, fit, NAMES) : "not known";
}

static void print_info(const struct calib_store *s)
{
    const struct calib_info *i = &s->info;
    char a[NAMES], b[NAMES], c[NAMES], count[TERM_TEXT];
    printf("%s: calibration, %s, made by quern %s\n", s->path,
           i->hessians ? "Hessians" : "importance alone", shown(i->quern, a));
    printf("model:  %s, fingerprint %.*s; source %.*s\n", shown(i->architecture, a), HASH_SHOWN,
           shown(i->model, b), HASH_SHOWN, shown(i->source, c));
    if (i->through[0])
        printf("        activations through a file of %.*s\n", HASH_SHOWN, shown(i->through, a));
    printf("text:   %s tokens", term_count(i->tokens, count));
    if (i->context)
        printf(", %" PRIu64 " windows of %" PRIu64, i->windows, i->context);
    else
        printf(", %" PRIu64 " windows", i->windows);
    printf("; tokenizer %s\n", shown(i->tokenizer, a));
    for (size_t t = 0; t < i->texts; t++)
        printf("        %s %.*s\n", shown(i->text[t].name, a), HASH_SHOWN,
               shown(i->text[t].sha256, b));
    puts("");
}

static const struct table_column column[] = {
    {.title = "input", .shrinks = true},
    {.title = "linears", .shrinks = true, .dropped = 2},
    {.title = "columns", .right = true},
    {.title = "experts", .right = true, .dropped = 4},
    {.title = "tokens", .right = true, .dropped = 1},
    {.title = "mean square", .right = true, .dropped = 3},
    {.title = "dead", .right = true},
    {.title = "weak", .right = true},
};

/* "attn_q, attn_k, attn_v": what stands between the layer and ".weight". */
static const char *linears(const struct calib_group *g, char text[NAMES])
{
    size_t used = 0;
    text[0] = '\0';
    for (size_t t = 0; t < g->tensors && used + 40 < NAMES; t++) {
        const char *name = g->tensor[t];
        char fit[NAMES];
        if (strncmp(name, "blk.", 4) == 0 && strchr(name + 4, '.'))
            name = strchr(name + 4, '.') + 1;
        text_fit(name, 32, fit, sizeof fit);
        fit[strcspn(fit, ".")] = '\0';
        const int n = snprintf(text + used, NAMES - used, "%s%s", t ? ", " : "", fit);
        used += n > 0 ? (size_t)n : 0;
    }
    return text;
}

static void add_group(struct table *t, const struct calib_group *g)
{
    const struct coverage c = coverage_of(g);
    char text[NAMES];
    table_row(t);
    table_cell(t, "%s", text_fit(g->name, 64, text, sizeof text));
    table_cell(t, "%s", linears(g, text));
    table_cell(t, "%zu", g->cols);
    table_cell(t, g->matrices > 1 ? "%zu" : "", g->matrices);
    table_cell(t, c.least == c.most ? "%" PRIu64 : "%" PRIu64 " to %" PRIu64, c.least, c.most);
    table_cell(t, "%.4g", c.mean_square);
    table_cell(t, c.dead ? "%zu" : "-", c.dead);
    table_cell(t, c.weak ? "%zu" : "-", c.weak);
    if (c.dead || c.unseen || c.few)
        table_mark(t);
}

/* So many of something, and the first input that has one. */
struct count {
    size_t inputs, experts;
    const char *first;
};

static void count_one(struct count *c, const struct calib_group *g, size_t experts)
{
    if (experts == 0)
        return;
    c->first = c->first ? c->first : g->name;
    c->inputs++;
    c->experts += experts;
}

static void print_notes(const struct calib_store *s)
{
    struct count unseen = {0}, few = {0}, few_experts = {0};
    char name[NAMES];
    for (size_t g = 0; g < s->groups; g++) {
        const struct calib_group *group = &s->group[g];
        const struct coverage c = coverage_of(group);
        count_one(&unseen, group, c.unseen);
        count_one(group->matrices > 1 ? &few_experts : &few, group, c.few);
    }
    if (unseen.inputs)
        printf("note: %zu experts of %zu inputs saw no token; the first is in %s\n", unseen.experts,
               unseen.inputs, text_fit(unseen.first, 64, name, sizeof name));
    if (few_experts.inputs)
        printf("note: %zu experts of %zu inputs saw fewer tokens than they have columns; the first "
               "is in %s\n",
               few_experts.experts, few_experts.inputs,
               text_fit(few_experts.first, 64, name, sizeof name));
    if (few.inputs)
        printf("note: %zu inputs saw fewer tokens than they have columns (a Hessian is not of full "
               "rank then); the first is %s\n",
               few.inputs, text_fit(few.first, 64, name, sizeof name));
}

bool calib_report_print(const struct calib_store *s, bool json, struct err *err)
{
    struct table t = {0};
    if (json)
        return print_json(s, err);
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t g = 0; g < s->groups; g++)
        add_group(&t, &s->group[g]);
    print_info(s);
    const bool ok = table_print(&t, stdout, err);
    print_notes(s);
    table_close(&t);
    return ok;
}
