/* hf_special.h - what a tokenizer has beside its pieces: special ids, what is put around a text,
 * chat templates. */
#ifndef FORMATS_HF_SPECIAL_H
#define FORMATS_HF_SPECIAL_H

#include "formats/hf_vocab.h"

/* Sets tokenizer.ggml.bos_token_id and its like, add_bos_token and its like.  Names come before
 * ids: tokenizer_config.json, special_tokens_map.json, then generation_config.json, config.json.
 * add_* is left out where no file says it: the engine then has a habit for each splitter. */
void hf_special_write(const struct hf_tokenizer_files *from, const struct hf_vocab *v,
                      struct meta *m);

/* Sets tokenizer.chat_template, and .chat_template.NAME with .chat_templates for further ones. */
void hf_special_write_templates(const struct hf_tokenizer_files *from, struct meta *m);

#endif
