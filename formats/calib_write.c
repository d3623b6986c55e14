#include "formats/calib_layout.h"
#include "formats/calib_store.h"

#include "core/mem.h"

#include <assert.h>
#include <hdf5.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(hid_t) == sizeof(int64_t), "handles are kept as int64_t");

enum { DEFLATE_LEVEL = 1 }; /* higher ones take several times as long and save a percent */

/* Each of these returns false with HDF5's own error. */

static bool set_texts(hid_t object, const char *name, const char *const *text, size_t count,
                      bool list)
{
    const hsize_t dims = count;
    size_t room = 1;
    for (size_t i = 0; i < count; i++)
        room = strlen(text[i]) > room ? strlen(text[i]) : room;
    char *all = mem_alloc(count, room);
    const hid_t type = H5Tcopy(H5T_C_S1);
    const hid_t space = list ? H5Screate_simple(1, &dims, NULL) : H5Screate(H5S_SCALAR);
    hid_t attribute = -1;
    bool ok = all && type >= 0 && space >= 0 && H5Tset_size(type, room) >= 0 &&
              H5Tset_strpad(type, H5T_STR_NULLPAD) >= 0 && H5Tset_cset(type, H5T_CSET_UTF8) >= 0;
    for (size_t i = 0; ok && i < count; i++)
        memcpy(all + i * room, text[i], strlen(text[i]));
    ok = ok && (attribute = H5Acreate2(object, name, type, space, H5P_DEFAULT, H5P_DEFAULT)) >= 0 &&
         H5Awrite(attribute, type, all) >= 0;
    calib_hdf5_drop(attribute);
    calib_hdf5_drop(space);
    calib_hdf5_drop(type);
    free(all);
    return ok;
}

static bool set_text(hid_t object, const char *name, const char *text)
{
    return set_texts(object, name, &text, 1, false);
}

static bool set_number(hid_t object, const char *name, uint64_t value)
{
    const hid_t space = H5Screate(H5S_SCALAR);
    const hid_t attribute =
        H5Acreate2(object, name, H5T_STD_U64LE, space, H5P_DEFAULT, H5P_DEFAULT);
    const bool ok = attribute >= 0 && H5Awrite(attribute, H5T_NATIVE_UINT64, &value) >= 0;
    calib_hdf5_drop(attribute);
    calib_hdf5_drop(space);
    return ok;
}

static bool set_text_list(hid_t object, const struct calib_info *info)
{
    const char **part = mem_alloc(2 * info->texts, sizeof *part);
    for (size_t i = 0; part && i < info->texts; i++) {
        part[i] = info->text[i].name;
        part[info->texts + i] = info->text[i].sha256;
    }
    const bool ok =
        part && (info->texts == 0 ||
                 (set_texts(object, CALIB_TEXTS, part, info->texts, true) &&
                  set_texts(object, CALIB_TEXT_HASHES, part + info->texts, info->texts, true)));
    free(part);
    return ok;
}

static bool set_info(hid_t root, const struct calib_info *info)
{
    return set_text(root, CALIB_FORMAT, CALIB_FORMAT_NAME) &&
           set_number(root, CALIB_VERSION, CALIB_VERSION_NOW) &&
           set_text(root, CALIB_QUERN, info->quern) &&
           set_text(root, CALIB_ARCHITECTURE, info->architecture) &&
           set_text(root, CALIB_MODEL, info->model) && set_text(root, CALIB_SOURCE, info->source) &&
           set_text(root, CALIB_THROUGH, info->through) &&
           set_text(root, CALIB_TOKENIZER, info->tokenizer) &&
           set_text(root, CALIB_VOCABULARY, info->vocabulary) &&
           set_text(root, CALIB_KIND, info->hessians ? CALIB_KIND_HESSIAN : CALIB_KIND_SQUARES) &&
           set_text_list(root, info) && set_number(root, CALIB_CONTEXT, info->context) &&
           set_number(root, CALIB_WINDOWS, info->windows) &&
           set_number(root, CALIB_TOKENS, info->tokens);
}

/* A file whose groups keep their order, and in which nothing says when it was made. */
static hid_t create(const char *path)
{
    const hid_t made = H5Pcreate(H5P_FILE_CREATE), access = H5Pcreate(H5P_FILE_ACCESS);
    hid_t file = -1;
    if (made >= 0 && access >= 0 && H5Pset_obj_track_times(made, false) >= 0 &&
        H5Pset_link_creation_order(made, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0 &&
        H5Pset_fclose_degree(access, H5F_CLOSE_STRONG) >= 0)
        file = H5Fcreate(path, H5F_ACC_TRUNC, made, access);
    calib_hdf5_drop(made);
    calib_hdf5_drop(access);
    return file;
}

bool calib_writer_open(struct calib_writer *w, const char *path, bool force,
                       const struct calib_info *info, struct err *err)
{
    *w = (struct calib_writer){0};
    calib_hdf5_quiet();
    if (!sink_open(&w->sink, path, force, 0, err))
        return false;
    const hid_t file = create(w->sink.temporary);
    if (file >= 0) {
        w->file = file;
        if (set_info(file, info))
            return true;
    }
    calib_hdf5_fail(err, ERR_IO, "%s: cannot be written", path);
    calib_writer_close(w);
    return false;
}

/* A data set of rows; `chunk` 0: stored as it is, else compressed in pieces of so many values. */
static hid_t create_set(hid_t group, const char *name, hid_t type, int dims, const hsize_t *size,
                        hsize_t chunk)
{
    const hsize_t piece[2] = {1, chunk};
    const hid_t space = H5Screate_simple(dims, size, NULL), made = H5Pcreate(H5P_DATASET_CREATE);
    hid_t set = -1;
    if (space >= 0 && made >= 0 && H5Pset_obj_track_times(made, false) >= 0 &&
        (chunk == 0 || (H5Pset_chunk(made, dims, piece) >= 0 && H5Pset_shuffle(made) >= 0 &&
                        H5Pset_deflate(made, DEFLATE_LEVEL) >= 0 && H5Pset_fletcher32(made) >= 0)))
        set = H5Dcreate2(group, name, type, space, H5P_DEFAULT, made, H5P_DEFAULT);
    calib_hdf5_drop(made);
    calib_hdf5_drop(space);
    return set;
}

static bool add_tokens(hid_t group, const struct calib_group *g)
{
    const hsize_t size = g->matrices;
    const hid_t set = create_set(group, CALIB_TOKENS, H5T_STD_U64LE, 1, &size, 0);
    const bool ok =
        set >= 0 && H5Dwrite(set, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, g->tokens) >= 0;
    calib_hdf5_drop(set);
    return ok;
}

static bool add_mean_square(hid_t group, const struct calib_group *g)
{
    const hsize_t size[2] = {g->matrices, g->cols};
    const hid_t set = create_set(group, CALIB_MEAN_SQUARE, H5T_IEEE_F32LE, 2, size,
                                 g->cols < CALIB_CHUNK ? g->cols : CALIB_CHUNK);
    const bool ok = set >= 0 && H5Dwrite(set, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT,
                                         g->mean_square) >= 0;
    calib_hdf5_drop(set);
    return ok;
}

/* A chunk at a time: the triangle is never there twice.  *given: what the giver of values says. */
static bool add_hessian(hid_t group, const struct calib_group *g, const struct calib_hessian *h,
                        struct err *given)
{
    size_t values;
    if (!calib_triangle(g->cols, &values))
        return false;
    const hsize_t size[2] = {g->matrices, values};
    const hsize_t chunk = values < CALIB_CHUNK ? values : CALIB_CHUNK;
    float *out = mem_alloc(chunk, sizeof *out);
    const hid_t set = create_set(group, CALIB_HESSIAN, H5T_IEEE_F32LE, 2, size, chunk);
    const hid_t space = H5Screate_simple(2, size, NULL);
    const hid_t memory = H5Screate_simple(1, &chunk, NULL);
    bool ok = out && set >= 0 && space >= 0 && memory >= 0;
    for (size_t m = 0; ok && m < g->matrices; m++)
        for (size_t first = 0; ok && first < values; first += chunk) {
            const size_t left = values - first, count = left < chunk ? left : chunk;
            const hsize_t from[2] = {m, first}, take[2] = {1, count}, zero = 0;
            ok = h->values(h->arg, m, first, count, out, given) &&
                 H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, take, NULL) >= 0 &&
                 H5Sselect_hyperslab(memory, H5S_SELECT_SET, &zero, NULL, &take[1], NULL) >= 0 &&
                 H5Dwrite(set, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, out) >= 0;
        }
    calib_hdf5_drop(memory);
    calib_hdf5_drop(space);
    calib_hdf5_drop(set);
    free(out);
    return ok;
}

static hid_t create_group(hid_t file, const char *name)
{
    const hid_t made = H5Pcreate(H5P_GROUP_CREATE);
    hid_t group = -1;
    if (made >= 0 && H5Pset_obj_track_times(made, false) >= 0 &&
        H5Pset_link_creation_order(made, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED) >= 0)
        group = H5Gcreate2(file, name, H5P_DEFAULT, made, H5P_DEFAULT);
    calib_hdf5_drop(made);
    return group;
}

/* The group that gradients are in is made with the first of them. */
static bool have_parent(hid_t file, const char *name)
{
    if (strchr(name, '/') == NULL || H5Lexists(file, CALIB_GRADIENTS, H5P_DEFAULT) > 0)
        return true;
    const hid_t parent = create_group(file, CALIB_GRADIENTS);
    calib_hdf5_drop(parent);
    return parent >= 0;
}

bool calib_writer_add(struct calib_writer *w, const struct calib_group *g,
                      const struct calib_hessian *hessian, struct err *err)
{
    const hid_t group = have_parent(w->file, g->name) ? create_group(w->file, g->name) : -1;
    struct err given = {0};
    const bool ok = group >= 0 && set_texts(group, CALIB_TENSORS, g->tensor, g->tensors, true) &&
                    set_number(group, CALIB_COLS, g->cols) &&
                    set_number(group, CALIB_MATRICES, g->matrices) && add_tokens(group, g) &&
                    add_mean_square(group, g) &&
                    (!hessian || add_hessian(group, g, hessian, &given));
    calib_hdf5_drop(group);
    if (given.code != ERR_NONE)
        return err_set(err, given.code, "%s", given.text);
    return ok ||
           calib_hdf5_fail(err, ERR_IO, "%s: group '%s' cannot be written", w->sink.path, g->name);
}

bool calib_writer_copy(struct calib_writer *w, const struct calib_store *from,
                       const struct calib_group *g, struct err *err)
{
    return (have_parent(w->file, g->name) &&
            H5Ocopy(from->file, g->name, w->file, g->name, H5P_DEFAULT, H5P_DEFAULT) >= 0) ||
           calib_hdf5_fail(err, ERR_IO, "%s: group '%s' of %s cannot be copied", w->sink.path,
                           g->name, from->path);
}

bool calib_writer_commit(struct calib_writer *w, struct err *err)
{
    const hid_t file = w->file;
    w->file = 0;
    return (H5Fclose(file) >= 0 ||
            calib_hdf5_fail(err, ERR_IO, "%s: cannot be closed", w->sink.path)) &&
           sink_commit(&w->sink, err);
}

void calib_writer_close(struct calib_writer *w)
{
    if (w->file > 0)
        H5Fclose(w->file);
    sink_close(&w->sink);
    *w = (struct calib_writer){0};
}
