/* llama_option.h - what options of llama.cpp's programs are called here. */
#ifndef TOOLS_LLAMA_OPTION_H
#define TOOLS_LLAMA_OPTION_H

#include <stddef.h>

/* An option that quern does not have under that name. */
struct llama_option {
    const char *name; /* with its dashes */
    const char *ours; /* a name in the tables of tools/opts.h, where the command has it; or NULL */
    const char *hint; /* otherwise: what to do, or NULL */
};

/* By the first `length` letters of `name`; NULL where it is none of llama.cpp's. */
const struct llama_option *llama_option_find(const char *name, size_t length);

#endif
