/* identity.h - which model is it?  Hashes as text (core/hash.h).
 *
 * The fingerprint of a model is the same for a checkpoint and for every GGUF made of it, whatever
 * the type of its matrices: it is made of the names and shapes of all tensors and the values of
 * the vectors (gains, biases), which no conversion changes.  Two models that differ in matrices alone
 * have the same; the source's hash tells them apart.
 */
#ifndef CALIB_IDENTITY_H
#define CALIB_IDENTITY_H

#include "core/hash.h"
#include "formats/calib_store.h"
#include "model/plan.h"

/* Fails with ERR_MEMORY. */
bool identity_model(const struct plan *p, const struct kernels *k, char text[HASH_TEXT],
                    struct err *err);

/* Names, types, shapes and data of a checkpoint's tensors, by name.  Reads the whole source. */
void identity_source(const struct checkpoint *c, char text[HASH_TEXT]);

/* The bytes of a file.  Fails with ERR_IO. */
bool identity_file(const char *path, char text[HASH_TEXT], struct err *err);

/* The texts and types of the tokens of a GGUF's (or a plan's) metadata. */
void identity_vocabulary(const struct meta *meta, char text[HASH_TEXT]);

/* Fails with ERR_FORMAT, one sentence, where the store is of another model than the plan: another
 * architecture or fingerprint, or a tensor whose columns differ. */
bool identity_check(const struct calib_store *s, const struct plan *p, const struct kernels *k,
                    struct err *err);

#endif
