/* plan.h - from a checkpoint to the tensors of a GGUF: what comes from where, edited how.
 *
 * A plan is made before anything is written: metadata, and one plan_tensor for each tensor of
 * the output in the order in which stock llama.cpp sorts them (those without a layer first, by
 * name; then layer by layer, by name).  It points into the checkpoint, which must stay open.
 * A GGUF source gives the identity plan.
 *
 * Nothing is dropped, widened or guessed silently: plan.note has a sentence for each kind.
 */
#ifndef MODEL_PLAN_H
#define MODEL_PLAN_H

#include "core/arena.h"
#include "core/tensor.h"
#include "formats/checkpoint.h"
#include "formats/meta.h"
#include "model/arch.h"
#include "model/hparams.h"
#include "quantize/kernels.h"

/* How the rows of an output tensor come from its source. */
enum plan_edit {
    PLAN_COPY,     /* row r of the source */
    PLAN_PERMUTE,  /* llama's q and k: rows of a head from (half, pair) to (pair, half) order */
    PLAN_COMPUTED, /* no source: `computed` holds the f32 values (rope_freqs) */
};

struct plan_tensor {
    struct tensor out; /* name, shape; dtype: what convert writes by --type auto; no data */
    enum plan_edit edit;
    const struct tensor *source;     /* in the checkpoint; NULL for PLAN_COMPUTED */
    uint64_t heads;                  /* PLAN_PERMUTE: the source's rows are heads x head rows */
    const struct tensor *scale;      /* of an FP8 source: a grid of factors, or NULL */
    uint64_t scale_rows, scale_cols; /* the block of weights that one factor is for */
    const float *computed;           /* PLAN_COMPUTED: in the plan's arena */
    const float *by_row, *by_col;    /* factors of the output's values, behind every edit, or NULL:
                                        model/fold.h sets them; of a vector only by_col */
    bool keep;                       /* norms, biases, routers: out.dtype in every output */
};

struct plan_options {
    const char *pre;  /* --pre, or NULL */
    const char *name; /* general.name, or NULL: from the source */
    bool vocab_only;  /* tokenizer and keys, no tensors */
};

enum { PLAN_NOTES_MAX = 16 };

struct plan {
    struct arena arena;
    const struct checkpoint *checkpoint;
    const struct arch *arch; /* NULL: a GGUF of an architecture that the table does not have */
    struct hparams hparams;  /* where arch is NULL: what its keys say, the rest 0 */
    struct meta meta;        /* without general.file_type and general.quantization_version */
    struct plan_tensor *tensor;
    size_t tensors;
    const char *note[PLAN_NOTES_MAX]; /* warnings for the person, whole sentences without a dot */
    size_t notes;
};

/* Fails with ERR_UNSUPPORTED (an unknown architecture: the known ones and the nearest; weights
 * that are quantized already), ERR_FORMAT (a missing, unknown or misshapen tensor, named with both
 * shapes; a vocabulary larger than the embedding ...), ERR_IO or ERR_MEMORY; *p is then closed. */
bool plan_open(struct plan *p, const struct checkpoint *c, const struct plan_options *options,
               struct err *err);
void plan_close(struct plan *p);

/* The tensor of that GGUF name, or NULL. */
const struct plan_tensor *plan_find(const struct plan *p, const char *name);

/* The source bytes of row `row` of t, of t->source->dtype: where the edit only moves whole rows
 * they can be copied or decoded as they are; else NULL (computed, scaled, folded, a permuted bias).
 */
const uint8_t *plan_row(const struct plan_tensor *t, uint64_t row);

/* Rows [row, row + rows) of t as f32 (rows x cols, row-major) into dst.  Cannot fail. */
void plan_read(const struct plan_tensor *t, const struct kernels *k, uint64_t row, size_t rows,
               float *dst);

#endif
