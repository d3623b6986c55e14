/* recipe_file.h - types tensor by tensor, on file: a line "NAME=TYPE" each.
 *
 * Empty lines and those that begin with '#' do not count.  A file that was written for one model
 * serves for its other versions: what it does not name follows the recipe.
 */
#ifndef MODEL_RECIPE_FILE_H
#define MODEL_RECIPE_FILE_H

#include "model/recipe.h"

/* Changes the choices of the tensors that the file names, but for those that were asked for by
 * name.  Fails with ERR_IO, ERR_FORMAT (a line that is none, a tensor that the model does not have or
 * whose columns are not whole blocks of the type, one twice) or ERR_USAGE (an unknown type): path
 * and line are named. */
bool recipe_file_read(const char *path, const struct plan_tensor *tensor, size_t count,
                      struct recipe_choice *choice, struct err *err);

/* Writes the choices of all tensors that are stored in blocks. */
bool recipe_file_write(const char *path, bool force, const struct plan_tensor *tensor, size_t count,
                       const struct recipe_choice *choice, struct err *err);

#endif
