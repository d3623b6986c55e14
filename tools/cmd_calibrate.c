#include "tools/command.h"

#include "calib/calibrate.h"
#include "calib/gradients.h"
#include "calib/store_imatrix.h"
#include "calib/store_merge.h"
#include "core/mem.h"
#include "formats/source_guard.h"
#include "tools/calib_report.h"
#include "tools/session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct calibrate_command {
    struct calibrate_options o;
    const char *out, *imatrix; /* as asked for; o.out: the calib.h5 */
    bool merge, gradients;
    char *temporary; /* o.out, where `out` is an imatrix: owned */
    struct session *s;
};

static bool is_imatrix(const char *path)
{
    const char *dot = strrchr(path, '.');
    return dot && (strcmp(dot, ".gguf") == 0 || strcmp(dot, ".dat") == 0);
}

static void say_corpus(const struct corpus *c, const struct session *s)
{
    for (size_t i = 0; i < c->texts; i++) {
        const struct corpus_text *t = &c->text[i];
        session_say(s, "text:   %s: %zu tokens; %zu windows of %zu, %zu tokens not used\n", t->path,
                    t->tokens, t->windows, c->context, t->tokens - t->windows * c->context);
        if (t->twin != i)
            session_say(s, "note:   %s has the same bytes as %s: it counts twice\n", t->path,
                        c->text[t->twin].path);
        if ((double)t->strange > CORPUS_STRANGE * (double)t->tokens)
            session_say(s,
                        "note:   %s: %zu of %zu tokens are unknown to the model or parts of "
                        "characters; is it in a language of the model?\n",
                        t->path, t->strange, t->tokens);
    }
    if (c->repeated)
        session_say(s, "note:   %zu of %zu windows were there before, and count again\n",
                    c->repeated, c->windows);
}

/* The paragraph before the work. */
static void say_plan(const struct calibrate_command *me, const struct calibrate *c)
{
    const struct session *s = me->s;
    const struct collect_needs n = collect_needs(&c->collect);
    const struct source *runs = me->o.through ? &c->through : &c->source;
    char memory[TERM_TEXT], sums[TERM_TEXT], disk[TERM_TEXT];
    session_say(s, "source: %s (%s, %s), %" PRIu64 " layers%s%s\n", me->o.source,
                c->source.given.container->name, c->info.architecture, runs->weights.hparams.layers,
                me->o.through ? "; activations through " : "", me->o.through ? me->o.through : "");
    say_corpus(&c->corpus, s);
    session_say(s, "output: %s: %s\n", me->out,
                me->o.importance_only ? "mean squares of columns" : "Hessians and mean squares");
    if (c->collect.gradients)
        session_say(s, "        and gradients of %zu windows: what errors of outputs cost\n",
                    c->collect.gradients);
    session_say(s,
                "memory: %s beside the model, %s of it for the sums of two inputs; scratch "
                "files of up to %s in %s.work\n",
                term_size(n.memory, memory), term_size(n.hessian, sums), term_size(n.disk, disk),
                me->o.out);
    session_say(s, "with:   %s, %s products\n", s->threads,
                c->kernels.dot ? c->kernels.dot->name : "exact f32");
}

static void say_result(const struct session *s, const struct calibrate *c,
                       const struct collect_result *r)
{
    char forward[TERM_TEXT], sums[TERM_TEXT], files[TERM_TEXT];
    if (r->found)
        session_say(s, "found:  %zu of %zu half layers were done by an earlier run\n", r->found,
                    r->halves);
    if (r->gradients_seconds > 0)
        session_say(s, "done:   gradients %s\n", term_duration(r->gradients_seconds, forward));
    session_say(s, "done:   %" PRIu64 " tokens; forward pass %s, sums %s, files %s\n",
                c->info.tokens, term_duration(r->forward_seconds, forward),
                term_duration(r->sums_seconds, sums), term_duration(r->write_seconds, files));
}

/* What is made of the calib.h5: imatrix files, and the table. */
static bool finish(const struct calibrate_command *me, struct err *err)
{
    const struct opt_common *common = &me->s->common;
    struct calib_store store;
    bool ok = calib_store_open(&store, me->o.out, err);
    if (ok && me->temporary)
        ok = store_write_imatrix(&store, me->out, common->force, err);
    if (ok && me->imatrix)
        ok = store_write_imatrix(&store, me->imatrix, common->force, err);
    if (ok)
        store.path = me->out; /* the one that stays */
    ok = ok && (common->quiet || calib_report_print(&store, common->json, err));
    calib_store_close(&store);
    if (me->temporary)
        unlink(me->temporary);
    return ok;
}

static bool collect(const struct calibrate_command *me, struct err *err)
{
    struct calibrate c;
    struct collect_result r;
    if (!calibrate_open(&c, &me->o, err))
        return false;
    const char *const out[] = {me->out, me->imatrix};
    bool ok = source_guard_all(&c.source.given, &me->o.through, 1, out, 2, err) &&
              source_guard_all(&c.source.given, me->o.corpus.path, me->o.corpus.paths, out, 2, err);
    if (ok) {
        say_plan(me, &c);
        me->s->progress.base.unit = "tokens";
        ok = calibrate_run(&c, &r, err);
        term_progress_clear(&me->s->progress);
    }
    if (ok)
        say_result(me->s, &c, &r);
    calibrate_close(&c);
    return ok && finish(me, err);
}

static bool open_store(struct calib_store *store, const struct calibrate_command *me,
                       const char *path, struct err *err)
{
    size_t assumed = 0;
    if (!source_guard_file(path, me->out, err) ||
        (me->imatrix && !source_guard_file(path, me->imatrix, err)))
        return false;
    if (!is_imatrix(path))
        return calib_store_open(store, path, err);
    if (!store_from_imatrix(store, path, &assumed, err))
        return false;
    if (assumed)
        session_say(me->s, "note:   %s does not say how many tokens a chunk has: %zu are assumed\n",
                    path, assumed);
    return true;
}

static bool merge(const struct calibrate_command *me, char **path, size_t paths, struct err *err)
{
    struct calib_store *store = mem_alloc(paths, sizeof *store);
    bool ok = store != NULL;
    if (!ok)
        err_set(err, ERR_MEMORY, "no memory for %zu files", paths);
    for (size_t i = 0; ok && i < paths; i++) {
        ok = open_store(&store[i], me, path[i], err);
        if (ok)
            session_say(me->s, "source: %s: %" PRIu64 " tokens, %s\n", path[i],
                        store[i].info.tokens,
                        store[i].info.hessians ? "Hessians" : "importance alone");
    }
    ok = ok && store_merge(store, paths, me->o.importance_only, me->o.out, me->o.force, err);
    for (size_t i = 0; store && i < paths; i++)
        calib_store_close(&store[i]);
    free(store);
    return ok && finish(me, err);
}

/* What can be refused before anything is read; and where the calib.h5 goes. */
static bool prepare(struct calibrate_command *me, struct err *err)
{
    const size_t room = strlen(me->out ? me->out : "") + sizeof ".calib.h5";
    if (!me->out)
        return err_set(err, ERR_USAGE, "-o OUT.h5 is needed");
    if (me->merge && (me->o.corpus.paths || me->o.through))
        return err_set(err, ERR_USAGE, "--merge takes files of calibration: no -f, no --through");
    if (me->gradients && me->o.importance_only)
        return err_set(err, ERR_USAGE, "--gradients goes with Hessians, not --importance-only");
    if (me->gradients && me->o.gradients == 0)
        me->o.gradients = GRADIENTS_WINDOWS;
    if (!me->merge && me->o.corpus.paths == 0)
        return err_set(err, ERR_USAGE, "a text is needed: -f TEXT");
    if (!sink_allowed(me->out, me->o.force, err) ||
        (me->imatrix && !sink_allowed(me->imatrix, me->o.force, err)))
        return false;
    me->o.out = me->out;
    if (!is_imatrix(me->out))
        return true;
    me->o.importance_only = me->o.force = true; /* of a file of our own */
    me->temporary = malloc(room);
    if (!me->temporary)
        return err_set(err, ERR_MEMORY, "no memory for a name");
    snprintf(me->temporary, room, "%s.calib.h5", me->out);
    me->o.out = me->temporary;
    return true;
}

static bool run_calibrate(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct calibrate_command c = {.s = &s};
    struct opt_list texts = {0};
    bool done;
    const struct opt table[] = {
        {"file", 'f', OPT_LIST, &texts, "TEXT", "a text to run the model over; may be given again"},
        {"output", 'o', OPT_TEXT, &c.out, "OUT.h5",
         "the file to write; where it ends with .gguf or .dat, llama.cpp's importance matrix"},
        {"imatrix", 0, OPT_TEXT, &c.imatrix, "FILE", "write an importance matrix, too"},
        OPT_FORCE(&s.common),
        {"importance-only", 0, OPT_FLAG, &c.o.importance_only, NULL,
         "only the mean squares of columns, no Hessians: a small file"},
        {"gradients", 0, OPT_FLAG, &c.gradients, NULL,
         "also go back through windows and keep what an error of each output costs the "
         "predictions: "
         "GPTQ is better with it"},
        {"gradient-chunks", 0, OPT_COUNT, &c.o.gradients, "N",
         "of how many windows (default: 96, evenly apart)"},
        {"context", 'c', OPT_COUNT, &c.o.corpus.context, "N", "tokens of a window (default: 512)"},
        {"chunks", 0, OPT_COUNT, &c.o.corpus.most, "N", "only the first N windows"},
        {"through", 0, OPT_TEXT, &c.o.through, "FILE.gguf",
         "gather what this file, of the same model in other types, makes of the texts"},
        {"merge", 0, OPT_FLAG, &c.merge, NULL,
         "the arguments are files of calibration, or importance matrices, of one model: merge "
         "them"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    bool ok = command_parse(me, table, &s.common, &argc, argv, 1, 1000, &done, err);
    if (ok && !done) {
        c.o.source = argv[0];
        c.o.corpus.path = texts.text;
        c.o.corpus.paths = texts.count;
        c.o.force = s.common.force;
        ok = (c.merge || command_count(me, argc, argv, 1, 1, err)) && prepare(&c, err) &&
             session_open(&s, err);
        c.o.kernels = &s.kernels;
        c.o.pool = s.pool;
        c.o.progress = &s.progress.base;
        ok = ok && (c.merge ? merge(&c, argv, (size_t)argc, err) : collect(&c, err));
    }
    session_close(&s);
    opt_list_close(&texts);
    free(c.temporary);
    return ok;
}

const struct command cmd_calibrate = {
    .name = "calibrate",
    .usage = "SOURCE -f TEXT -o OUT.h5 [OPTION]...",
    .summary = "runs a model over texts and keeps what its linears were fed",
    .text =
        "SOURCE is a model folder, a safetensors file, or a GGUF. For every input of linears the "
        "file "
        "holds the tokens seen, the mean square of each column, and the Hessian: the mean of x x'. "
        "It is an HDF5 file, made once and used by many quantizations.\n\n"
        "The model runs half a layer at a time, so that no more than two Hessians are in memory; a "
        "run that was stopped goes on where it was when it is started again.\n\n"
        "With --merge the arguments are such files, or importance matrices of llama.cpp, and the "
        "output is what they say together, weighted by their tokens. One file becomes another kind "
        "that way, too.\n\n"
        "  quern calibrate model-F16.gguf -f text.txt -o calib.h5\n"
        "  quern calibrate path/to/model-folder -f text.txt -o imatrix.gguf\n"
        "  quern calibrate --merge a.h5 b.h5 -o both.h5\n",
    .run = run_calibrate,
};
