/* base_file.h - a model's predictions on file, for others to be compared with: the KL base files
 * of llama-perplexity.
 *
 *   "_logits_"                    8 bytes
 *   context, vocabulary, windows  int32 each, all little-endian
 *   tokens                        int32, windows x context, as they are in the text
 *   rows                          windows x (context - 1 - context / 2): what follows on each
 *                                 token of a window's second half, but for the last
 * A row:
 *   step, least                   float each
 *   level                         uint16 each, the vocabulary rounded up to an even number
 *
 * log p(i) = least + step * level[i].  The levels span at most the 16 nats below the likeliest
 * token; what lies lower has level 0, and what is less likely than exp(BASE_FILE_FLOOR) does
 * not count in a divergence.
 */
#ifndef EVAL_BASE_FILE_H
#define EVAL_BASE_FILE_H

#include "core/map.h"
#include "core/sink.h"
#include "eval/windows.h"

#include <stdbool.h>

#define BASE_FILE_FLOOR (-16.0)

struct base_file {
    struct map map; /* of base_file_open */
    size_t context, vocab, windows, scored;
    size_t row_bytes;
    const uint8_t *token, *row; /* in the file */
};

/* Maps the file and checks that it has all that its header promises, and nothing else.  Fails with
 * ERR_IO, or ERR_FORMAT with a sentence that names it. */
bool base_file_open(struct base_file *b, const char *path, struct err *err);
void base_file_close(struct base_file *b);

/* The same of bytes, which must stay. */
bool base_file_read(struct base_file *b, const void *data, size_t size, struct err *err);

/* All tokens, windows x context. */
void base_file_tokens(const struct base_file *b, uint32_t *token);

/* The row behind the i-th scored token of a window. */
const uint8_t *base_file_row(const struct base_file *b, size_t window, size_t i);

/* Begins a file: its header and tokens.  The rows follow in their order, by sink_write, and the
 * caller commits.  Fails with ERR_USAGE (windows with a stride, numbers beyond 32 bits, a
 * file that is there) or ERR_IO. */
bool base_file_begin(struct sink *s, const char *path, bool force, const struct windows *w,
                     size_t vocab, struct err *err);

size_t base_row_bytes(size_t vocab);
void base_row_encode(uint8_t *row, const float *logits, size_t vocab);
void base_row_decode(const uint8_t *row, float *log_p, size_t vocab);

#endif
