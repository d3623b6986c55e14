/* calib_layout.h - the names in a calib.h5, for its reader and its writer, and what both ask of
 * HDF5.  The format is told in docs/calib-format.md. */
#ifndef FORMATS_CALIB_LAYOUT_H
#define FORMATS_CALIB_LAYOUT_H

#include "core/err.h"

#include <stdint.h>

#define CALIB_FORMAT       "format" /* of the root: texts */
#define CALIB_FORMAT_NAME  "quern calibration"
#define CALIB_QUERN        "quern"
#define CALIB_ARCHITECTURE "architecture"
#define CALIB_MODEL        "model"
#define CALIB_SOURCE       "source_sha256"
#define CALIB_THROUGH      "through_sha256"
#define CALIB_TOKENIZER    "tokenizer"
#define CALIB_VOCABULARY   "vocabulary_sha256"
#define CALIB_KIND         "kind"
#define CALIB_KIND_HESSIAN "hessian"
#define CALIB_KIND_SQUARES "importance"
#define CALIB_TEXTS        "texts" /* arrays of texts */
#define CALIB_TEXT_HASHES  "texts_sha256"
#define CALIB_VERSION      "format_version" /* numbers */
#define CALIB_CONTEXT      "context"
#define CALIB_WINDOWS      "windows"
#define CALIB_TOKENS       "tokens" /* and in a group: the data set */

#define CALIB_TENSORS     "tensors" /* of a group: an array of texts */
#define CALIB_COLS        "cols"
#define CALIB_MATRICES    "matrices"
#define CALIB_MEAN_SQUARE "mean_square" /* data sets */
#define CALIB_HESSIAN     "hessian"

enum { CALIB_VERSION_NOW = 1, CALIB_CHUNK = 64 * 1024 /* values of a Hessian */ };

/* Keeps HDF5 from printing, and from loading filters that a file names. */
void calib_hdf5_quiet(void);

/* Closes any handle but one that is below 0. */
void calib_hdf5_drop(int64_t handle);

/* err_set with what HDF5 gives for the reason. */
bool calib_hdf5_fail(struct err *err, enum err_code code, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), cold));

#endif
