#include "tools/make.h"

#include "core/mem.h"
#include "core/sink.h"
#include "formats/imatrix_file.h"
#include "formats/source_guard.h"
#include "model/produce.h"
#include "model/recipe_file.h"
#include "tools/make_allocate.h"
#include "tools/make_check.h"
#include "tools/make_report.h"
#include "tools/term.h"
#include "tools/verify_report.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct make {
    const struct make_options *o;
    struct session *s;
    struct checkpoint source;
    struct plan plan;
    struct imatrix imatrix;
    struct make_calib calib;
    struct meta meta;
    struct recipe_choice *choice;
    struct recipe_census census;
    struct produce_item *item;
    struct produce_result *result;
    uint64_t bytes;                /* of the file */
    struct make_allocation budget; /* its report is ours */
};

/* The type that most of the weights have: names the file where no recipe does. */
static const struct dtype *main_dtype(const struct make *m)
{
    uint64_t count[DTYPE_COUNT] = {0};
    enum dtype_id best = DTYPE_F32;
    for (size_t i = 0; i < m->plan.tensors; i++)
        count[m->choice[i].dtype->id] += tensor_elems(&m->plan.tensor[i].out);
    for (int d = 0; d < DTYPE_COUNT; d++)
        if (count[d] > count[best])
            best = (enum dtype_id)d;
    return dtype_get(best);
}

/* What general.file_type says: the recipe's number, a GGUF source's own, or that of the main
 * type. */
static uint32_t file_type(const struct make *m, const struct recipe *recipe)
{
    uint64_t own;
    if (!recipe && meta_get_u64(&m->source.meta, "general.file_type", &own))
        return (uint32_t)own;
    if (!recipe)
        recipe = recipe_find(main_dtype(m)->name, NULL);
    return recipe ? recipe->file_type : 0;
}

static bool check_requantize(const struct make *m, struct err *err)
{
    size_t already = 0;
    const struct tensor *first = NULL;
    for (size_t i = 0; i < m->plan.tensors; i++) {
        const struct plan_tensor *t = &m->plan.tensor[i];
        const struct dtype *to = m->choice[i].dtype;
        if (!t->source || t->source->dtype->class != DTYPE_QUANTIZED ||
            to->class != DTYPE_QUANTIZED || to == t->source->dtype)
            continue;
        first = already++ ? first : t->source;
    }
    if (already == 0 || m->o->allow_requantize)
        return true;
    return err_set(err, ERR_USAGE,
                   "%s: %zu tensors are quantized already ('%s' is %s), and quantizing them again "
                   "loses more than quantizing the original; `quern quantize "
                   "--allow-requantize` does it",
                   m->o->source, already, first->name, first->dtype->name);
}

/* The source's types as they are: the plan's, as `convert` without --type. */
static void choose_own(struct make *m)
{
    for (size_t i = 0; i < m->plan.tensors; i++) {
        const struct tensor *out = &m->plan.tensor[i].out;
        m->choice[i] = (struct recipe_choice){out->dtype, out->dtype, RECIPE_KEPT};
    }
}

/* --recipe names rules, or a file of types on top of the stock ones. */
static bool is_recipe_file(const struct make *m)
{
    enum recipe_flavour flavour;
    return m->o->type && !recipe_flavour_find(m->o->flavour, &flavour, NULL) &&
           access(m->o->flavour, F_OK) == 0;
}

static bool choose_types(struct make *m, const struct recipe **chosen, struct err *err)
{
    const char *type = m->o->like ? m->o->like : m->o->type;
    const bool file = is_recipe_file(m);
    struct recipe_options recipe = m->o->recipe;
    struct recipe_model model;
    *chosen = NULL;
    if (!type) {
        choose_own(m);
        return true;
    }
    if (!(recipe.recipe = recipe_find(type, err)) ||
        !recipe_flavour_find(file ? "stock" : m->o->flavour, &recipe.flavour, err))
        return false;
    *chosen = recipe.recipe;
    recipe.importance = m->o->imatrix || m->o->calib;
    recipe_model_init(&model, &m->plan);
    return recipe_assign(&recipe, &model, m->plan.tensor, m->plan.tensors, m->choice, &m->census,
                         err) &&
           (!file ||
            (recipe_file_read(m->o->flavour, m->plan.tensor, m->plan.tensors, m->choice, err) &&
             recipe_count(m->plan.tensor, m->plan.tensors, m->choice, &m->census, err)));
}

static void set_items(struct make *m)
{
    for (size_t i = 0; i < m->plan.tensors; i++)
        m->item[i] = (struct produce_item){&m->plan.tensor[i], m->choice[i].dtype, NULL, 0, NULL};
}

/* Types by budget, in place of the recipe's. */
static bool allocate(struct make *m, struct err *err)
{
    struct make_allocation *a = &m->budget;
    if (!make_allocate_wanted(m->o))
        return true;
    if (!produce_size(&m->meta, m->item, m->plan.tensors, &a->bytes, err))
        return false;
    const bool ok = make_allocate(a, err);
    if (ok && !m->o->like)
        meta_set_u32(&m->meta, "general.file_type", file_type(m, NULL));
    set_items(m);
    return ok && recipe_count(m->plan.tensor, m->plan.tensors, m->choice, &m->census, err);
}

/* The recipe's types, and what can be refused of them before calibration. */
static bool choose(struct make *m, struct err *err)
{
    const size_t n = m->plan.tensors;
    const struct recipe *recipe;
    struct make_allocation *a = &m->budget;
    if (!(m->choice = mem_alloc(n, sizeof *m->choice)) ||
        !(m->item = mem_alloc(n, sizeof *m->item)) ||
        !(m->result = mem_alloc(n, sizeof *m->result)))
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", n);
    if (!choose_types(m, &recipe, err))
        return false;
    set_items(m);
    meta_copy(&m->meta, &m->plan.meta);
    meta_set_u32(&m->meta, "general.quantization_version", 2);
    meta_set_u32(&m->meta, "general.file_type", file_type(m, recipe));
    *a = (struct make_allocation){.options = m->o,
                                  .plan = &m->plan,
                                  .calib = &m->calib,
                                  .session = m->s,
                                  .choice = m->choice};
    if (!produce_size(&m->meta, m->item, n, &a->like, err))
        return false;
    a->bytes = a->like;
    return check_requantize(m, err) &&
           (!make_allocate_wanted(m->o) || calib_store_probe(m->o->calib) ||
            make_allocate_possible(a, err));
}

/* What calibration makes of them. */
static bool refine(struct make *m, struct err *err)
{
    if (m->o->salient > 0.0 && !make_calib_raise(&m->calib, m->o, &m->plan, m->choice, m->s, err))
        return false;
    set_items(m);
    return make_calib_keys(&m->calib, &m->plan, &m->meta, err) && allocate(m, err) &&
           (!m->o->recipe_out ||
            recipe_file_write(m->o->recipe_out, m->s->common.force, m->plan.tensor, m->plan.tensors,
                              m->choice, err));
}

static bool use_importance(struct make *m, struct err *err)
{
    const struct tensor **asked = mem_alloc(m->plan.tensors, sizeof *asked);
    struct imatrix_coverage found;
    size_t n = 0;
    if (!asked)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", m->plan.tensors);
    for (size_t i = 0; i < m->plan.tensors; i++)
        if (m->choice[i].dtype->class == DTYPE_QUANTIZED)
            asked[n++] = &m->plan.tensor[i].out;
    const bool ok = imatrix_check(&m->imatrix, asked, n, &found, err);
    free(asked);
    if (!ok)
        return err_wrap(err, "%s", m->o->imatrix);
    for (size_t i = 0; i < m->plan.tensors; i++) {
        const struct imatrix_entry *e = imatrix_find(&m->imatrix, m->plan.tensor[i].out.name);
        if (!e || m->choice[i].dtype->class != DTYPE_QUANTIZED)
            continue;
        m->item[i].importance = e->mean;
        m->item[i].matrices = e->values / (size_t)tensor_cols(&m->plan.tensor[i].out);
    }
    session_say(m->s, "importance: %s covers %zu of %zu tensors (%" PRIu32 " chunks)\n",
                m->o->imatrix, found.found, n, m->imatrix.chunks);
    if (found.missing)
        session_say(m->s, "  without importance: %zu, the first '%s'\n", found.missing,
                    found.first_missing);
    if (found.unused)
        session_say(m->s, "  entries for no tensor of this model: %zu, the first '%s'\n",
                    found.unused, found.first_unused);
    if (found.unseen)
        session_say(m->s,
                    "  experts that calibration never reached: %zu; they are encoded without\n",
                    found.unseen);
    meta_set_text(&m->meta, "quantize.imatrix.file", m->o->imatrix);
    if (m->imatrix.datasets)
        meta_set_text(&m->meta, "quantize.imatrix.dataset", m->imatrix.dataset[0].text);
    meta_set_i32(&m->meta, "quantize.imatrix.entries_count", (int32_t)m->imatrix.entries);
    meta_set_i32(&m->meta, "quantize.imatrix.chunks_count", (int32_t)m->imatrix.chunks);
    return true;
}

static void say_types(struct make *m)
{
    size_t count[DTYPE_COUNT] = {0};
    const char *before = "";
    for (size_t i = 0; i < m->plan.tensors; i++)
        count[m->choice[i].dtype->id]++;
    session_say(m->s, "types:  ");
    for (int d = 0; d < DTYPE_COUNT; d++) {
        if (count[d] == 0)
            continue;
        session_say(m->s, "%s%zu %s", before, count[d], dtype_get((enum dtype_id)d)->name);
        before = ", ";
    }
    session_say(m->s, "\n");
}

/* How many weights did not get the type that the recipe meant for them, and what that costs. */
static void say_fallbacks(struct make *m)
{
    const struct recipe_census *c = &m->census;
    if (c->fallbacks == 0)
        return;
    const struct plan_tensor *t = &m->plan.tensor[c->first_fallback];
    const int64_t bytes = c->fallback_bytes;
    char size[TERM_TEXT];
    session_say(
        m->s,
        "fallback: %zu of %zu tensors, %.1f%% of the weights, have columns that are not whole "
        "blocks\n          and get another type: %s%s in all ('%s', %" PRIu64
        " columns: %s, not %s);\n          --no-fallback refuses\n",
        c->fallbacks, c->tensors, 100.0 * (double)c->fallback_params / (double)c->params,
        bytes < 0 ? "-" : "+", term_size((uint64_t)(bytes < 0 ? -bytes : bytes), size), t->out.name,
        tensor_cols(&t->out), m->choice[c->first_fallback].dtype->name,
        m->choice[c->first_fallback].wanted->name);
}

/* The paragraph before the work: what comes from where and what it will be. */
static void say_plan(struct make *m)
{
    char size[TERM_TEXT], weights[TERM_TEXT];
    uint64_t params = 0, bytes = 0;
    double bits = 0.0;
    for (size_t i = 0; i < m->plan.tensors; i++) {
        params += tensor_elems(&m->plan.tensor[i].out);
        bits += dtype_bits(m->choice[i].dtype) * (double)tensor_elems(&m->plan.tensor[i].out);
    }
    for (size_t i = 0; i < m->source.tensors; i++)
        bytes += m->source.tensor[i].bytes;
    session_say(m->s, "source: %s (%s, %s): %zu tensors, %s weights, %s\n", m->o->source,
                m->source.container->name,
                m->plan.arch ? m->plan.arch->name : "architecture not in the table",
                m->plan.tensors, term_count(params, weights), term_size(bytes, size));
    session_say(m->s, "output: %s: %s, %s, %.2f bits a weight\n",
                m->o->out ? m->o->out : "(none: dry run)",
                m->o->like                   ? m->o->like
                : make_allocate_wanted(m->o) ? "types by budget"
                : m->o->type                 ? m->o->type
                                             : "the source's types",
                term_size(m->bytes, size), params ? bits / (double)params : 0.0);
    say_types(m);
    session_say(m->s, "with:   %s, %s kernels\n", m->s->threads, m->s->kernels.name);
    for (size_t i = 0; i < m->plan.notes; i++)
        session_say(m->s, "note:   %s\n", m->plan.note[i]);
    say_fallbacks(m);
}

/* What GPTQ could not do as it should. */
static void say_gptq(const struct make *m)
{
    size_t damped = 0, dead = 0;
    uint64_t plain = 0, columns = 0;
    for (size_t i = 0; i < m->plan.tensors; i++) {
        damped += m->result[i].retries > 0;
        dead += m->result[i].dead > 0;
        columns += m->result[i].dead;
        plain += m->result[i].plain;
    }
    if (damped)
        session_say(m->s, "gptq:   %zu tensors needed more damping than usual\n", damped);
    if (dead)
        session_say(m->s, "gptq:   %" PRIu64 " columns of %zu tensors were never fed anything\n",
                    columns, dead);
    if (plain)
        session_say(m->s,
                    "gptq:   %" PRIu64 " matrices were encoded by plain search: calibration never "
                    "reached them, or no damping helped\n",
                    plain);
}

static void say_after(struct make *m)
{
    uint64_t kept = 0, zeroed = 0;
    size_t exact = 0;
    for (size_t i = 0; i < m->plan.tensors; i++) {
        *(m->result[i].copied ? &kept : &zeroed) += m->result[i].nonfinite;
        exact += m->result[i].kept_rows > 0 &&
                 m->result[i].kept_rows == tensor_rows(&m->plan.tensor[i].out);
    }
    if (exact)
        session_say(m->s,
                    "exact:  %zu tensors were made of their type's values already (trained for it, "
                    "or requantized) and are kept\n",
                    exact);
    if (kept)
        session_say(m->s,
                    "NaN:    %" PRIu64 " values that are NaN or infinite are copied as they are\n",
                    kept);
    if (zeroed)
        session_say(m->s,
                    "NaN:    %" PRIu64
                    " values that are NaN or infinite are left out and stored as 0\n",
                    zeroed);
    say_gptq(m);
    say_fallbacks(m);
}

static bool make_file(struct make *m, struct make_report *report, struct err *err)
{
    char key[HASH_TEXT];
    if (!make_calib_key(&m->calib, m->o, &m->source, &m->meta, m->item, m->plan.tensors, m->s, key,
                        err))
        return false;
    const struct produce_options o = {.source = &m->source,
                                      .resume = key[0] ? key : NULL,
                                      .kernels = &m->s->kernels,
                                      .pool = m->s->pool,
                                      .progress = &m->s->progress.base,
                                      .allow_nan = m->o->allow_nan,
                                      .force = m->s->common.force};
    const double start = m->s->progress.clock();
    m->s->progress.base.unit = o.resume ? "" : NULL; /* not all bytes take the same time */
    const bool ok = make_calib_run(&m->calib, m->o->out, &m->meta, m->item, m->plan.tensors, &o,
                                   m->result, err);
    m->s->progress.base.unit = NULL;
    if (!ok)
        return err->code == ERR_STOPPED && o.resume
                   ? err_set(err, ERR_STOPPED, "stopped; the same command goes on from here")
               : err->code == ERR_NUMERIC ? err_wrap(err, "%s", m->o->source)
                                          : false;
    report->seconds = m->s->progress.clock() - start;
    make_calib_made(&m->calib);
    say_after(m);
    return true;
}

/* The report is written where the proof fails, too, and says so. */
static bool tell(const struct make *m, struct make_report *report, struct err *err)
{
    bool ok = !m->o->check || make_check(m->o, m->s, &report->checked, err);
    ok = ok && (m->s->common.json || m->s->common.quiet || make_report_print(report, err));
    if (ok && m->o->verify)
        ok = verify_report_run(&m->plan, m->o->out, m->o->no_table, m->s, &report->verified, err);
    ok = make_report_json(report, m->s, ok ? err : NULL) && ok;
    json_decref(report->verified);
    json_decref(report->checked);
    return ok;
}

/* Two outputs, or NULL. */
static bool check_apart(const char *a, const char *is_a, const char *b, const char *is_b,
                        struct err *err)
{
    return !a || !b || strcmp(a, b) != 0 ||
           err_set(err, ERR_USAGE, "%s: is %s and %s as well", a, is_a, is_b);
}

/* What can be refused before anything is read. */
static bool check_outputs(const struct make *m, struct err *err)
{
    const struct make_options *o = m->o;
    if (!o->out && !o->dry_run)
        return err_set(err, ERR_USAGE, "-o OUT.gguf is needed (or --dry-run)");
    if (!check_apart(o->out, "the output", o->report, "the report", err) ||
        !check_apart(o->out, "the output", o->recipe_out, "the file of types", err) ||
        !check_apart(o->report, "the report", o->recipe_out, "the file of types", err))
        return false;
    return (!o->out || o->dry_run || sink_allowed(o->out, m->s->common.force, err)) &&
           (!o->recipe_out || sink_allowed(o->recipe_out, m->s->common.force, err)) &&
           (!o->report || sink_allowed(o->report, m->s->common.force, err));
}

/* --force overwrites earlier outputs, never what this one is made from. */
static bool check_sources(const struct make *m, struct err *err)
{
    const struct make_options *o = m->o;
    const char *const in[] = {o->imatrix, o->calib, o->probe, o->check, o->flavour, o->sensitivity};
    const char *const out[] = {o->out, o->report, o->recipe_out};
    return source_guard_all(&m->source, in, sizeof in / sizeof in[0], out,
                            sizeof out / sizeof out[0], err);
}

static bool run(struct make *m, struct err *err)
{
    if (!check_outputs(m, err) || !make_calib_check(&m->calib, m->o, err) ||
        !make_allocate_check(m->o, err) || !checkpoint_open(&m->source, m->o->source, err) ||
        !check_sources(m, err) || !plan_open(&m->plan, &m->source, &m->o->plan, err) ||
        !choose(m, err) || !make_calib_open(&m->calib, m->o, &m->plan, m->s, err) ||
        !refine(m, err))
        return false;
    if (m->o->imatrix &&
        (!imatrix_open(&m->imatrix, m->o->imatrix, err) || !use_importance(m, err)))
        return false;
    if (!make_calib_use(&m->calib, &m->plan, m->item, &m->meta, m->s, err) ||
        !produce_size(&m->meta, m->item, m->plan.tensors, &m->bytes, err))
        return false;
    say_plan(m);
    struct make_report report = {.options = m->o,
                                 .plan = &m->plan,
                                 .choice = m->choice,
                                 .census = &m->census,
                                 .allocation = m->budget.report,
                                 .item = m->item,
                                 .method = make_calib_name(&m->calib),
                                 .result = m->result,
                                 .bytes = m->bytes};
    if (m->o->dry_run)
        return make_report_json(&report, m->s, err);
    return make_file(m, &report, err) && tell(m, &report, err);
}

bool make_run(const struct make_options *options, struct session *session, struct err *err)
{
    struct make m = {.o = options, .s = session};
    const bool ok = run(&m, err);
    free(m.choice);
    free(m.item);
    free(m.result);
    meta_close(&m.meta);
    imatrix_close(&m.imatrix);
    make_calib_close(&m.calib);
    json_decref(m.budget.report);
    plan_close(&m.plan);
    checkpoint_close(&m.source);
    return ok;
}
