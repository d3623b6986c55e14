/* store_imatrix.h - calibrations as llama.cpp's importance matrices, and the other way round.
 *
 * An imatrix has an entry a tensor, a calibration a group an input.  A tied embedding, whose rows are
 * looked up as well, has no entry, as with llama.cpp's own tool.
 */
#ifndef CALIB_STORE_IMATRIX_H
#define CALIB_STORE_IMATRIX_H

#include "formats/calib_store.h"
#include "formats/imatrix_file.h"

/* The squares of a store.  Fails with ERR_MEMORY, ERR_FORMAT (a tensor twice); *m is then closed. */
bool store_to_imatrix(const struct calib_store *s, struct imatrix *m, struct err *err);

/* Writes them to a file: in the old form where its name ends with ".dat", else as GGUF.  Fails as
 * formats/imatrix_write.h. */
bool store_write_imatrix(const struct calib_store *s, const char *path, bool force,
                         struct err *err);

/* A store of importance alone, in memory: model and architecture are not known.  Tensors that share
 * their values and, by their names, their input become one group.  *assumed: how many tokens a chunk
 * was taken to have where the file does not tell (.dat); else 0.  Fails as imatrix_open; *s is then
 * closed. */
bool store_from_imatrix(struct calib_store *s, const char *path, size_t *assumed, struct err *err);

#endif
