/* imatrix_write.h - writes importance matrices in both of llama.cpp's forms (imatrix_file.h).
 *
 * Files appear whole or not at all.  A .dat keeps means only (the counts become the number of
 * chunks) and the name of the first text.
 */
#ifndef FORMATS_IMATRIX_WRITE_H
#define FORMATS_IMATRIX_WRITE_H

#include "formats/imatrix_file.h"

/* Fails with ERR_USAGE (the file exists, no force), ERR_FORMAT (a name too long for a GGUF tensor,
 * a number too large for a .dat), ERR_NUMERIC (a sum is no float), ERR_IO, ERR_MEMORY. */
bool imatrix_write_dat(const struct imatrix *m, const char *path, bool force, struct err *err);
bool imatrix_write_gguf(const struct imatrix *m, const char *path, bool force, struct err *err);

#endif
