/* backward_parts.h - what the files of the backward pass share (calib/backward.h). */
#ifndef CALIB_BACKWARD_PARTS_H
#define CALIB_BACKWARD_PARTS_H

#include "calib/backward.h"

struct backward_widths {
    size_t embd, ffn, q, k, v, mixed; /* of a token */
};
struct backward_widths backward_widths(const struct hparams *h);

void backward_look(const struct backward *b, const struct linear *linear, const float *x,
                   const float *gradient, size_t tokens);

/* dx (tokens x cols) += gradient (tokens x rows) times the matrix. */
void backward_linear(const struct backward *b, const struct linear *linear, const float *gradient,
                     size_t tokens, float *dx);

/* dx: the gradient of x, where dy is that of x normed and scaled with gain; may be dy. */
void backward_norm(float *dx, const float *x, const float *gain, const float *dy, size_t n,
                   double epsilon);

/* b->normed = x normed, b->dnormed = 0; and then, b->dx += what b->dnormed is for x. */
void backward_enter(struct backward *b, const float *x, const float *gain, size_t tokens);
void backward_leave(struct backward *b, const float *x, const float *gain, size_t tokens);

/* b->dx from behind a layer's attention to before it, which x entered. */
void backward_attention(struct backward *b, const struct weights_layer *w, const float *x,
                        size_t tokens);

#endif
