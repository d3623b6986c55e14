#include "formats/calib_store.h"

#include "core/mem.h"
#include "formats/calib_layout.h"

#include <hdf5.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

enum { TEXT_MAX = 4096, COLS_MAX = 1 << 24, CHUNK_MAX = 64 << 20, DEFLATE_MOST = 1100 };

bool calib_triangle(uint64_t cols, size_t *values)
{
    return cols < UINT32_MAX && size_mul(cols, cols + 1, values) && (*values /= 2, true);
}

/* An attribute of `values` texts, or of one; each with a NUL behind it.  NULL: see err. */
static char *read_texts(struct arena *a, hid_t object, const char *name, size_t *room,
                        size_t *count, struct err *err)
{
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const hssize_t texts = space < 0 ? 0 : H5Sget_simple_extent_npoints(space);
    char *raw = NULL, *text = NULL;
    size_t size = 0, bytes;
    if (type >= 0 && H5Tget_class(type) == H5T_STRING && H5Tis_variable_str(type) == 0)
        size = H5Tget_size(type);
    if (size == 0 || size > TEXT_MAX || texts < 1 || texts > UINT16_MAX ||
        !size_mul((size_t)texts, size, &bytes)) {
        err_set(err, ERR_FORMAT, "attribute '%s' is missing, or no text of up to %d bytes", name,
                TEXT_MAX);
    } else if (!(raw = mem_alloc((size_t)texts, size)) ||
               !(text = arena_alloc(a, (size_t)texts, size + 1))) {
        err_set(err, ERR_MEMORY, "attribute '%s': %zu bytes", name, bytes);
    } else if (H5Aread(attribute, type, raw) < 0) {
        calib_hdf5_fail(err, ERR_FORMAT, "attribute '%s' cannot be read", name);
        text = NULL;
    } else {
        *room = size + 1;
        *count = (size_t)texts;
        for (size_t i = 0; i < *count; i++)
            memcpy(text + i * *room, raw + i * size, size);
    }
    calib_hdf5_drop(space);
    calib_hdf5_drop(type);
    calib_hdf5_drop(attribute);
    free(raw);
    return text;
}

static bool read_text(struct arena *a, hid_t object, const char *name, const char **text,
                      struct err *err)
{
    size_t room, count;
    return (*text = read_texts(a, object, name, &room, &count, err)) != NULL;
}

static bool read_list(struct arena *a, hid_t object, const char *name, const char *const **text,
                      size_t *count, struct err *err)
{
    size_t room;
    const char *all = read_texts(a, object, name, &room, count, err);
    const char **list = all ? arena_alloc(a, *count, sizeof *list) : NULL;
    for (size_t i = 0; list && i < *count; i++)
        list[i] = all + i * room;
    *text = list;
    return list || (all ? err_set(err, ERR_MEMORY, "%zu names", *count) : false);
}

static bool read_number(hid_t object, const char *name, uint64_t *value, struct err *err)
{
    const hid_t attribute = H5Aopen(object, name, H5P_DEFAULT);
    const hid_t space = attribute < 0 ? -1 : H5Aget_space(attribute);
    const hid_t type = attribute < 0 ? -1 : H5Aget_type(attribute);
    const bool ok = space >= 0 && H5Sget_simple_extent_npoints(space) == 1 &&
                    H5Tget_class(type) == H5T_INTEGER &&
                    H5Aread(attribute, H5T_NATIVE_UINT64, value) >= 0;
    calib_hdf5_drop(type);
    calib_hdf5_drop(space);
    calib_hdf5_drop(attribute);
    return ok ||
           err_set(err, ERR_FORMAT, "attribute '%s' is missing, or not one whole number", name);
}

static bool read_text_names(struct calib_store *s, struct err *err)
{
    const char *const *name, *const *hash;
    size_t names, hashes;
    if (H5Aexists(s->file, CALIB_TEXTS) <= 0)
        return true;
    if (!read_list(&s->arena, s->file, CALIB_TEXTS, &name, &names, err) ||
        !read_list(&s->arena, s->file, CALIB_TEXT_HASHES, &hash, &hashes, err))
        return false;
    if (names != hashes)
        return err_set(err, ERR_FORMAT, "%zu texts have %zu hashes", names, hashes);
    struct calib_text *text = arena_alloc(&s->arena, names, sizeof *text);
    if (!text)
        return err_set(err, ERR_MEMORY, "%zu texts", names);
    for (size_t i = 0; i < names; i++)
        text[i] = (struct calib_text){name[i], hash[i]};
    s->info.text = text;
    s->info.texts = names;
    return true;
}

static bool read_info(struct calib_store *s, struct err *err)
{
    struct calib_info *i = &s->info;
    const char *format, *kind;
    uint64_t version = 0;
    if (H5Aexists(s->file, CALIB_FORMAT) <= 0 ||
        !read_text(&s->arena, s->file, CALIB_FORMAT, &format, err) ||
        strcmp(format, CALIB_FORMAT_NAME) != 0)
        return err_set(err, ERR_FORMAT, "an HDF5 file, but not one of calibration");
    if (!read_number(s->file, CALIB_VERSION, &version, err))
        return false;
    if (version != CALIB_VERSION_NOW)
        return err_set(err, ERR_UNSUPPORTED,
                       "version %" PRIu64 " of the format; this quern reads %d", version,
                       CALIB_VERSION_NOW);
    const struct {
        const char *name, **to;
    } text[] = {{CALIB_QUERN, &i->quern},           {CALIB_ARCHITECTURE, &i->architecture},
                {CALIB_MODEL, &i->model},           {CALIB_SOURCE, &i->source},
                {CALIB_THROUGH, &i->through},       {CALIB_TOKENIZER, &i->tokenizer},
                {CALIB_VOCABULARY, &i->vocabulary}, {CALIB_KIND, &kind}};
    for (size_t t = 0; t < sizeof text / sizeof text[0]; t++)
        if (!read_text(&s->arena, s->file, text[t].name, text[t].to, err))
            return false;
    i->hessians = strcmp(kind, CALIB_KIND_HESSIAN) == 0;
    if (!i->hessians && strcmp(kind, CALIB_KIND_SQUARES) != 0)
        return err_set(err, ERR_FORMAT, "attribute 'kind' is '%.40s'", kind);
    return read_text_names(s, err) && read_number(s->file, CALIB_CONTEXT, &i->context, err) &&
           read_number(s->file, CALIB_WINDOWS, &i->windows, err) &&
           read_number(s->file, CALIB_TOKENS, &i->tokens, err);
}

/* Opens a data set of just this shape, of numbers of `class`, that can be read without asking for
 * more than the file is worth: in it, not elsewhere, in pieces of a sound size. */
static hid_t open_set(const struct calib_store *s, hid_t group, const char *name, H5T_class_t class,
                      size_t size, int dims, const hsize_t *shape, struct err *err)
{
    hsize_t is[2] = {0, 1}, chunk[2] = {0, 1};
    struct stat st;
    size_t bytes = 0;
    const hid_t set = H5Dopen2(group, name, H5P_DEFAULT);
    if (set < 0) {
        err_set(err, ERR_FORMAT, "data set '%s' is missing", name);
        return -1;
    }
    const hid_t space = H5Dget_space(set), type = H5Dget_type(set), made = H5Dget_create_plist(set);
    const bool known = space >= 0 && H5Tget_class(type) == class && H5Tget_size(type) == size;
    bool same = known && H5Sget_simple_extent_ndims(space) == dims &&
                H5Sget_simple_extent_dims(space, is, NULL) == dims && is[0] == shape[0] &&
                (dims == 1 || is[1] == shape[1]);
    const H5D_layout_t layout = H5Pget_layout(made);
    bool sound = same && layout != H5D_VIRTUAL && H5Pget_external_count(made) == 0 &&
                 H5Dget_storage_size(set) > 0 && stat(s->path, &st) == 0 &&
                 size_mul(shape[0], dims == 1 ? size : shape[1] * size, &bytes) &&
                 bytes / DEFLATE_MOST <= (uint64_t)st.st_size &&
                 H5Dget_storage_size(set) <= (uint64_t)st.st_size;
    if (sound && layout == H5D_CHUNKED)
        sound = H5Pget_chunk(made, dims, chunk) == dims && chunk[0] <= CHUNK_MAX &&
                chunk[1] <= CHUNK_MAX && chunk[0] * chunk[1] * size <= CHUNK_MAX;
    calib_hdf5_drop(made);
    calib_hdf5_drop(type);
    calib_hdf5_drop(space);
    if (sound)
        return set;
    calib_hdf5_drop(set);
    if (same)
        err_set(err, ERR_FORMAT, "data set '%s' is not stored in this file as it should be", name);
    else
        err_set(err, ERR_FORMAT,
                "data set '%s' is %" PRIu64 " x %" PRIu64 "%s, not %" PRIu64 " x %" PRIu64, name,
                (uint64_t)is[0], (uint64_t)is[1], known ? "" : " of another type",
                (uint64_t)shape[0], dims == 1 ? (uint64_t)1 : (uint64_t)shape[1]);
    return -1;
}

static bool check_means(const struct calib_group *g, struct err *err)
{
    for (size_t m = 0; m < g->matrices; m++)
        for (size_t c = 0; c < g->cols; c++) {
            const float v = g->mean_square[m * g->cols + c];
            if (!isfinite(v) || v < 0 || (g->tokens[m] == 0 && v != 0))
                return err_set(err, ERR_NUMERIC,
                               "the mean square of column %zu (matrix %zu, %" PRIu64
                               " tokens) is %g",
                               c, m, g->tokens[m], (double)v);
        }
    return true;
}

static bool read_means(struct calib_store *s, hid_t group, struct calib_group *g, struct err *err)
{
    const hsize_t shape[2] = {g->matrices, g->cols};
    const hid_t tokens = open_set(s, group, CALIB_TOKENS, H5T_INTEGER, 8, 1, shape, err);
    const hid_t means =
        tokens < 0 ? -1 : open_set(s, group, CALIB_MEAN_SQUARE, H5T_FLOAT, 4, 2, shape, err);
    bool ok = means >= 0;
    if (ok) { /* only now is it known that the file is worth so much memory */
        uint64_t *count = arena_alloc(&s->arena, g->matrices, sizeof *count);
        float *mean = arena_alloc(&s->arena, g->matrices, g->cols * sizeof *mean);
        g->tokens = count;
        g->mean_square = mean;
        if (!count || !mean)
            ok = err_set(err, ERR_MEMORY, "%zu means", g->matrices * g->cols);
        else if (H5Dread(tokens, H5T_NATIVE_UINT64, H5S_ALL, H5S_ALL, H5P_DEFAULT, count) < 0 ||
                 H5Dread(means, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, mean) < 0)
            ok = calib_hdf5_fail(err, ERR_FORMAT, "its means cannot be read");
    }
    calib_hdf5_drop(means);
    calib_hdf5_drop(tokens);
    return ok && check_means(g, err);
}

static bool check_hessian(struct calib_store *s, hid_t group, struct calib_group *g,
                          struct err *err)
{
    size_t values;
    g->has_hessian = H5Lexists(group, CALIB_HESSIAN, H5P_DEFAULT) > 0;
    if (g->has_hessian != s->info.hessians)
        return err_set(err, ERR_FORMAT,
                       g->has_hessian ? "has a Hessian in a file of importance"
                                      : "its Hessian is missing");
    if (!g->has_hessian)
        return true;
    if (!calib_triangle(g->cols, &values))
        return err_set(err, ERR_FORMAT, "%zu columns", g->cols);
    const hsize_t shape[2] = {g->matrices, values};
    const hid_t set = open_set(s, group, CALIB_HESSIAN, H5T_FLOAT, 4, 2, shape, err);
    calib_hdf5_drop(set);
    return set >= 0;
}

static bool read_group(struct calib_store *s, hid_t group, struct calib_group *g, struct err *err)
{
    uint64_t cols = 0, matrices = 0;
    if (!read_list(&s->arena, group, CALIB_TENSORS, &g->tensor, &g->tensors, err) ||
        !read_number(group, CALIB_COLS, &cols, err) ||
        !read_number(group, CALIB_MATRICES, &matrices, err))
        return false;
    if (cols == 0 || cols > COLS_MAX || matrices == 0 || matrices > COLS_MAX)
        return err_set(err, ERR_FORMAT, "%" PRIu64 " matrices of %" PRIu64 " columns", matrices,
                       cols);
    g->cols = (size_t)cols;
    g->matrices = (size_t)matrices;
    return read_means(s, group, g, err) && check_hessian(s, group, g, err);
}

/* The name of the i-th link of a group, where it is to something in this file, behind a prefix. */
static bool read_name(struct calib_store *s, hid_t parent, const char *prefix, size_t i,
                      const char **name, struct err *err)
{
    H5L_info_t link;
    char text[256];
    if (H5Lget_info_by_idx(parent, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, &link, H5P_DEFAULT) <
            0 ||
        link.type != H5L_TYPE_HARD ||
        H5Lget_name_by_idx(parent, ".", H5_INDEX_CRT_ORDER, H5_ITER_INC, i, text, sizeof text,
                           H5P_DEFAULT) >= (ssize_t)sizeof text)
        return err_set(err, ERR_FORMAT, "group %zu is not one of this file, with a name", i);
    *name = arena_printf(&s->arena, "%s%s", prefix, text);
    return *name || err_set(err, ERR_MEMORY, "the name of group %zu", i);
}

static bool read_named(struct calib_store *s, struct calib_group *g, struct err *err)
{
    const hid_t group = H5Gopen2(s->file, g->name, H5P_DEFAULT);
    const bool ok = group >= 0 ? read_group(s, group, g, err)
                               : calib_hdf5_fail(err, ERR_FORMAT, "cannot be opened");
    calib_hdf5_drop(group);
    return ok || err_wrap(err, "group '%s'", g->name);
}

static struct calib_group *read_links(struct calib_store *s, hid_t parent, const char *prefix,
                                      size_t *count, struct err *err)
{
    H5G_info_t info;
    if (H5Gget_info(parent, &info) < 0 || info.nlinks == 0 || info.nlinks > UINT16_MAX) {
        err_set(err, ERR_FORMAT, "has no groups");
        return NULL;
    }
    struct calib_group *g = arena_alloc(&s->arena, info.nlinks, sizeof *g);
    *count = info.nlinks;
    if (!g)
        err_set(err, ERR_MEMORY, "%zu groups", *count);
    for (size_t i = 0; g && i < *count; i++)
        if (!read_name(s, parent, prefix, i, &g[i].name, err))
            g = NULL;
    return g;
}

/* Gradients are of one matrix, and of one tensor: that of their name. */
static bool read_gradients(struct calib_store *s, struct err *err)
{
    const hid_t parent = H5Gopen2(s->file, CALIB_GRADIENTS, H5P_DEFAULT);
    const char *const prefix = CALIB_GRADIENTS "/";
    size_t count = 0;
    s->gradient = parent < 0 ? NULL : read_links(s, parent, prefix, &count, err);
    if (parent < 0)
        calib_hdf5_fail(err, ERR_FORMAT, "'%s' cannot be opened", CALIB_GRADIENTS);
    calib_hdf5_drop(parent);
    for (; s->gradient && s->gradients < count; s->gradients++) {
        struct calib_group *g = &s->gradient[s->gradients];
        if (!read_named(s, g, err))
            return false;
        if (g->tensors != 1 || g->matrices != 1 || !g->has_hessian ||
            strcmp(g->name + strlen(prefix), g->tensor[0]) != 0)
            return err_set(err, ERR_FORMAT, "group '%s' is not the gradient of one matrix",
                           g->name);
    }
    return s->gradient != NULL;
}

static bool read_groups(struct calib_store *s, struct err *err)
{
    size_t count = 0;
    struct calib_group *g = read_links(s, s->file, "", &count, err);
    s->group = g;
    for (size_t i = 0; g && i < count; i++) {
        const bool gradients = strcmp(g[i].name, CALIB_GRADIENTS) == 0;
        if (gradients ? !read_gradients(s, err) : !read_named(s, &g[i], err))
            return false;
        if (!gradients)
            g[s->groups++] = g[i];
    }
    return g != NULL;
}

static int compare_tensors(const void *a, const void *b)
{
    const struct calib_by_tensor *x = a, *y = b;
    return strcmp(x->tensor, y->tensor);
}

static bool sort_tensors(struct calib_store *s, struct err *err)
{
    size_t n = 0;
    for (size_t g = 0; g < s->groups; g++)
        n += s->group[g].tensors;
    s->by_tensor = arena_alloc(&s->arena, n, sizeof *s->by_tensor);
    if (!s->by_tensor)
        return err_set(err, ERR_MEMORY, "%zu tensors", n);
    for (size_t g = 0; g < s->groups; g++)
        for (size_t t = 0; t < s->group[g].tensors; t++)
            s->by_tensor[s->tensors++] = (struct calib_by_tensor){s->group[g].tensor[t], g};
    qsort(s->by_tensor, n, sizeof *s->by_tensor, compare_tensors);
    for (size_t i = 1; i < n; i++)
        if (strcmp(s->by_tensor[i - 1].tensor, s->by_tensor[i].tensor) == 0)
            return err_set(err, ERR_FORMAT, "tensor '%s' is there twice", s->by_tensor[i].tensor);
    return true;
}

bool calib_store_open(struct calib_store *s, const char *path, struct err *err)
{
    struct stat st;
    *s = (struct calib_store){0};
    calib_hdf5_quiet();
    s->path = arena_text(&s->arena, path, strlen(path));
    if (!s->path)
        return err_set(err, ERR_MEMORY, "%s: no memory for its name", path);
    const bool there = stat(path, &st) == 0 && S_ISREG(st.st_mode);
    const hid_t file = there ? H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT) : -1;
    bool ok = file >= 0;
    if (!there)
        err_set(err, ERR_IO, "cannot open: no such file");
    else if (!ok)
        calib_hdf5_fail(err, ERR_FORMAT, "is no HDF5 file, or a damaged one");
    else
        s->file = file;
    ok = ok && read_info(s, err) && read_groups(s, err) && sort_tensors(s, err);
    if (ok)
        return true;
    calib_store_close(s);
    return err_wrap(err, "%s", path);
}

void calib_store_close(struct calib_store *s)
{
    if (s->file > 0)
        H5Fclose(s->file);
    arena_close(&s->arena);
    *s = (struct calib_store){0};
}

bool calib_store_probe(const char *path)
{
    struct stat st;
    calib_hdf5_quiet();
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || H5Fis_hdf5(path) <= 0)
        return false;
    const hid_t file = H5Fopen(path, H5F_ACC_RDONLY, H5P_DEFAULT);
    const bool is =
        file < 0 || (H5Aexists(file, CALIB_FORMAT) > 0 && H5Aexists(file, CALIB_QUERN) > 0);
    if (file >= 0)
        H5Fclose(file);
    return is;
}

const struct calib_group *calib_store_find(const struct calib_store *s, const char *tensor)
{
    const struct calib_by_tensor key = {.tensor = tensor};
    const struct calib_by_tensor *found =
        s->tensors ? bsearch(&key, s->by_tensor, s->tensors, sizeof key, compare_tensors) : NULL;
    return found ? &s->group[found->group] : NULL;
}

const struct calib_group *calib_store_gradient(const struct calib_store *s, const char *tensor)
{
    for (size_t i = 0; i < s->gradients; i++)
        if (strcmp(s->gradient[i].tensor[0], tensor) == 0)
            return &s->gradient[i];
    return NULL;
}

/* Finite, and in the diagonal what the means say. */
static bool check_triangle(const struct calib_group *g, size_t matrix, const float *upper,
                           struct err *err)
{
    const float *at = upper;
    for (size_t r = 0; r < g->cols; r++) {
        const float mean = g->mean_square[matrix * g->cols + r];
        if (at[0] != mean)
            return err_set(err, ERR_FORMAT, "column %zu: the Hessian has %g, its mean square is %g",
                           r, (double)at[0], (double)mean);
        for (size_t c = r; c < g->cols; c++)
            if (!isfinite(at[c - r]))
                return err_set(err, ERR_NUMERIC, "the Hessian's value at row %zu, column %zu is %g",
                               r, c, (double)at[c - r]);
        at += g->cols - r;
    }
    return true;
}

bool calib_store_hessian(const struct calib_store *s, const struct calib_group *g, size_t matrix,
                         float *upper, struct err *err)
{
    size_t values = 0;
    calib_triangle(g->cols, &values);
    const hsize_t from[2] = {matrix, 0}, take[2] = {1, values};
    const hid_t group = H5Gopen2(s->file, g->name, H5P_DEFAULT);
    const hid_t set = group < 0 ? -1 : H5Dopen2(group, CALIB_HESSIAN, H5P_DEFAULT);
    const hid_t space = set < 0 ? -1 : H5Dget_space(set);
    const hid_t memory = H5Screate_simple(1, &take[1], NULL);
    bool ok = space >= 0 && memory >= 0 &&
              H5Sselect_hyperslab(space, H5S_SELECT_SET, from, NULL, take, NULL) >= 0 &&
              H5Dread(set, H5T_NATIVE_FLOAT, memory, space, H5P_DEFAULT, upper) >= 0;
    if (!ok)
        calib_hdf5_fail(err, ERR_FORMAT, "its Hessian cannot be read");
    calib_hdf5_drop(memory);
    calib_hdf5_drop(space);
    calib_hdf5_drop(set);
    calib_hdf5_drop(group);
    ok = ok && check_triangle(g, matrix, upper, err);
    return ok || err_wrap(err, "%s: group '%s'", s->path, g->name);
}
