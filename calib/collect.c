#include "calib/collect.h"

#include "calib/gradients.h"
#include "calib/pass.h"
#include "core/clock.h"

#include <string.h>

struct collect {
    const struct collect_options *o;
    struct collect_result *result;
    struct parts parts;
    struct calib_writer writer;
    struct pass_options options;
    struct pass pass;
};

/* Halves, and behind them their gradients: each leaves a part. */
static size_t stages_of(const struct collect_options *o)
{
    return pass_halves(o->weights) + (o->gradients ? gradients_halves(o->weights) : 0);
}

static struct pass_options pass_of(const struct collect_options *o)
{
    return (struct pass_options){o->weights, o->corpus,   o->info->hessians, o->kernels,
                                 o->pool,    o->progress, o->unfolded};
}

static struct gradients_options gradients_of(const struct collect_options *o)
{
    return (struct gradients_options){
        .weights = o->weights,
        .corpus = o->corpus,
        .windows = o->gradients,
        .kernels = o->kernels,
        .pool = o->pool,
        .progress = o->progress,
        .unfolded = o->unfolded,
    };
}

struct collect_needs collect_needs(const struct collect_options *o)
{
    const struct pass_options pass = pass_of(o);
    struct collect_needs n = {.disk = pass_disk(&pass)};
    for (size_t half = 0; half < pass_halves(o->weights); half++) {
        struct pass_input input[PASS_INPUTS];
        const size_t inputs = pass_inputs(o->weights, half, input);
        uint64_t bytes = 0;
        for (size_t i = 0; i < inputs; i++) {
            size_t values = 0;
            calib_triangle(pass_cols(&input[i]), &values);
            bytes += moments_bytes(pass_cols(&input[i]), pass.hessians, pool_threads(o->pool));
            n.disk += pass.hessians ? 2 * values * sizeof(float) : 0; /* parts, and the file */
        }
        n.hessian = bytes > n.hessian ? bytes : n.hessian;
    }
    n.memory = n.hessian + pass_memory(&pass);
    if (o->gradients) {
        const struct gradients_options g = gradients_of(o);
        const uint64_t bytes = gradients_memory(&g) + 2 * pass_memory(&pass); /* its own, too */
        n.memory = bytes > n.memory ? bytes : n.memory;
        n.disk += gradients_disk(&g) + 2 * gradients_bytes(o->weights);
    }
    n.memory += pass_program(&pass);
    return n;
}

/* Of all that the result depends on. */
static void make_key(const struct collect_options *o, char key[HASH_TEXT])
{
    const struct calib_info *i = o->info;
    const struct corpus *corpus = o->corpus;
    const char *const text[] = {i->quern, i->model, i->source, i->through, i->vocabulary};
    struct hash h;
    hash_init(&h);
    for (size_t t = 0; t < sizeof text / sizeof text[0]; t++)
        hash_add_text(&h, text[t], strlen(text[t]));
    hash_add_u64(&h, i->hessians);
    hash_add_u64(&h, o->gradients);
    hash_add_u64(&h, corpus->context);
    hash_add(&h, corpus->token, corpus->windows * corpus->context * sizeof *corpus->token);
    hash_text(&h, key);
}

/* How many halves an earlier run of the same work has left, in front of the first that is not. */
static size_t find_halves(const struct collect *c)
{
    const size_t halves = pass_halves(c->o->weights);
    size_t found = 0;
    while (found < halves && parts_have(&c->parts, found))
        found++;
    return found == halves || stream_file_whole(&c->pass.stream[found % 2]) ? found : 0;
}

static bool run_half(struct collect *c, size_t half, struct err *err)
{
    const bool last = half + 1 == pass_halves(c->o->weights);
    const struct pass_step step = {half, half, last ? half : half + 1, {true, true}};
    return pass_part(&c->pass, &step, &c->parts, half, err);
}

/* How many halves are left to go back through. */
static size_t find_gradients(const struct collect *c)
{
    size_t left = gradients_halves(c->o->weights);
    while (left > 0 && parts_have(&c->parts, pass_halves(c->o->weights) + left - 1))
        left--;
    return left;
}

static bool run_back(struct collect *c, struct gradients *g, struct err *err)
{
    const size_t first = pass_halves(c->o->weights), halves = gradients_halves(c->o->weights);
    size_t left = find_gradients(c);
    bool ok = true;
    if (left == halves || (left > 0 && !gradients_resume(g, left))) {
        ok = gradients_start(g, err);
        left = halves;
    }
    while (ok && left-- > 0) {
        struct calib_writer w = {0};
        ok = parts_write(&c->parts, first + left, &w, err) && gradients_half(g, left, &w, err) &&
             calib_writer_commit(&w, err);
        calib_writer_close(&w);
    }
    return ok;
}

static bool run_gradients(struct collect *c, struct err *err)
{
    const struct gradients_options o = gradients_of(c->o);
    const double start = clock_seconds();
    struct gradients g;
    if (o.windows == 0)
        return true;
    const bool ok = gradients_open(&g, &o, c->parts.folder, err) && run_back(c, &g, err);
    gradients_close(&g, !ok && err->code != ERR_NUMERIC);
    c->result->gradients_seconds = clock_seconds() - start;
    return ok;
}

/* All parts into the file. */
static bool gather(struct collect *c, struct err *err)
{
    const double start = clock_seconds();
    bool ok = true;
    for (size_t stage = 0; ok && stage < stages_of(c->o); stage++) {
        struct calib_store part;
        ok = parts_read(&c->parts, stage, &part, err);
        for (size_t g = 0; ok && g < part.groups; g++)
            ok = calib_writer_copy(&c->writer, &part, &part.group[g], err);
        for (size_t g = 0; ok && g < part.gradients; g++)
            ok = calib_writer_copy(&c->writer, &part, &part.gradient[g], err);
        calib_store_close(&part);
    }
    ok = ok && calib_writer_commit(&c->writer, err);
    c->result->write_seconds += clock_seconds() - start;
    return ok;
}

static bool run_all(struct collect *c, struct err *err)
{
    struct progress *p = c->o->progress;
    const uint64_t tokens = (uint64_t)c->o->corpus->windows * c->o->corpus->context;
    const size_t halves = pass_halves(c->o->weights), found = find_halves(c);
    c->result->halves = halves;
    c->result->found = found;
    if (p) {
        const struct gradients_options g = gradients_of(c->o);
        p->done = tokens * found;
        p->total = tokens * halves + (c->o->gradients ? gradients_work(&g) : 0);
    }
    for (size_t half = found; half < halves; half++)
        if (!run_half(c, half, err))
            return false;
    c->result->forward_seconds = c->pass.forward_seconds;
    c->result->sums_seconds = c->pass.sums_seconds;
    c->result->write_seconds = c->pass.write_seconds;
    return run_gradients(c, err) && gather(c, err);
}

bool collect_run(const struct collect_options *o, struct collect_result *result, struct err *err)
{
    struct collect c = {.o = o, .result = result, .options = pass_of(o)};
    char key[HASH_TEXT];
    *result = (struct collect_result){0};
    make_key(o, key);
    bool ok = calib_writer_open(&c.writer, o->path, o->force, o->info, err) &&
              parts_open(&c.parts, o->path, key, o->info->hessians, err) &&
              pass_open(&c.pass, &c.options, c.parts.folder, err) && run_all(&c, err);
    const bool keep = !ok && err->code != ERR_NUMERIC;
    if (!ok && err->code == ERR_STOPPED)
        err_set(err, ERR_STOPPED, "stopped; the same command goes on with what is in %s.work",
                o->path);
    pass_close(&c.pass, keep);
    parts_close(&c.parts, keep);
    calib_writer_close(&c.writer);
    return ok;
}
