#include "quantize/uniform.h"

#include "core/half.h"

#include <math.h>

/* Ranges that are tried: 1, 0.975 ... of the whole one. */
enum { CUTS = 24 };
static const float CUT = 0.025f;

bool uniform_check(const struct uniform *u, size_t cols, struct err *err)
{
    if (u->bits != 2 && u->bits != 3 && u->bits != 4 && u->bits != 8)
        return err_set(err, ERR_UNSUPPORTED, "codes of %d bits: 2, 3, 4 and 8 are known", u->bits);
    if (u->group != 0 && u->group != 32 && u->group != 64 && u->group != 128)
        return err_set(err, ERR_UNSUPPORTED,
                       "groups of %zu columns: 32, 64, 128 and whole rows are known", u->group);
    if (cols == 0 || cols % uniform_span(u, cols) != 0)
        return err_set(err, ERR_FORMAT, "%zu columns are not whole groups of %zu", cols, u->group);
    return true;
}

float uniform_scale(const struct uniform *u, float low, float high, float *zero)
{
    const float top = (float)uniform_max(u);
    const float middle = (float)(1 << (u->bits - 1));
    const float half = fmaxf(-low, high);
    const float range = u->symmetric ? half + half : high - low;
    const float scale = half_to_float(half_from_float(fminf(range / top, 65504.0f)));
    *zero = u->symmetric ? middle : 0.0f;
    if (!u->symmetric && scale > 0.0f)
        *zero = fminf(floorf(-low / scale + 0.5f), top);
    return scale;
}

static inline int code_of(float x, float inverse, float zero, float top)
{
    const float q = x * inverse + zero;
    return (int)((q < 0.0f ? 0.0f : q > top ? top : q) + 0.5f);
}

/* What a group loses. */
static double loss_of(const float *x, const float *importance, size_t n, float scale, float zero,
                      float top)
{
    const float inverse = scale > 0.0f ? 1.0f / scale : 0.0f;
    double loss = 0.0;
    for (size_t i = 0; i < n; i++) {
        const float error = x[i] - scale * ((float)code_of(x[i], inverse, zero, top) - zero);
        loss += (importance ? importance[i] : 1.0f) * error * error;
    }
    return loss;
}

static float choose_scale(const struct uniform *u, const float *x, const float *importance,
                          size_t n, float *zero)
{
    float low = 0.0f, high = 0.0f, scale = 0.0f;
    double best = INFINITY;
    for (size_t i = 0; i < n; i++) {
        low = fminf(low, x[i]);
        high = fmaxf(high, x[i]);
    }
    for (int i = 0; i < CUTS; i++) {
        const float part = 1.0f - (float)i * CUT;
        float z;
        const float s = uniform_scale(u, part * low, part * high, &z);
        const double loss = loss_of(x, importance, n, s, z, (float)uniform_max(u));
        if (loss < best) {
            best = loss;
            scale = s;
            *zero = z;
        }
    }
    return scale;
}

void uniform_encode_row(const struct uniform *u, const float *x, const float *importance,
                        size_t cols, uint8_t *code, uint16_t *scale, uint8_t *zero)
{
    const size_t span = uniform_span(u, cols);
    for (size_t g = 0; g < cols / span; g++, x += span, code += span) {
        float z = 0.0f;
        const float s = choose_scale(u, x, importance ? importance + g * span : NULL, span, &z);
        const float inverse = s > 0.0f ? 1.0f / s : 0.0f;
        for (size_t i = 0; i < span; i++)
            code[i] = (uint8_t)code_of(x[i], inverse, z, (float)uniform_max(u));
        scale[g] = half_from_float(s);
        zero[g] = (uint8_t)z;
    }
}

void uniform_decode_row(const struct uniform *u, const uint8_t *code, const uint16_t *scale,
                        const uint8_t *zero, size_t cols, float *v)
{
    const size_t span = uniform_span(u, cols);
    for (size_t g = 0; g < cols / span; g++, code += span, v += span) {
        const float s = half_to_float(scale[g]);
        for (size_t i = 0; i < span; i++)
            v[i] = s * (float)(code[i] - zero[g]);
    }
}
