#include "tools/command.h"

#include "eval/speed.h"
#include "tools/bench_codecs.h"
#include "tools/report.h"
#include "tools/session.h"
#include "tools/table.h"

#include <inttypes.h>

struct bench_options {
    const char *model, *cache;
    bool no_repack; /* leave the weights as the file has them */
};

/* Prompts, then generation at several contexts, then of several sequences at once. */
static const struct speed_pass passes[] = {
    {.sequences = 1, .tokens = 32},
    {.sequences = 1, .tokens = 128},
    {.sequences = 1, .tokens = 512},
    {.sequences = 1, .tokens = 512, .context = 1024},
    {.sequences = 1, .tokens = 1, .context = 16},
    {.sequences = 1, .tokens = 1, .context = 512},
    {.sequences = 1, .tokens = 1, .context = 2048},
    {.sequences = 4, .tokens = 1, .context = 512},
    {.sequences = 16, .tokens = 1, .context = 512},
};
enum { PASSES = sizeof passes / sizeof passes[0] };

static const char *work_of(const struct speed_pass *p)
{
    return p->tokens > 1 ? "prompt" : "generation";
}

static double rate_of(const struct speed_pass *p)
{
    return (double)(p->sequences * p->tokens) / p->seconds;
}

/* Of what the machine can do, per cent. */
static double read_share(const struct speed_pass *p)
{
    return 100.0 * p->bytes / p->seconds / p->read;
}

static double multiply_share(const struct speed_pass *p, const struct speed_machine *m)
{
    return 100.0 * p->operations / p->seconds / m->multiply;
}

static bool print_table(const struct speed_pass *p, const struct speed_machine *m, struct err *err)
{
    static const struct table_column column[] = {
        {.title = "work"},
        {.title = "sequences", .right = true},
        {.title = "tokens", .right = true},
        {.title = "context", .right = true},
        {.title = "tokens/s", .right = true},
        {.title = "reading %", .right = true},
        {.title = "multiplying %", .right = true, .dropped = 1},
    };
    struct table t = {0};
    table_open(&t, column, sizeof column / sizeof column[0]);
    for (size_t i = 0; i < PASSES; i++) {
        table_row(&t);
        table_cell(&t, "%s", work_of(&p[i]));
        table_cell(&t, "%zu", p[i].sequences);
        table_cell(&t, "%zu", p[i].tokens);
        table_cell(&t, "%zu", p[i].context);
        table_cell(&t, "%.1f", rate_of(&p[i]));
        table_cell(&t, "%.0f", read_share(&p[i]));
        table_cell(&t, "%.0f", multiply_share(&p[i], m));
    }
    printf("this machine reads %.1f GB/s and multiplies %.1f GFLOP/s in f32\n\n", m->read * 1e-9,
           m->multiply * 1e-9);
    const bool ok = table_print(&t, stdout, err);
    table_close(&t);
    return ok;
}

static bool print_json(const struct bench_options *o, const struct session *s,
                       const struct speed_pass *p, const struct speed_machine *m, struct err *err)
{
    json_t *root = json_object(), *list = json_array();
    json_object_set_new(root, "file", json_string(o->model));
    json_object_set_new(root, "cache", json_string(o->cache));
    json_object_set_new(root, "kernels",
                        json_string(s->kernels.dot ? s->kernels.dot->name : "exact f32"));
    json_object_set_new(root, "threads", json_integer(pool_threads(s->pool)));
    json_object_set_new(root, "read_bytes_per_second", json_real(m->read));
    json_object_set_new(root, "multiply_flops", json_real(m->multiply));
    json_object_set_new(root, "passes", list);
    for (size_t i = 0; i < PASSES; i++, p++) {
        json_t *pass = json_object();
        json_object_set_new(pass, "work", json_string(work_of(p)));
        json_object_set_new(pass, "sequences", json_integer((json_int_t)p->sequences));
        json_object_set_new(pass, "tokens", json_integer((json_int_t)p->tokens));
        json_object_set_new(pass, "context", json_integer((json_int_t)p->context));
        json_object_set_new(pass, "tokens_per_second", json_real(rate_of(p)));
        json_object_set_new(pass, "bytes", json_real(p->bytes));
        json_object_set_new(pass, "read_bytes_per_second", json_real(p->read));
        json_object_set_new(pass, "read_percent", json_real(read_share(p)));
        json_object_set_new(pass, "multiply_percent", json_real(multiply_share(p, m)));
        json_array_append_new(list, pass);
    }
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

static bool measure(const struct bench_options *o, const struct weights *w, struct session *s,
                    struct err *err)
{
    const struct dtype *cache = dtype_find(o->cache);
    struct speed_pass done[PASSES];
    struct speed_machine machine = {0};
    struct forward f = {0};
    if (!cache)
        return err_set(err, ERR_USAGE, "--cache-type: no type is called '%s'", o->cache);
    session_say(s, "%s; %s, cache in %s, %s\n", w->arch->name,
                s->kernels.dot ? s->kernels.dot->name : "exact f32", cache->name, s->threads);
    bool ok = speed_machine_open(&machine, s->pool, err) &&
              forward_open(&f, w, &s->kernels, s->pool, err);
    s->progress.base.unit = "passes";
    s->progress.base.total = PASSES;
    for (size_t i = 0; ok && i < PASSES; i++) {
        done[i] = passes[i];
        ok = speed_of_pass(&done[i], &machine, &f, cache->id, err);
        progress_step(&s->progress.base, work_of(&done[i]), 1);
    }
    term_progress_clear(&s->progress);
    forward_close(&f);
    speed_machine_close(&machine);
    return ok && (s->common.json ? print_json(o, s, done, &machine, err)
                                 : print_table(done, &machine, err));
}

static bool bench(const struct bench_options *o, struct session *s, struct err *err)
{
    struct checkpoint c = {0};
    struct weights w = {0};
    bool ok = checkpoint_open(&c, o->model, err);
    if (ok && !weights_open(&w, &c, &s->kernels, err))
        ok = err_wrap(err, "%s", o->model);
    if (ok && s->kernels.dot && !o->no_repack)
        ok = weights_lay_out(&w, s->kernels.dot, s->pool, err);
    ok = ok && measure(o, &w, s, err);
    weights_close(&w);
    checkpoint_close(&c);
    return ok;
}

static bool run_bench(const struct command *me, int argc, char **argv, struct err *err)
{
    struct session s = {0};
    struct bench_options o = {0};
    bool done, exact = false, codecs = false;
    const struct opt table[] = {
        {"codecs", 0, OPT_FLAG, &codecs, NULL,
         "no model: how fast each type, or those named, is encoded and decoded"},
        {"cache-type", 0, OPT_TEXT, &o.cache, "TYPE",
         "type of the cached keys and values: F16 (default), F32, Q8_0"},
        {"exact", 0, OPT_FLAG, &exact, NULL,
         "multiply in f32 with the decoded weights, instead of with activations in 8 bits: slow"},
        {"no-repack", 0, OPT_FLAG, &o.no_repack, NULL,
         "leave the weights as the file has them, not laid out in memory: slower"},
        OPT_COMMON(&s.common),
        OPT_END,
    };
    if (!command_parse(me, table, &s.common, &argc, argv, 0, DTYPE_COUNT, &done, err) || done)
        return done;
    if (!codecs && !command_count(me, argc, argv, 1, 1, err))
        return false;
    if (codecs && (exact || o.cache || o.no_repack))
        return err_set(err, ERR_USAGE, "--codecs: no model runs, --%s says nothing",
                       exact     ? "exact"
                       : o.cache ? "cache-type"
                                 : "no-repack");
    o.model = argv[0];
    o.cache = o.cache ? o.cache : "F16";
    bool ok = session_open(&s, err);
    if (exact)
        s.kernels.dot = NULL;
    ok = ok && (codecs ? bench_codecs(&s, argv, (size_t)argc, err) : bench(&o, &s, err));
    session_close(&s);
    return ok;
}

const struct command cmd_bench = {
    .name = "bench",
    .usage = "MODEL.gguf | --codecs [TYPE]... [OPTION]...",
    .summary = "how fast a model runs, beside what this machine can do",
    .text = "Measures prompts and generation at several sizes, one sequence and several at once, "
            "and in the same run how fast this machine reads memory and multiplies in f32. "
            "Generation reads all weights and the cache for every token: it cannot be faster than "
            "reading. Prompts of quantized weights can be faster than multiplying in f32.\n\n"
            "With --codecs instead how fast weights in memory are encoded to each type and decoded "
            "again.\n\n"
            "  quern bench model-Q4_K_M.gguf\n"
            "  quern bench model-Q4_K_M.gguf -t 4 --json\n"
            "  quern bench --codecs Q4_K Q6_K\n",
    .run = run_bench,
};
