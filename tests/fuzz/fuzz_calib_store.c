/* The reader of calibrations: what it accepts keeps its promises.  HDF5's own parsing is not what is
 * fuzzed: the input is a list of changes to a sound file, to the attributes and data sets that are
 * looked at. */
#include "formats/calib_layout.h"
#include "formats/calib_store.h"
#include "tests/fuzz/one_file.h"

#include <hdf5.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { COLS = 5, VALUES = COLS * (COLS + 1) / 2 };

static bool give(void *arg, size_t matrix, size_t first, size_t count, float *out, struct err *err)
{
    const float *mean = arg;
    size_t at = 0;
    (void)err;
    for (size_t r = 0; r < COLS; r++)
        for (size_t c = r; c < COLS; c++, at++)
            if (at >= first && at < first + count)
                out[at - first] = r == c ? mean[matrix * COLS + r] : 0.5f;
    return true;
}

static void write_sound(bool hessians)
{
    static const char *const tensor[] = {"blk.0.attn_q.weight", "blk.0.attn_k.weight"};
    static const struct calib_text text[] = {{"text", "ff"}};
    const uint64_t tokens[2] = {7, 9};
    float mean[2 * COLS];
    struct calib_writer w;
    const struct calib_info info = {"0",  "llama", "m", "s", "", "t",     "v",
                                    text, 1,       8,   1,   7,  hessians};
    for (size_t i = 0; i < 2 * COLS; i++)
        mean[i] = (float)i;
    const struct calib_group g = {"blk.0.attn_in", tensor, 2, COLS, 2, tokens, mean, false};
    const struct calib_hessian h = {give, mean};
    expect(calib_writer_open(&w, path, true, &info, NULL) &&
           calib_writer_add(&w, &g, hessians ? &h : NULL, NULL) && calib_writer_commit(&w, NULL));
    calib_writer_close(&w);
}

/* Bytes of the input, 0 behind its end. */
struct bytes {
    const uint8_t *at, *end;
};

static uint8_t take(struct bytes *b) { return b->at < b->end ? *b->at++ : 0; }

static void take_all(struct bytes *b, void *to, size_t size)
{
    for (size_t i = 0; i < size; i++)
        ((uint8_t *)to)[i] = take(b);
}

static void change_number(hid_t object, const char *name, struct bytes *b)
{
    uint64_t value;
    take_all(b, &value, sizeof value);
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    if (attribute >= 0)
        H5Awrite(attribute, H5T_NATIVE_UINT64, &value);
    calib_hdf5_drop(attribute);
}

/* A text of other bytes, or of another size, or not there. */
static void change_text(hid_t object, const char *name, struct bytes *b)
{
    char text[16];
    const size_t size = take(b) % sizeof text;
    take_all(b, text, sizeof text);
    H5Adelete(object, name);
    if (size == 0)
        return;
    const hsize_t count = 1 + take(b) % 3;
    const hid_t type = H5Tcopy(H5T_C_S1), space = H5Screate_simple(1, &count, NULL);
    H5Tset_size(type, size <= 5 ? size : 5);
    const hid_t attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    H5Awrite(attribute, type, text);
    calib_hdf5_drop(attribute);
    calib_hdf5_drop(space);
    calib_hdf5_drop(type);
}

static void change_values(hid_t group, const char *name, struct bytes *b)
{
    float value[2 * VALUES + 4] = {0};
    const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    if (set < 0)
        return;
    const hid_t space = H5Dget_space(set);
    if (H5Sget_simple_extent_npoints(space) <= 2 * VALUES &&
        H5Dread(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value) >= 0) {
        take_all(b, &value[take(b) % (2 * VALUES)], sizeof *value);
        H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, value);
    }
    calib_hdf5_drop(space);
    calib_hdf5_drop(set);
}

/* A data set of another shape, type and place. */
static void change_set(hid_t group, const char *name, struct bytes *b)
{
    const hsize_t size[3] = {take(b) % 4, take(b) % 17, 1 + take(b) % 2};
    const int dims = 1 + take(b) % 3;
    const hid_t type[] = {H5T_IEEE_F32LE, H5T_IEEE_F64LE, H5T_STD_U64LE, H5T_STD_I8LE};
    const hid_t space = H5Screate_simple(dims, size, NULL), made = H5Pcreate(H5P_DATASET_CREATE);
    H5Ldelete(group, name, H5P_DEFAULT);
    if (take(b) % 2)
        H5Pset_external(made, "elsewhere", 0, 64);
    const hid_t set =
        H5Dcreate2(group, name, type[take(b) % 4], space, H5P_DEFAULT, made, H5P_DEFAULT);
    calib_hdf5_drop(set);
    calib_hdf5_drop(made);
    calib_hdf5_drop(space);
}

static void change(hid_t file, hid_t group, struct bytes *b)
{
    static const char *const text[] = {CALIB_FORMAT, CALIB_QUERN, CALIB_ARCHITECTURE, CALIB_MODEL,
                                       CALIB_KIND,   CALIB_TEXTS, CALIB_TEXT_HASHES};
    static const char *const number[] = {CALIB_VERSION, CALIB_CONTEXT, CALIB_WINDOWS, CALIB_TOKENS};
    static const char *const set[] = {CALIB_TOKENS, CALIB_MEAN_SQUARE, CALIB_HESSIAN};
    switch (take(b) % 8) {
    case 0:
        change_text(file, text[take(b) % (sizeof text / sizeof *text)], b);
        break;
    case 1:
        change_number(file, number[take(b) % 4], b);
        break;
    case 2:
        change_number(group, take(b) % 2 ? CALIB_COLS : CALIB_MATRICES, b);
        break;
    case 3:
        change_text(group, CALIB_TENSORS, b);
        break;
    case 4:
        change_values(group, set[1 + take(b) % 2], b);
        break;
    case 5:
        change_set(group, set[take(b) % 3], b);
        break;
    case 6:
        H5Ldelete(group, set[take(b) % 3], H5P_DEFAULT);
        break;
    default:
        H5Lcreate_soft("/blk.0.attn_in", file, "again", H5P_DEFAULT, H5P_DEFAULT);
    }
}

static void change_file(struct bytes *b)
{
    const hid_t file = H5Fopen(path, H5F_ACC_RDWR, H5P_DEFAULT);
    const hid_t group = H5Gopen2(file, "blk.0.attn_in", H5P_DEFAULT);
    expect(file >= 0 && group >= 0);
    for (int changes = take(b) % 4; changes >= 0 && b->at < b->end; changes--)
        change(file, group, b);
    calib_hdf5_drop(group);
    H5Fclose(file);
}

static void check_promises(const struct calib_store *s)
{
    float upper[VALUES];
    expect(s->groups > 0 && s->tensors > 0);
    for (size_t i = 0; i < s->groups; i++) {
        const struct calib_group *g = &s->group[i];
        struct err err = {0};
        expect(g->cols > 0 && g->matrices > 0 && g->has_hessian == s->info.hessians);
        for (size_t t = 0; t < g->tensors; t++)
            expect(calib_store_find(s, g->tensor[t]) == g);
        for (size_t m = 0; m < g->matrices; m++) {
            for (size_t c = 0; c < g->cols; c++)
                expect(isfinite(g->mean_square[m * g->cols + c]) &&
                       g->mean_square[m * g->cols + c] >= 0);
            if (!g->has_hessian || g->cols > COLS)
                continue;
            if (!calib_store_hessian(s, g, m, upper, &err)) {
                expect(err.code != ERR_NONE && err.text[0]);
                continue;
            }
            for (size_t v = 0; v < g->cols * (g->cols + 1) / 2; v++)
                expect(isfinite(upper[v]));
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes b = {data, data + size};
    struct calib_store s;
    struct err err = {0};
    if (!folder[0])
        make_folder("calib.h5");
    write_sound(take(&b) % 2 == 0);
    change_file(&b);
    if (!calib_store_open(&s, path, &err)) {
        expect(err.code != ERR_NONE && err.code != ERR_MEMORY && strstr(err.text, "calib.h5: "));
        return 0;
    }
    check_promises(&s);
    calib_store_close(&s);
    return 0;
}
