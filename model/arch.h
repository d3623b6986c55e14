/* arch.h - the architectures that quern converts: one row each.
 *
 * A row says which Hugging Face classes it serves, what stock llama.cpp calls it, and, tensor
 * by tensor, the name in the checkpoint, the name in a GGUF, the shape and the edit between.
 *
 * To add an architecture: its tensors as a table and a row in arch.c; an edit that is not
 * there yet gets a name in enum arch_edit and its rows in plan_rows.c; a size that is not
 * there yet a name in enum arch_dim and a line in arch_dim_size().  tests/oracle/names_package.py
 * compares the names with the gguf package's.
 */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "core/err.h"
#include "model/hparams.h"

#include <stddef.h>
#include <stdint.h>

/* Sizes of tensors, in terms of struct hparams. */
enum arch_dim {
    ARCH_DIM_NONE, /* behind the last size */
    ARCH_DIM_EMBD,
    ARCH_DIM_VOCAB,
    ARCH_DIM_FFN,
    ARCH_DIM_HEAD, /* head_dim */
    ARCH_DIM_Q,    /* heads x head_dim */
    ARCH_DIM_K,    /* kv_heads x head_dim */
    ARCH_DIM_V,    /* kv_heads x value_dim */
    ARCH_DIM_O,    /* heads x value_dim */
    ARCH_DIM_COUNT
};

/* What is done to a tensor's rows on the way. */
enum arch_edit {
    ARCH_COPY,
    ARCH_PERMUTE_Q, /* the rows of each of `heads` heads from (half, pair) to (pair, half) order */
    ARCH_PERMUTE_K, /* the same, of `kv_heads` heads */
};

enum { ARCH_DIMS_MAX = 4 };

struct arch_tensor {
    const char *source; /* "model.layers.%d.mlp.up_proj.weight"; %d is the layer */
    const char *name;   /* "blk.%d.ffn_up.weight" */
    enum arch_dim shape[ARCH_DIMS_MAX]; /* of the source, outermost first */
    enum arch_edit edit;
    bool optional; /* a bias, or the output matrix that may be the embedding */
};

struct arch {
    const char *name;               /* general.architecture */
    const char *const *class;       /* of config.json's "architectures"; NULL behind the last */
    const char *const *model_type;  /* of config.json, where no class is named */
    const struct arch_tensor *tensor; /* source == NULL behind the last */
    const char *const *dropped;     /* patterns of tensors that hold nothing a GGUF needs */
};

/* The i-th row, or NULL past the last; by GGUF name, or NULL. */
const struct arch *arch_at(size_t i);
const struct arch *arch_find(const char *name);

/* The row that serves this config.json.  Fails with ERR_UNSUPPORTED: the sentence names the
 * nearest class and lists the known ones; or ERR_FORMAT where it names none. */
bool arch_find_config(const struct arch **arch, const json_t *config, struct err *err);

/* The row of the tensor of that checkpoint name and its layer (-1: none), or NULL.  A leading
 * "model." may be left out, as base models do. */
const struct arch_tensor *arch_find_tensor(const struct arch *arch, const char *source,
                                           int64_t *layer);

/* True where the name is on the row's list of tensors that are dropped. */
bool arch_drops(const struct arch *arch, const char *source);

/* The size; and what config.json calls it. */
uint64_t arch_dim_size(enum arch_dim dim, const struct hparams *h);
const char *arch_dim_name(enum arch_dim dim);

#endif
