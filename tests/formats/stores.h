/* stores.h - calibrations of experts and plain inputs with known values, in a folder for the test's
 * time: for tests of what reads them.  cmocka.h goes first. */
#ifndef TESTS_FORMATS_STORES_H
#define TESTS_FORMATS_STORES_H

#include "formats/calib_store.h"
#include "tests/formats/scratch.h"

#include <math.h>

enum { STORES_COLS = 300, STORES_EXPERTS = 3, STORES_VALUES = STORES_COLS * (STORES_COLS + 1) / 2 };

static inline float store_square(size_t matrix, size_t col, float factor)
{
    return factor * (float)(1 + matrix) * (col == 7 ? 0.0f : 0.25f + (float)col);
}

/* Row r, column c of a triangle; the diagonal is store_square. */
static inline float store_value(size_t matrix, size_t r, size_t c, float factor)
{
    return r == c ? store_square(matrix, c, factor) : sinf((float)(r * 31 + c)) * factor;
}

static inline bool store_give(void *arg, size_t matrix, size_t first, size_t count, float *out,
                              struct err *err)
{
    const float factor = *(const float *)arg;
    size_t at = 0;
    (void)err;
    for (size_t r = 0; r < STORES_COLS; r++)
        for (size_t c = r; c < STORES_COLS; c++, at++)
            if (at >= first && at < first + count)
                out[at - first] = store_value(matrix, r, c, factor);
    return true;
}

struct store_options {
    const char *model, *architecture;
    bool hessians;
    uint64_t
        tokens; /* of the plain input and the first expert; the others twice and three times as many */
    float factor;
};

/* Two inputs of STORES_COLS columns: a plain one, and one of experts. */
static inline bool store_write(const char *path, const struct store_options *o, struct err *err)
{
    static const char *const plain[] = {"blk.0.attn_q.weight", "blk.0.attn_k.weight"};
    static const char *const experts[] = {"blk.0.ffn_down_exps.weight"};
    static const struct calib_text text[] = {{"novel.txt", "00ff"}, {"a second one", ""}};
    const struct calib_info info = {"1.2.3",  o->architecture, o->model,   "source", "",
                                    "gpt2/x", "vocab",         text,       2,        64,
                                    10,       o->tokens,       o->hessians};
    const uint64_t tokens[STORES_EXPERTS] = {o->tokens, 2 * o->tokens, 3 * o->tokens};
    float mean[STORES_EXPERTS][STORES_COLS], factor = o->factor;
    struct calib_writer w;
    for (size_t m = 0; m < STORES_EXPERTS; m++)
        for (size_t c = 0; c < STORES_COLS; c++)
            mean[m][c] = store_square(m, c, factor);
    const struct calib_group first = {"blk.0.attn_in", plain,   2,    STORES_COLS, 1,
                                      tokens,          mean[0], false};
    const struct calib_group second = {"blk.0.ffn_mid_exps", experts, 1,       STORES_COLS,
                                       STORES_EXPERTS,       tokens,  mean[0], false};
    const struct calib_hessian h = {store_give, &factor};
    const bool ok = calib_writer_open(&w, path, true, &info, err) &&
                    calib_writer_add(&w, &first, o->hessians ? &h : NULL, err) &&
                    calib_writer_add(&w, &second, o->hessians ? &h : NULL, err) &&
                    calib_writer_commit(&w, err);
    calib_writer_close(&w);
    return ok;
}

static struct scratch scratch;

static inline int set_up(void **state)
{
    (void)state;
    scratch_open(&scratch);
    return 0;
}

static inline int tear_down(void **state)
{
    (void)state;
    scratch_close(&scratch);
    return 0;
}

/* The caller frees it. */
static inline char *path_of(const char *name) { return strdup(scratch_path(&scratch, name)); }

static inline void write_and_open(struct calib_store *s, const char *name,
                                  const struct store_options *o)
{
    struct err err = {0};
    char *path = path_of(name);
    if (!store_write(path, o, &err) || !calib_store_open(s, path, &err))
        fail_msg("%s", err.text);
    free(path);
}

#endif
