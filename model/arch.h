/* arch.h - the architectures that quern converts: one row each.
 *
 * A row says which Hugging Face classes it serves, what stock llama.cpp calls it, and, tensor
 * by tensor, the name in the checkpoint, the name in a GGUF, the shape and the edit between.
 *
 * To add an architecture: a row in arch.c of parts that are there (a block of tensors that
 * families share), and a part for what is new.  An edit that is not there yet gets a name in enum
 * arch_edit and its rows in plan_rows.c; a size, a name in enum arch_dim and a line in
 * arch_dim_size() and arch_dim_name().  tests/oracle/test_plan.py compares the names with the gguf
 * package's.
 */
#ifndef MODEL_ARCH_H
#define MODEL_ARCH_H

#include "core/err.h"
#include "model/hparams.h"

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sizes of tensors, in terms of struct hparams. */
enum arch_dim {
    ARCH_NONE, /* behind the last size */
    ARCH_EMBD,
    ARCH_VOCAB,
    ARCH_FFN,
    ARCH_HEAD, /* head_dim */
    ARCH_Q,    /* heads x head_dim */
    ARCH_K,    /* kv_heads x head_dim */
    ARCH_V,    /* kv_heads x value_dim */
    ARCH_O,    /* heads x value_dim */
};

/* What is done to a tensor's rows on the way. */
enum arch_edit {
    ARCH_COPY,
    ARCH_PERMUTE_Q, /* the rows of each of `heads` heads from (half, pair) to (pair, half) order */
    ARCH_PERMUTE_K, /* the same, of `kv_heads` heads */
};

/* Which two columns of a head the rotary embedding turns together. */
enum arch_rope {
    ARCH_ROPE_PAIRS,  /* neighbours: 0 and 1, 2 and 3 ... */
    ARCH_ROPE_HALVES, /* one of each half of the turning columns: 0 and n / 2 ... */
};

enum { ARCH_DIMS_MAX = 4, ARCH_PARTS_MAX = 8 };

struct arch_tensor {
    const char *source;                 /* "model.layers.%d.mlp.up_proj.weight"; %d is the layer */
    const char *name;                   /* "blk.%d.ffn_up.weight" */
    enum arch_dim shape[ARCH_DIMS_MAX]; /* of the source, outermost first */
    enum arch_edit edit;
    bool optional; /* a bias, or the output matrix that may be the embedding */
};

struct arch {
    const char *name;              /* general.architecture */
    const char *const *class;      /* of config.json's "architectures"; NULL behind the last */
    const char *const *model_type; /* of config.json, for where no class is named */
    const char *activation;        /* "hidden_act": the GGUF architecture knows no other */
    enum arch_rope rope;           /* in a GGUF */
    const struct arch_tensor *part[ARCH_PARTS_MAX]; /* its tensors; each ends with source NULL */
};

/* The i-th row, or NULL past the last; by GGUF name, or NULL. */
const struct arch *arch_at(size_t i);
const struct arch *arch_find(const char *name);

/* The row that serves this config.json.  Fails with ERR_UNSUPPORTED: the sentence names the
 * nearest class and lists the known ones; or ERR_FORMAT where it names none. */
bool arch_find_config(const struct arch **arch, const json_t *config, struct err *err);

/* The i-th of its tensors, or NULL past the last. */
const struct arch_tensor *arch_tensor_at(const struct arch *arch, size_t i);

/* The tensor of that checkpoint name and its layer (-1: none), or NULL. */
const struct arch_tensor *arch_find_tensor(const struct arch *arch, const char *source,
                                           int64_t *layer);

/* Is it a tensor that holds nothing a GGUF needs (tables that are computed anew)? */
bool arch_drops(const char *source);

/* The size; and what config.json calls it. */
uint64_t arch_dim_size(enum arch_dim dim, const struct hparams *h);
const char *arch_dim_name(enum arch_dim dim);

#endif
