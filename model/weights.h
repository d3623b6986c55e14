/* weights.h - the tensors of a GGUF that its architecture's forward pass needs.
 *
 * Each is found by name and its shape checked through the row of model/arch.c.  Matrices stay
 * in the file; vectors (gains, biases) are decoded.  A tensor that the row does not
 * have is refused: leaving it out would give wrong answers.
 *
 * To add a kind of tensor: a member here and its row in weights.c; a matrix also in weights_linear.
 */
#ifndef MODEL_WEIGHTS_H
#define MODEL_WEIGHTS_H

#include "core/arena.h"
#include "formats/checkpoint.h"
#include "model/arch.h"
#include "model/hparams.h"
#include "model/linear.h"
#include "model/rope.h"
#include "quantize/kernels.h"

/* What is NULL the model does not have. */
struct weights_layer {
    const float *attn_norm, *ffn_norm;
    const float *q_norm, *k_norm; /* of a head */
    struct linear q, k, v, o;
    struct linear gate, up, down;
};

struct weights {
    struct arena arena;
    const struct checkpoint *checkpoint;
    const struct arch *arch;
    struct hparams hparams;
    struct rope rope;
    const struct tensor *embedding; /* vocab x embd */
    const float *output_norm;
    struct linear output; /* vocab x embd: the embedding, where the model ties them */
    struct weights_layer *layer;
    uint8_t *laid; /* memory of the linears that are laid out, or NULL */
};

/* The checkpoint must stay open.  Fails with ERR_USAGE (not a GGUF), ERR_UNSUPPORTED (an
 * architecture that is not in the table), ERR_FORMAT (a key or tensor that is missing, misshapen
 * or too many) or ERR_MEMORY; *w is then closed. */
bool weights_open(struct weights *w, const struct checkpoint *c, const struct kernels *k,
                  struct err *err);
void weights_close(struct weights *w);

/* Lays out the matrices that k then multiplies faster with one x (quantize/dot_laid.h): for a model
 * that is to generate.  That takes their bytes in memory, in place of the file's pages; where half
 * of what there is does not suffice, all stays as it is.  None may be replaced afterwards.  Fails
 * with ERR_STOPPED. */
bool weights_lay_out(struct weights *w, const struct dot_kernels *k, struct pool *pool,
                     struct err *err);

/* Linear i of a layer: q, k, v, o, gate, up, down. */
enum { WEIGHTS_LINEARS = 7 };
struct linear *weights_linear(struct weights_layer *l, size_t i);

/* From here on the model has t in place of its tensor of that name, of the same shape in any type;
 * a matrix must stay.  One that is no part of the model changes nothing.  Fails with ERR_NUMERIC (a
 * vector that is not finite) or ERR_MEMORY. */
bool weights_replace(struct weights *w, const struct tensor *t, const struct kernels *k,
                     struct err *err);

#endif
