#include "tools/make_calib.h"

#include "calib/calibrate.h"
#include "calib/salient.h"
#include "core/cpu.h"
#include "core/mem.h"
#include "core/version.h"
#include "model/resume.h"
#include "tools/make_allocate.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SALIENT_COLUMNS 0.01 /* the part of the columns that is looked at */

static const char method_key[] = "quern.calibration.method";

static const char *const method_name[] = {
    [MAKE_RTN] = "rtn", [MAKE_GPTQ] = "gptq", [MAKE_AWQ] = "awq", [MAKE_AWQ_GPTQ] = "awq+gptq"};

static bool has_gptq(const struct make_calib *m)
{
    return m->method == MAKE_GPTQ || m->method == MAKE_AWQ_GPTQ;
}

static bool has_awq(const struct make_calib *m)
{
    return m->method == MAKE_AWQ || m->method == MAKE_AWQ_GPTQ;
}

static bool read_method(enum make_method *method, const char *name, struct err *err)
{
    for (size_t i = 0; i < sizeof method_name / sizeof method_name[0]; i++)
        if (strcmp(name, method_name[i]) == 0) {
            *method = (enum make_method)i;
            return true;
        }
    return err_set(err, ERR_USAGE, "no method '%s'; there are rtn, gptq, awq and awq+gptq", name);
}

bool make_calib_check(struct make_calib *m, const struct make_options *o, struct err *err)
{
    const char *quality = o->quality ? o->quality : "best";
    *m = (struct make_calib){.fast = strcmp(quality, "fast") == 0};
    if (!read_method(&m->method, o->method ? o->method : o->calib ? "awq+gptq" : "rtn", err))
        return false;
    if (!m->fast && strcmp(quality, "best") != 0)
        return err_set(err, ERR_USAGE, "no quality '%s'; there are fast and best", quality);
    if (m->method != MAKE_RTN && !o->calib)
        return err_set(err, ERR_USAGE,
                       "--method %s needs --calib: a file of `quern calibrate`, or a text",
                       method_name[m->method]);
    if (o->salient > 0.0 && !o->calib)
        return err_set(err, ERR_USAGE, "--salient needs --calib");
    if (o->calib && o->imatrix)
        return err_set(err, ERR_USAGE,
                       "--calib and --imatrix both have the importance: one of them is enough");
    if (o->sequential && o->calib && !has_gptq(m))
        return err_set(err, ERR_USAGE, "--sequential goes with --method gptq or awq+gptq, not %s",
                       method_name[m->method]);
    return make_sequential_check(&m->sequential, o, err);
}

/* Is the store that an earlier run left what this text gives? */
static bool is_of_text(const struct calib_store *store, const struct calibrate *c)
{
    return store->info.texts == 1 && store->info.tokens == c->info.tokens &&
           strcmp(store->info.text[0].sha256, c->info.text[0].sha256) == 0 &&
           strcmp(store->info.source, c->info.source) == 0;
}

static bool run_text(struct make_calib *m, const struct make_options *o, const struct session *s,
                     struct progress *progress, struct err *err)
{
    const struct calibrate_options options = {.source = o->source,
                                              .corpus = {.path = &o->calib, .paths = 1},
                                              .out = m->own,
                                              .force = true,
                                              .kernels = &s->kernels,
                                              .pool = s->pool,
                                              .progress = progress};
    struct calibrate c;
    struct collect_result r = {0};
    struct calib_store earlier;
    struct err none = {0};
    if (!calibrate_open(&c, &options, err))
        return false;
    bool ok = access(m->own, F_OK) == 0 && calib_store_open(&earlier, m->own, &none);
    if (ok) {
        ok = is_of_text(&earlier, &c);
        calib_store_close(&earlier);
    }
    session_say(s, "text:   %s: %" PRIu64 " tokens in %" PRIu64 " windows%s\n", o->calib,
                c.info.tokens, c.info.windows, ok ? ", calibrated by an earlier run" : "");
    progress->unit = "tokens";
    ok = ok || calibrate_run(&c, &r, err);
    progress->unit = NULL;
    calibrate_close(&c);
    return ok;
}

static bool make_store(struct make_calib *m, const struct make_options *o, const struct session *s,
                       struct err *err)
{
    const size_t room = strlen(o->out) + sizeof ".calib.h5";
    struct term_progress progress;
    if (!(m->own = malloc(room)))
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", o->out);
    snprintf(m->own, room, "%s.calib.h5", o->out);
    term_progress_open(&progress, s->common.quiet);
    const bool ok = run_text(m, o, s, &progress.base, err);
    term_progress_close(&progress);
    return ok;
}

/* Opens the file, or makes it of the text. */
static bool open_store(struct make_calib *m, const struct make_options *o, const struct plan *plan,
                       const struct session *s, struct err *err)
{
    const bool text = !calib_store_probe(o->calib);
    if (text && !o->out)
        return err_set(err, ERR_USAGE, "%s: a text is calibrated beside the output: -o is needed",
                       o->calib);
    if (text && m->sequential.wanted && !has_awq(m) && !make_allocate_wanted(o) &&
        !(o->salient > 0.0))
        return true; /* it is run through as the file is made */
    return (!text || make_store(m, o, s, err)) &&
           calib_store_open(&m->store, text ? m->own : o->calib, err) &&
           identity_check(&m->store, plan, &s->kernels, err);
}

bool make_calib_open(struct make_calib *m, const struct make_options *o, const struct plan *plan,
                     const struct session *s, struct err *err)
{
    const struct calib_store *store = &m->store;
    struct calibrated_options options = {.importance_only = !has_gptq(m),
                                         .gptq = {.fast = m->fast, .cpu = cpu_features()}};
    if (!o->calib)
        return true;
    if (!open_store(m, o, plan, s, err) || !make_sequential_open(&m->sequential, o, s, err))
        return false;
    if (m->method != MAKE_RTN && store->path && !store->info.hessians)
        return err_set(err, ERR_USAGE,
                       "%s: has importance alone; --method %s needs Hessians, --method rtn not",
                       o->calib, method_name[m->method]);
    options.folded = m->sequential.wanted;
    options.gradients = m->sequential.wanted && store->path ? store : NULL;
    return calibrated_open(&m->calibrated, store, &options, &s->kernels, s->pool, err);
}

/* Folds the plan: a norm's gains, or rows, take the factors that columns get. */
static bool fold(struct make_calib *m, struct plan *plan, const struct produce_item *item,
                 struct meta *meta, struct session *s, struct err *err)
{
    const struct awq_options options = {.kernels = &s->kernels,
                                        .pool = s->pool,
                                        .progress = &s->progress.base,
                                        .gptq = has_gptq(m)};
    const struct dtype **dtype = mem_alloc(plan->tensors, sizeof *dtype);
    if (!dtype)
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", plan->tensors);
    for (size_t i = 0; i < plan->tensors; i++)
        dtype[i] = item[i].dtype;
    s->progress.base.unit = "sites";
    const bool ok = awq_open(&m->awq, plan, &m->store, dtype, &options, err);
    term_progress_clear(&s->progress);
    s->progress.base.unit = NULL;
    free(dtype);
    if (!ok)
        return false;
    fold_write(&m->awq.fold, false, meta);
    session_say(
        s,
        "awq:    factors of %zu sites: loss %.4g, before %.4g; the folded model is the same "
        "function to %.1e\n",
        m->awq.fold.sites, m->awq.after, m->awq.before, m->awq.proof);
    return true;
}

bool make_calib_use(struct make_calib *m, struct plan *plan, struct produce_item *item,
                    struct meta *meta, struct session *s, struct err *err)
{
    size_t quantized = 0, found = 0, encoded = 0;
    const char *missing = NULL;
    if (m->store.path && has_awq(m) && !fold(m, plan, item, meta, s, err))
        return false;
    if (m->sequential.open) {
        calibrated_turn(&m->calibrated, NULL); /* stores come with the stages */
        const struct make_sequential_before before = {m->awq.memory, m->own != NULL};
        return make_sequential_use(&m->sequential, &m->calibrated, &before, item, plan->tensors, s,
                                   err);
    }
    if (!m->store.path)
        return true;
    for (size_t i = 0; i < plan->tensors; i++) {
        if (item[i].dtype->class != DTYPE_QUANTIZED)
            continue;
        quantized++;
        if (calibrated_use(&m->calibrated, &item[i]))
            found++;
        else if (!missing)
            missing = item[i].tensor->out.name;
        if (has_awq(m))
            awq_use(&m->awq, &item[i]);
        encoded += item[i].encoder != NULL;
    }
    session_say(s, "calib:  %s: %" PRIu64 " tokens cover %zu of %zu tensors%s%s%s\n", m->store.path,
                m->store.info.tokens, found, quantized, missing ? ", not '" : "",
                missing ? missing : "", missing ? "'" : "");
    session_say(s, "method: %s: %zu tensors by gptq, the others by plain search\n",
                make_calib_name(m), encoded);
    return true;
}

/* The raised types, where the tensor's own was the recipe's. */
static void take_raised(const struct plan *plan, const struct dtype *const *dtype,
                        struct recipe_choice *choice, const struct session *s)
{
    size_t raised = 0;
    for (size_t i = 0; i < plan->tensors; i++) {
        if (dtype[i] == choice[i].dtype ||
            (choice[i].reason != RECIPE_OWN && choice[i].reason != RECIPE_RULED))
            continue;
        choice[i] = (struct recipe_choice){dtype[i], dtype[i], RECIPE_ALLOCATED};
        raised++;
    }
    session_say(s, "salient: %zu tensors, whose few columns carry much, get the next type\n",
                raised);
}

bool make_calib_raise(const struct make_calib *m, const struct make_options *o,
                      const struct plan *plan, struct recipe_choice *choice,
                      const struct session *s, struct err *err)
{
    const struct salient_options options = {.columns = SALIENT_COLUMNS,
                                            .weights = o->salient / 100.0,
                                            .kernels = &s->kernels,
                                            .pool = s->pool};
    const struct dtype **dtype = mem_alloc(plan->tensors, sizeof *dtype);
    struct salient *salient = mem_alloc(plan->tensors, sizeof *salient);
    if (!dtype || !salient) {
        free(dtype);
        free(salient);
        return err_set(err, ERR_MEMORY, "no memory for %zu tensors", plan->tensors);
    }
    for (size_t i = 0; i < plan->tensors; i++)
        dtype[i] = choice[i].dtype;
    const bool ok = salient_raise(plan, &m->store, &options, dtype, salient, err);
    if (ok)
        take_raised(plan, dtype, choice, s);
    free(dtype);
    free(salient);
    return ok;
}

const char *make_calib_name(const struct make_calib *m)
{
    static const char *const name[][4] = {
        {"rtn", "gptq, best", "awq", "awq+gptq, best"},
        {"rtn", "gptq, fast", "awq", "awq+gptq, fast"},
        {"", "gptq, best, sequential", "", "awq+gptq, best, sequential"},
        {"", "gptq, fast, sequential", "", "awq+gptq, fast, sequential"},
    };
    return name[2 * m->sequential.wanted + m->fast][m->method];
}

bool make_calib_keys(const struct make_calib *m, struct plan *plan, struct meta *meta,
                     struct err *err)
{
    static const char *const old[] = {method_key, "quern.calibration.text",
                                      "quern.calibration.text_sha256", "quern.calibration.tokens"};
    for (size_t i = 0; i < sizeof old / sizeof old[0]; i++)
        meta_remove(meta, old[i]);
    if (!m->store.path && !m->sequential.open)
        return true;
    const struct calib_info *info =
        m->sequential.open ? &m->sequential.calibrate.info : &m->store.info;
    meta_set_text(meta, method_key, make_calib_name(m));
    if (info->texts > 0) {
        meta_set_text(meta, "quern.calibration.text", info->text[0].name);
        meta_set_text(meta, "quern.calibration.text_sha256", info->text[0].sha256);
    }
    meta_set_u32(meta, "quern.calibration.tokens",
                 info->tokens < UINT32_MAX ? (uint32_t)info->tokens : UINT32_MAX);
    if (!has_awq(m))
        return true;
    struct fold fold;
    const bool ok = fold_open(&fold, plan, err);
    if (ok)
        fold_write(&fold, true, meta);
    fold_close(&fold);
    return ok;
}

bool make_calib_key(const struct make_calib *m, const struct make_options *o,
                    const struct checkpoint *source, const struct meta *meta,
                    const struct produce_item *item, size_t items, const struct session *s,
                    char key[HASH_TEXT], struct err *err)
{
    char about[HASH_TEXT], calib[HASH_TEXT] = "";
    struct hash h;
    size_t done;
    key[0] = '\0';
    if (!has_gptq(m))
        return true;
    if (m->store.path && !identity_file(m->store.path, calib, err))
        return false;
    identity_source(source, about);
    hash_init(&h);
    hash_add_text(&h, about, strlen(about));
    hash_add_text(&h, QUERN_VERSION, strlen(QUERN_VERSION));
    hash_add_text(&h, make_calib_name(m), strlen(make_calib_name(m)));
    hash_add_u64(&h, o->allow_nan);
    hash_add_text(&h, calib, strlen(calib));
    make_sequential_hash(&m->sequential, &h);
    hash_text(&h, about);
    if (!produce_key(meta, item, items, about, key, err))
        return false;
    const enum resume_state state = resume_look(o->out, key, &done);
    if (state == RESUME_SAME)
        session_say(s, "resume: %zu of %zu tensors are there from an earlier run\n", done, items);
    else if (state == RESUME_OTHER)
        session_say(s, "resume: what an earlier run left is of other options or another source, "
                       "and is done anew\n");
    return true;
}

bool make_calib_run(struct make_calib *m, const char *path, const struct meta *meta,
                    const struct produce_item *item, size_t items,
                    const struct produce_options *options, struct produce_result *result,
                    struct err *err)
{
    if (m->sequential.open)
        return make_sequential_run(&m->sequential, path, meta, options, result, err);
    return produce_gguf(path, meta, item, items, options, result, err);
}

void make_calib_made(struct make_calib *m)
{
    awq_close(&m->awq);
    if (m->own)
        unlink(m->own);
}

void make_calib_close(struct make_calib *m)
{
    awq_close(&m->awq);
    make_sequential_close(&m->sequential);
    calibrated_close(&m->calibrated);
    calib_store_close(&m->store);
    free(m->own);
    *m = (struct make_calib){0};
}
