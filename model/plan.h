/* plan.h - from a checkpoint to the tensors of a GGUF: what comes from where, edited how.
 *
 * A plan is made before anything is written: metadata, and one plan_tensor for each tensor of
 * the output in the order stock llama.cpp's loader sorts them (token_embd and the others without a
 * layer first by name, then layer by layer by name).  It points into the checkpoint, which must
 * stay open.  A GGUF source gives the identity plan.
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

/* How the rows of an output tensor come from its sources. */
enum plan_edit {
    PLAN_COPY,     /* row r of the only source */
    PLAN_PERMUTE,  /* llama's q and k: rows of a head from (half, pair) to (pair, half) order */
    PLAN_STACK,    /* sources one under the other: experts, fused matrices */
    PLAN_COMPUTED, /* no source: `computed` holds the f32 values (rope_freqs) */
};

struct plan_tensor {
    struct tensor out; /* name, shape; dtype: what convert would write by --type auto; no data */
    enum plan_edit edit;
    const struct tensor *const *source;
    size_t sources;
    uint64_t heads;        /* PLAN_PERMUTE: rows are heads x head rows */
    float add;             /* added to every value (norms stored as weight - 1); else 0 */
    const float *computed; /* PLAN_COMPUTED: in the plan's arena */
    bool keep_f32;         /* norms, biases, routers: F32 in every output */
};

struct plan_options {
    const char *pre;       /* --pre, or NULL */
    const char *name;      /* general.name, or NULL: from the source */
    bool vocab_only;       /* tokenizer and keys, no tensors */
};

enum { PLAN_NOTES_MAX = 16 };

struct plan {
    struct arena arena;
    const struct checkpoint *checkpoint;
    const struct arch *arch; /* NULL: a GGUF of an architecture that the table does not have */
    struct hparams hparams;  /* zero where arch is NULL */
    struct meta meta;        /* without general.file_type and quantization_version */
    struct plan_tensor *tensor;
    size_t tensors;
    const char *note[PLAN_NOTES_MAX]; /* warnings for the person: dropped tensors, guessed splitter... */
    size_t notes;
};

/* Fails with ERR_UNSUPPORTED (unknown architecture: the known ones and the nearest), ERR_FORMAT (missing or misshapen
 * tensor, named with both shapes; vocabulary larger than the embedding ...). */
bool plan_open(struct plan *p, const struct checkpoint *c, const struct plan_options *options,
               struct err *err);
void plan_close(struct plan *p);

/* The source bytes of row `row` of t, where the edit only moves rows (add == 0, one source dtype):
 * they can be copied or decoded as they are.  NULL for PLAN_COMPUTED or add != 0. */
const uint8_t *plan_row(const struct plan_tensor *t, uint64_t row);

/* Rows [row, row + rows) of t as f32 (rows x cols, row-major) into dst.  Cannot fail. */
void plan_read(const struct plan_tensor *t, const struct kernels *k, uint64_t row, size_t rows,
               float *dst);

#endif
