/* folder.h - which file of a folder is the model.
 *
 * Files are grouped by the name they would have as one file: model.safetensors,
 * model-00001-of-00002.safetensors and model.safetensors.index.json are one model.  In a
 * group the index speaks for its shards.  Among several models the one named "model" is
 * taken, of the container that stands first in the table; else the person must choose.
 */
#ifndef FORMATS_FOLDER_H
#define FORMATS_FOLDER_H

#include "core/arena.h"
#include "core/err.h"

/* The path to open, in the arena.  NULL with ERR_UNSUPPORTED (there is none: what is there and
 * what would be read), ERR_USAGE (several, listed), ERR_IO, ERR_FORMAT (an index), ERR_MEMORY. */
const char *folder_find_model(const char *folder, struct arena *a, struct err *err);

/* "PyTorch": whose weights are named like this, where quern does not read them; else NULL. */
const char *folder_unread_kind(const char *path);

#endif
