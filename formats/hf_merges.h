/* hf_merges.h - a BPE's merges: as GGUF's list, or as the scores of a SentencePiece-like one. */
#ifndef FORMATS_HF_MERGES_H
#define FORMATS_HF_MERGES_H

#include "formats/hf_vocab.h"

/* Sets tokenizer.ggml.merges ("left right") from tokenizer.json's model.merges: strings, or
 * pairs whose spaces are then spelled as the byte letter of a space.  Fails with ERR_FORMAT. */
bool hf_merges_write(const json_t *merges, struct meta *m, struct err *err);

/* Sets tokenizer.ggml.scores.  The engine merges whatever neighbours make the piece of the highest
 * score; tokenizer.json has merges in order instead.  So: minus the rank of the first merge that
 * makes the piece; pieces that no merge makes come last.  Fails with ERR_FORMAT or ERR_MEMORY. */
bool hf_merges_score(const json_t *merges, const struct hf_vocab *v, struct meta *m,
                     struct err *err);

#endif
