/* codec.h - the table of weight types that quern writes: one row a type.
 *
 * To add a type: its block in core/block.h, its row in core/dtype.c, its
 * kernels (quantize/kernels.h) and one row here.  The command line, the reports
 * and the tests all walk this table.
 */
#ifndef QUANTIZE_CODEC_H
#define QUANTIZE_CODEC_H

#include "core/dtype.h"

#include <stdbool.h>

struct codec {
    enum dtype_id dtype;
    const char *summary;   /* one line for `quern codecs` */
    bool wants_importance; /* poor without it */
    double rms_bound;      /* relative error on N(0,1) weights: tests hold it to this */
};

/* The row of that type, or NULL where quern only reads it. */
const struct codec *codec_find(enum dtype_id dtype);

/* The i-th row, or NULL past the last. */
const struct codec *codec_at(size_t i);

#endif
