/* imatrix_file.h - llama.cpp's importance matrices: the mean squared activation of each column.
 *
 * There are two forms.  The old one (.dat) is a list of entries,
 *
 *     i32 entries | entry: i32 length, name, i32 calls, i32 values, f32 mean * calls
 *     and perhaps at the end: i32 chunks, i32 length, name of the text
 *
 * the new one a GGUF file whose general.type is "imatrix", with tensors NAME.in_sum2 (sums of
 * squares, matrices x columns) and NAME.counts (how many activations each matrix saw).
 * In memory there is one form: means, and the counts.  A matrix that saw nothing has means
 * of 1, as in stock llama.cpp: it is quantized as if there were no importance.
 *
 * Every value is finite and not negative.  Entries are sorted by name.
 */
#ifndef FORMATS_IMATRIX_FILE_H
#define FORMATS_IMATRIX_FILE_H

#include "core/arena.h"
#include "core/tensor.h"
#include "formats/meta.h"

struct imatrix_entry {
    const char *name;   /* of the weight in a GGUF file: "blk.0.ffn_down.weight" */
    size_t matrices;    /* experts; 1 where the file does not tell them apart (.dat) */
    size_t values;      /* of all matrices: columns x experts */
    const float *mean;  /* matrix by matrix */
    const float *count; /* `matrices` of them: activations, or calls (.dat) */
    size_t unseen;      /* matrices whose count is 0 */
};

struct imatrix {
    struct arena arena;
    struct imatrix_entry *entry;
    size_t entries;
    uint32_t chunks, chunk_size; /* of the calibration; 0: not known */
    struct meta_text *dataset;   /* names of its texts */
    size_t datasets;
};

/* Reads either form.  Fails with ERR_IO, ERR_FORMAT, ERR_NUMERIC (a value is not finite or below
 * 0: its entry and index), ERR_UNSUPPORTED (as gguf_read_header), ERR_MEMORY; the imatrix is then
 * closed. */
bool imatrix_open(struct imatrix *m, const char *path, struct err *err);
bool imatrix_read(struct imatrix *m, const void *data, size_t size, struct err *err);
void imatrix_close(struct imatrix *m);

/* The entry of that tensor, or NULL.  O(log n). */
const struct imatrix_entry *imatrix_find(const struct imatrix *m, const char *name);

/* For one who makes a matrix: adds a copy of an entry (ERR_MEMORY; ERR_NUMERIC where a value is
 * not finite or below 0), and sorts them when all are in (ERR_FORMAT: a name twice). */
bool imatrix_add(struct imatrix *m, const struct imatrix_entry *e, struct err *err);
bool imatrix_sort(struct imatrix *m, struct err *err);

struct imatrix_coverage {
    size_t found;              /* tensors that have an entry */
    size_t missing, unused;    /* tensors without an entry; entries without a tensor */
    size_t unseen;             /* experts of found tensors that calibration never reached */
    const char *first_missing; /* or NULL */
    const char *first_unused;
};

/* Does it fit these tensors, which are going to be quantized with it?  Fails with ERR_FORMAT where
 * an entry has not as many values as its tensor columns (times experts, in 3 dimensions). */
bool imatrix_check(const struct imatrix *m, const struct tensor *const *tensor, size_t tensors,
                   struct imatrix_coverage *coverage, struct err *err);

#endif
