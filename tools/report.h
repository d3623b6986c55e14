/* report.h - the words and numbers that several reports share. */
#ifndef TOOLS_REPORT_H
#define TOOLS_REPORT_H

#include "core/json.h"
#include "core/tensor.h"
#include "quantize/error.h"

#include <stddef.h>

enum { REPORT_TEXT = 32 };

/* Adds "mse", "rmse", "snr_db", "max_error" and, where known, "weighted_mse"; an exact tensor has
 * an snr_db of null. */
void report_figures(json_t *to, const struct error_figures *f);

/* Adds "type", "shape" (outermost first) and "weights". */
void report_tensor(json_t *to, const struct tensor *t, const struct dtype *d);

/* "34.21", or "exact". */
const char *report_snr(const struct error_figures *f, char text[REPORT_TEXT]);

/* Marks the `most` tensors with the lowest SNR among those that lost something. */
void report_mark_worst(const struct error_figures *f, size_t count, size_t most, bool *marked);

/* A JSON string of any bytes: U+FFFD stands for each that is no UTF-8.  NULL: fails with ERR_MEMORY. */
json_t *report_bytes(const char *bytes, size_t length, struct err *err);

/* Writes the report to stdout, indented.  Fails with ERR_IO. */
bool report_print(const json_t *report, struct err *err);

#endif
