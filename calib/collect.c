#include "calib/collect.h"

#include "calib/gradients.h"
#include "calib/moments.h"
#include "calib/stream_file.h"
#include "core/clock.h"
#include "core/mem.h"
#include "core/stop.h"
#include "model/forward.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* PASSES: what a window back and forth costs, in forward passes. */
enum { INPUTS = 2, LINEARS = 3, NAME = 64, PASSES = 4 };

/* One input of a half, and the linears that it goes to. */
struct input {
    char name[NAME];
    const struct tensor *linear[LINEARS];
    size_t linears;
    struct moments moments;
};

struct collect {
    const struct collect_options *o;
    struct collect_result *result;
    char key[HASH_TEXT]; /* of all that the result depends on: parts of the same run have it */
    const char *folder;
    struct calib_writer writer;
    struct stream_file stream;
    struct forward forward;
    struct kv_cache cache;
    float *x, *states; /* a window, and a piece of it as it leaves the model */
    struct input input[INPUTS];
    size_t inputs;
    struct err *err; /* of the probe */
    bool failed;
};

static size_t embd_of(const struct collect_options *o) { return (size_t)o->weights->hparams.embd; }

/* Attention and feed-forward of each layer, and the output. */
static size_t halves_of(const struct collect_options *o)
{
    return 2 * (size_t)o->weights->hparams.layers + 1;
}

/* Halves, and the gradients behind them: each leaves a part. */
static size_t stages_of(const struct collect_options *o)
{
    return halves_of(o) + (o->gradients > 0);
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
        .step = PASSES * halves_of(o) * o->corpus->context,
    };
}

static struct input describe(const char *name, size_t layer, const struct linear *a,
                             const struct linear *b, const struct linear *c)
{
    const struct linear *const linear[LINEARS] = {a, b, c};
    struct input in = {.linears = 0};
    if (strchr(name, '%'))
        snprintf(in.name, sizeof in.name, "blk.%zu.%s", layer, name + 1);
    else
        snprintf(in.name, sizeof in.name, "%s", name);
    for (size_t i = 0; i < LINEARS; i++)
        if (linear[i] && linear[i]->weight)
            in.linear[in.linears++] = linear[i]->weight;
    return in;
}

static_assert(FORWARD_ATTN_IN % 2 == 0 && FORWARD_ATTN_OUT % 2 == 1 && FORWARD_FFN_IN % 2 == 0 &&
                  FORWARD_FFN_MID % 2 == 1,
              "the first input of a half is even, the second odd");

/* The inputs of a half, in the order in which they come. */
static size_t describe_half(const struct weights *w, size_t half, struct input input[INPUTS])
{
    const size_t layer = half / 2;
    if (layer == w->hparams.layers) {
        input[0] = describe("output_in", 0, &w->output, NULL, NULL);
        return 1;
    }
    const struct weights_layer *l = &w->layer[layer];
    if (half % 2 == 0) {
        input[0] = describe("%attn_in", layer, &l->q, &l->k, &l->v);
        input[1] = describe("%attn_out", layer, &l->o, NULL, NULL);
    } else {
        input[0] = describe("%ffn_in", layer, &l->gate, &l->up, NULL);
        input[1] = describe("%ffn_mid", layer, &l->down, NULL, NULL);
    }
    return 2;
}

static size_t cols_of(const struct input *in) { return (size_t)tensor_cols(in->linear[0]); }

/* Bytes that BLAS, HDF5 and the program itself take, and the tiles of a thread. */
enum { LIBRARIES = 24 << 20, THREAD = 4 << 20 };

struct collect_needs collect_needs(const struct collect_options *o)
{
    const struct hparams *h = &o->weights->hparams;
    const uint64_t heads = h->heads * (h->head_dim + h->value_dim),
                   kept = h->kv_heads * (h->head_dim + h->value_dim);
    const uint64_t context = o->corpus->context, piece = FORWARD_PIECE;
    struct collect_needs n = {.disk = 2 * o->corpus->windows * context * h->embd * sizeof(float)};
    for (size_t half = 0; half < halves_of(o); half++) {
        struct input input[INPUTS];
        const size_t inputs = describe_half(o->weights, half, input);
        uint64_t bytes = 0;
        for (size_t i = 0; i < inputs; i++) {
            size_t values = 0;
            calib_triangle(cols_of(&input[i]), &values);
            bytes += moments_bytes(cols_of(&input[i]), o->info->hessians, pool_threads(o->pool));
            n.disk += o->info->hessians ? 2 * values * sizeof(float) : 0; /* parts, and the file */
        }
        n.hessian = bytes > n.hessian ? bytes : n.hessian;
    }
    const uint64_t token = 3 * h->embd + heads + kept + 2 * h->ffn, /* floats of activations */
        threads = (uint64_t)pool_threads(o->pool);
    n.memory = n.hessian + sizeof(float) * (piece * token + context * (h->embd + kept)) +
               LIBRARIES + threads * THREAD;
    if (o->gradients) {
        const struct gradients_options g = gradients_of(o);
        const uint64_t bytes = gradients_memory(&g);
        n.memory = bytes > n.memory ? bytes : n.memory;
    }
    return n;
}

static void make_key(struct collect *c)
{
    const struct calib_info *i = c->o->info;
    const struct corpus *corpus = c->o->corpus;
    const char *const text[] = {i->quern, i->model, i->source, i->through, i->vocabulary};
    struct hash h;
    hash_init(&h);
    for (size_t t = 0; t < sizeof text / sizeof text[0]; t++)
        hash_add_text(&h, text[t], strlen(text[t]));
    hash_add_u64(&h, i->hessians);
    hash_add_u64(&h, c->o->gradients);
    hash_add_u64(&h, corpus->context);
    hash_add(&h, corpus->token, corpus->windows * corpus->context * sizeof *corpus->token);
    hash_text(&h, c->key);
}

/* The path of a half's groups, which the caller frees; NULL without memory. */
static char *part_path(const struct collect *c, size_t half)
{
    const size_t room = strlen(c->folder) + sizeof "/part-00000000000000000000.h5";
    char *path = malloc(room);
    if (path)
        snprintf(path, room, "%s/part-%05zu.h5", c->folder, half);
    return path;
}

static bool part_open(const struct collect *c, size_t half, struct calib_store *part,
                      struct err *err)
{
    char *path = part_path(c, half);
    *part = (struct calib_store){0};
    bool ok = path && calib_store_open(part, path, err);
    if (!path)
        err_set(err, ERR_MEMORY, "%s: no memory for a name", c->folder);
    if (ok && strcmp(part->info.source, c->key) != 0) {
        calib_store_close(part);
        ok = err_set(err, ERR_FORMAT, "%s: is of another run", path);
    }
    free(path);
    return ok;
}

/* How many halves an earlier run of the same work has left, in front of the first that is not. */
static size_t find_parts(const struct collect *c)
{
    size_t found = 0;
    struct calib_store part;
    while (found < stages_of(c->o) && part_open(c, found, &part, NULL)) {
        calib_store_close(&part);
        found++;
    }
    if (found < halves_of(c->o) && !stream_file_whole(&c->stream, found % 2))
        return 0;
    return found;
}

static void probe(void *arg, enum forward_input input, const float *x, size_t tokens)
{
    struct collect *c = arg;
    struct input *in = &c->input[input % 2];
    const double start = clock_seconds();
    if (!c->failed && !moments_add(&in->moments, x, tokens, c->err))
        c->failed = !err_wrap(c->err, "%s", in->name);
    c->result->sums_seconds += clock_seconds() - start;
}

/* A piece of a window; *x begins at its first token. */
static bool run_piece(struct collect *c, size_t half, const uint32_t *token, float *x,
                      size_t tokens)
{
    const size_t layer = half / 2;
    if (half == 0 && !forward_embed(&c->forward, token, tokens, x, c->err))
        return false;
    if (layer == c->o->weights->hparams.layers) {
        forward_states(&c->forward, x, tokens, c->states);
        probe(c, FORWARD_ATTN_IN, c->states, tokens);
    } else if (half % 2 == 0) {
        forward_attention(&c->forward, &c->cache, layer, x, tokens);
    } else {
        forward_ffn(&c->forward, layer, x, tokens);
    }
    return !c->failed;
}

static bool run_window(struct collect *c, size_t half, size_t window, struct err *err)
{
    const size_t context = c->o->corpus->context, embd = embd_of(c->o);
    const size_t bytes = context * embd * sizeof *c->x;
    const uint32_t *token = corpus_window(c->o->corpus, window);
    if (half > 0 && !stream_file_read(&c->stream, half % 2, window * bytes, c->x, bytes, err))
        return false;
    c->cache.length[0] = 0;
    for (size_t at = 0; at < context; at += FORWARD_PIECE) {
        const size_t left = context - at, tokens = left < FORWARD_PIECE ? left : FORWARD_PIECE;
        if (!run_piece(c, half, token + at, c->x + at * embd, tokens))
            return err_wrap(err, "window %zu", window);
    }
    return half + 1 == halves_of(c->o) ||
           stream_file_write(&c->stream, (half + 1) % 2, window * bytes, c->x, bytes, err);
}

/* The groups of a half, into its part. */
static bool write_input(struct collect *c, struct calib_writer *w, struct input *in,
                        struct err *err)
{
    const char *tensor[LINEARS];
    float *mean = mem_alloc(in->moments.cols, sizeof *mean);
    const struct calib_hessian hessian = moments_hessian(&in->moments);
    if (!mean)
        return err_set(err, ERR_MEMORY, "%s: %zu means", in->name, in->moments.cols);
    moments_mean_square(&in->moments, mean);
    for (size_t i = 0; i < in->linears; i++)
        tensor[i] = in->linear[i]->name;
    const struct calib_group g = {.name = in->name,
                                  .tensor = tensor,
                                  .tensors = in->linears,
                                  .cols = in->moments.cols,
                                  .matrices = 1,
                                  .tokens = &in->moments.tokens,
                                  .mean_square = mean};
    const bool ok = calib_writer_add(w, &g, c->o->info->hessians ? &hessian : NULL, err);
    free(mean);
    return ok;
}

static bool open_part(const struct collect *c, size_t stage, struct calib_writer *w,
                      struct err *err)
{
    const struct calib_info info = {
        "", "", "", c->key, "", "", "", NULL, 0, 0, 0, 0, c->o->info->hessians};
    char *path = part_path(c, stage);
    const bool ok = path ? calib_writer_open(w, path, true, &info, err)
                         : err_set(err, ERR_MEMORY, "%s: no memory for a name", c->folder);
    free(path);
    return ok;
}

static bool write_part(struct collect *c, size_t half, struct err *err)
{
    struct calib_writer w = {0};
    bool ok = open_part(c, half, &w, err);
    for (size_t i = 0; ok && i < c->inputs; i++)
        ok = write_input(c, &w, &c->input[i], err);
    ok = ok && calib_writer_commit(&w, err);
    calib_writer_close(&w);
    return ok;
}

static bool run_gradients(struct collect *c, struct err *err)
{
    const struct gradients_options o = gradients_of(c->o);
    const double start = clock_seconds();
    struct calib_writer w = {0};
    const bool ok = open_part(c, halves_of(c->o), &w, err) && gradients_run(&o, &w, err) &&
                    calib_writer_commit(&w, err);
    calib_writer_close(&w);
    c->result->gradients_seconds = clock_seconds() - start;
    return ok;
}

static void close_inputs(struct collect *c)
{
    for (size_t i = 0; i < c->inputs; i++) {
        moments_close(&c->input[i].moments);
        for (size_t l = 0; l < c->input[i].linears; l++)
            checkpoint_release(c->o->weights->checkpoint, c->input[i].linear[l]);
    }
    c->inputs = 0;
}

static bool run_half(struct collect *c, size_t half, struct err *err)
{
    const size_t inputs = describe_half(c->o->weights, half, c->input);
    bool ok = true;
    for (; ok && c->inputs < inputs; c->inputs += ok)
        ok = moments_open(&c->input[c->inputs].moments, cols_of(&c->input[c->inputs]),
                          c->o->info->hessians, c->o->pool, err);
    double start = clock_seconds();
    const double sums = c->result->sums_seconds;
    for (size_t w = 0; ok && w < c->o->corpus->windows; w++) {
        ok = stop_check(err) && run_window(c, half, w, err);
        if (ok)
            progress_step(c->o->progress, c->input[0].name, c->o->corpus->context);
    }
    c->result->forward_seconds += clock_seconds() - start - (c->result->sums_seconds - sums);
    start = clock_seconds();
    ok = ok && (half + 1 == halves_of(c->o) || stream_file_sync(&c->stream, (half + 1) % 2, err)) &&
         write_part(c, half, err);
    c->result->write_seconds += clock_seconds() - start;
    close_inputs(c);
    return ok;
}

/* All parts into the file. */
static bool gather(struct collect *c, struct err *err)
{
    const double start = clock_seconds();
    bool ok = true;
    for (size_t stage = 0; ok && stage < stages_of(c->o); stage++) {
        struct calib_store part;
        ok = part_open(c, stage, &part, err);
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

static void remove_folder(const struct collect *c)
{
    for (size_t stage = 0; stage < stages_of(c->o); stage++) {
        char *path = part_path(c, stage);
        if (path)
            unlink(path);
        free(path);
    }
    rmdir(c->folder);
}

/* Owned by the caller; NULL without memory. */
static char *folder_of(const char *path)
{
    const size_t room = strlen(path) + sizeof ".work";
    char *folder = malloc(room);
    if (folder)
        snprintf(folder, room, "%s.work", path);
    return folder;
}

static bool open_folder(struct collect *c, struct err *err)
{
    if (!c->folder)
        return err_set(err, ERR_MEMORY, "%s: no memory for a name", c->o->path);
    if (mkdir(c->folder, 0777) != 0 && errno != EEXIST)
        return err_set(err, ERR_IO, "%s: cannot create: %s", c->folder, strerror(errno));
    return stream_file_open(&c->stream, c->folder,
                            (uint64_t)c->o->corpus->windows * c->o->corpus->context *
                                embd_of(c->o) * sizeof(float),
                            err);
}

static bool open_model(struct collect *c, struct err *err)
{
    struct hparams one = c->o->weights->hparams;
    one.layers = 1;
    c->x = mem_alloc(c->o->corpus->context, embd_of(c->o) * sizeof *c->x);
    c->states = mem_alloc(FORWARD_PIECE, embd_of(c->o) * sizeof *c->states);
    if (!c->x || !c->states)
        return err_set(err, ERR_MEMORY, "no memory for windows of %zu tokens",
                       c->o->corpus->context);
    if (!forward_open(&c->forward, c->o->weights, c->o->kernels, c->o->pool, err) ||
        !kv_cache_open(&c->cache, &one, c->o->kernels, DTYPE_F32, 1, c->o->corpus->context, err))
        return false;
    c->forward.probe = (struct forward_probe){probe, c};
    return true;
}

static bool run_all(struct collect *c, struct err *err)
{
    struct progress *p = c->o->progress;
    const uint64_t tokens = (uint64_t)c->o->corpus->windows * c->o->corpus->context;
    const size_t halves = halves_of(c->o);
    c->result->halves = halves;
    c->result->found = find_parts(c);
    if (p) {
        const struct gradients_options g = gradients_of(c->o);
        p->done = tokens * (c->result->found < halves ? c->result->found : halves);
        p->total = tokens * halves + (c->o->gradients ? g.windows * g.step : 0);
    }
    if (c->result->found < halves && !open_model(c, err))
        return false;
    for (size_t half = c->result->found; half < halves; half++)
        if (!run_half(c, half, err))
            return false;
    return (c->result->found > halves || c->o->gradients == 0 || run_gradients(c, err)) &&
           gather(c, err);
}

bool collect_run(const struct collect_options *o, struct collect_result *result, struct err *err)
{
    char *folder = folder_of(o->path);
    struct collect c = {.o = o, .result = result, .folder = folder, .err = err};
    *result = (struct collect_result){0};
    make_key(&c);
    bool ok = calib_writer_open(&c.writer, o->path, o->force, o->info, err) &&
              open_folder(&c, err) && run_all(&c, err);
    const bool keep = !ok && err->code != ERR_NUMERIC;
    if (folder && !ok && err->code == ERR_STOPPED)
        err_set(err, ERR_STOPPED, "stopped; the same command goes on with what is in %s", folder);
    stream_file_close(&c.stream, keep);
    if (folder && !keep)
        remove_folder(&c);
    calib_writer_close(&c.writer);
    forward_close(&c.forward);
    kv_cache_close(&c.cache);
    free(c.x);
    free(c.states);
    free(folder);
    return ok;
}
