#include "tools/command.h"

#include "calib/calibrate.h"
#include "tools/session.h"

#include <inttypes.h>

static void say_corpus(const struct corpus *c, const struct session *s)
{
    for (size_t i = 0; i < c->texts; i++) {
        const struct corpus_text *t = &c->text[i];
        session_say(s, "text:   %s: %zu tokens, %zu windows of %zu, %zu tokens left over\n",
                    t->path, t->tokens, t->windows, c->context,
                    t->tokens - t->windows * c->context);
        if (t->twin != i)
            session_say(s, "note:   %s has the same bytes as %s: it counts twice\n", t->path,
                        c->text[t->twin].path);
        if ((double)t->strange > CORPUS_STRANGE * (double)t->tokens)
            session_say(s,
                        "note:   %s: %zu of %zu tokens are unknown to the model or parts of "
                        "characters: is it in a language of the model?\n",
                        t->path, t->strange, t->tokens);
    }
    if (c->repeated)
        session_say(s, "note:   %zu of %zu windows were there before and count again\n",
                    c->repeated, c->windows);
}

static void say_plan(const struct calibrate *c, const struct session *s)
{
    const struct collect_needs n = collect_needs(&c->collect);
    char memory[TERM_TEXT], hessians[TERM_TEXT], disk[TERM_TEXT];
    session_say(s,
                "memory: %s beside the model, %s of it for sums of two inputs at a time; "
                "scratch files of up to %s\n",
                term_size(n.memory, memory), term_size(n.hessian, hessians),
                term_size(n.disk, disk));
}

static bool calibrate(const struct calibrate_options *o, struct session *s, struct err *err)
{
    struct calibrate c;
    struct collect_result r;
    if (!calibrate_open(&c, o, err))
        return false;
    say_corpus(&c.corpus, s);
    say_plan(&c, s);
    s->progress.base.unit = "tokens";
    const bool ok = calibrate_run(&c, &r, err);
    term_progress_clear(&s->progress);
    if (ok)
        session_say(s, "%s: %" PRIu64 " tokens; forward %.1f s, sums %.1f s, files %.1f s\n",
                    o->out, c.info.tokens, r.forward_seconds, r.sums_seconds, r.write_seconds);
    calibrate_close(&c);
    return ok;
}

static bool run_calibrate(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct calibrate_options o = {0};
    struct opt_list texts = {0};
    bool done;
    const struct opt table[] = {
        {"file", 'f', OPT_LIST, &texts, "TEXT", "a text to run the model over; may be given again"},
        {"output", 'o', OPT_TEXT, &o.out, "OUT.h5", "the file to write"},
        OPT_FORCE(&s.common),
        {"importance-only", 0, OPT_FLAG, &o.importance_only, NULL,
         "only the mean squares of columns, no Hessians: a small file"},
        {"context", 'c', OPT_COUNT, &o.corpus.context, "N", "tokens of a window (default: 512)"},
        {"chunks", 0, OPT_COUNT, &o.corpus.most, "N", "only the first N windows"},
        {"through", 0, OPT_TEXT, &o.through, "FILE.gguf",
         "the activations are those of this file, of the same model in other types"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    bool ok = command_parse(me, table, &s.common, &argc, argv, 1, 1, &done, err);
    if (ok && !done) {
        o.source = argv[0];
        o.corpus.path = texts.text;
        o.corpus.paths = texts.count;
        o.force = s.common.force;
        ok = (o.out || err_set(err, ERR_USAGE, "-o OUT.h5 is needed")) && session_open(&s, err);
        o.kernels = &s.kernels;
        o.pool = s.pool;
        o.progress = &s.progress.base;
        ok = ok && calibrate(&o, &s, err);
    }
    session_close(&s);
    opt_list_close(&texts);
    return ok;
}

const struct command cmd_calibrate = {
    .name = "calibrate",
    .usage = "SOURCE -f TEXT -o OUT.h5 [OPTION]...",
    .summary = "runs a model over texts and keeps what its linears were fed",
    .text = "",
    .run = run_calibrate,
};
