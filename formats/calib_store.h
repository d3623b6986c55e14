/* calib_store.h - what calibration found out about a model, on file: calib.h5 (docs/calib-format.md).
 *
 * An HDF5 file, one group per input: linears that multiply with the same x share it.  Of each
 * input (of an expert: each matrix) there are the tokens seen, the mean of x_j^2 for each column j and,
 * unless the file is of importance alone, the Hessian: the mean of x x', symmetric, of which the
 * upper triangle is stored, row by row.
 *
 * Reading: all is checked when the store is opened, Hessians when they are read: what a store gives
 * is finite, means are not below 0, and a Hessian's diagonal is its mean squares.  A store and its
 * Hessians are used from one thread at a time; no two threads may be inside HDF5.
 * Writing: the same content gives the same bytes, and the file appears whole or not at all.
 */
#ifndef FORMATS_CALIB_STORE_H
#define FORMATS_CALIB_STORE_H

#include "core/arena.h"
#include "core/err.h"
#include "core/sink.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CALIB_GRADIENTS "gradients" /* the HDF5 group that those of outputs are in */

struct calib_text {
    const char *name;   /* of the file, without folders */
    const char *sha256; /* of its bytes; "" not known */
};

/* What the whole file says.  Texts are never NULL: "" where something is not known. */
struct calib_info {
    const char *quern;        /* version that made it */
    const char *architecture; /* general.architecture */
    const char *model;     /* fingerprint, the same for any type and container (calib/identity.h) */
    const char *source;    /* sha256 of the source's tensors: names, types, shapes, data */
    const char *through;   /* the same of the file that made the activations, where it is another */
    const char *tokenizer; /* tokenizer.ggml.model and .pre: "gpt2/llama-bpe" */
    const char *vocabulary; /* sha256 of its tokens */
    const struct calib_text *text;
    size_t texts;
    uint64_t context; /* tokens of a window; 0: windows of several sizes */
    uint64_t windows;
    uint64_t tokens;
    bool hessians; /* or importance alone */
};

struct calib_group {
    const char *name;          /* "blk.0.attn_in" */
    const char *const *tensor; /* GGUF names of the linears */
    size_t tensors;
    size_t cols, matrices;    /* matrices: experts, else 1 */
    const uint64_t *tokens;   /* matrices: that each saw; 0: its means are 0 */
    const float *mean_square; /* matrices x cols */
    bool has_hessian;
};

struct calib_by_tensor {
    const char *tensor;
    size_t group;
};

struct calib_store {
    const char *path;
    struct arena arena;
    struct calib_info info;
    struct calib_group *group; /* in the order of the model */
    size_t groups;
    struct calib_group *gradient; /* of outputs: one a linear, or none */
    size_t gradients;
    struct calib_by_tensor *by_tensor; /* sorted */
    size_t tensors;
    int64_t file; /* HDF5's handle; 0: closed */
};

/* Is it an HDF5 file that says it is one of these, or that is too damaged to say what it is? */
bool calib_store_probe(const char *path);

/* Fails with ERR_IO, ERR_FORMAT, ERR_NUMERIC (a value that is not finite or below 0), ERR_UNSUPPORTED
 * (a later version of the format), ERR_MEMORY; *s is then closed. */
bool calib_store_open(struct calib_store *s, const char *path, struct err *err);
void calib_store_close(struct calib_store *s);

/* The group of a GGUF tensor ("blk.3.ffn_up.weight"), or NULL.  O(log n). */
const struct calib_group *calib_store_find(const struct calib_store *s, const char *tensor);

/* What the loss thinks of that tensor's outputs (calib/backward.h): a group whose `cols` are the
 * tensor's rows and whose Hessian is the mean of g g' over tokens, g the gradient; or NULL. */
const struct calib_group *calib_store_gradient(const struct calib_store *s, const char *tensor);

/* cols * (cols + 1) / 2; false where that is no size. */
bool calib_triangle(uint64_t cols, size_t *values);

/* The Hessian of one matrix of a group that has them: its upper triangle, row by row,
 * (0,0) (0,1) ... (0,cols-1) (1,1) ...  All 0 where the matrix saw no tokens.
 * Fails with ERR_FORMAT, ERR_NUMERIC or ERR_IO. */
bool calib_store_hessian(const struct calib_store *s, const struct calib_group *g, size_t matrix,
                         float *upper, struct err *err);

/* Hessians that are to be written: gives `count` values of a triangle from `first` on.  Called matrix
 * by matrix, each from its beginning to its end. */
struct calib_hessian {
    bool (*values)(void *arg, size_t matrix, size_t first, size_t count, float *out,
                   struct err *err);
    void *arg;
};

struct calib_writer {
    struct sink sink;
    int64_t file;
};

/* Starts a file.  Fails with ERR_USAGE (it exists, no force), ERR_IO or ERR_FORMAT. */
bool calib_writer_open(struct calib_writer *w, const char *path, bool force,
                       const struct calib_info *info, struct err *err);

/* Adds a group behind those that are there; `hessian` may be NULL.  That of a gradient is named
 * CALIB_GRADIENTS "/" and the tensor.  Fails with ERR_IO, or as
 * hessian->values does. */
bool calib_writer_add(struct calib_writer *w, const struct calib_group *g,
                      const struct calib_hessian *hessian, struct err *err);

/* Adds a group as it stands in another store, without decoding its Hessians.  Fails with ERR_IO. */
bool calib_writer_copy(struct calib_writer *w, const struct calib_store *from,
                       const struct calib_group *g, struct err *err);

/* Makes the file appear under its name and closes the writer. */
bool calib_writer_commit(struct calib_writer *w, struct err *err);

/* Gives up what was not committed; a zeroed or closed writer is allowed. */
void calib_writer_close(struct calib_writer *w);

#endif
