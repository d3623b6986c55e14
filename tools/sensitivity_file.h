/* sensitivity_file.h - measured sensitivities on file (JSON), for the next budget. */
#ifndef TOOLS_SENSITIVITY_FILE_H
#define TOOLS_SENSITIVITY_FILE_H

#include "calib/sensitivity.h"
#include "core/json.h"

/* Writes s, and `key`: what it was measured with. */
bool sensitivity_save(const struct sensitivity *s, const char *key, const char *path,
                      struct err *err);

/* Reads it for a model's weights.  Fails with ERR_USAGE where the file is of another key, or lacks one
 * of the asked types; ERR_FORMAT where it is no such file. */
bool sensitivity_load(struct sensitivity *s, const char *key, const bool *type,
                      const struct checkpoint *model, const char *path, struct err *err);

#endif
