/* The KL base file reader on any bytes: what it accepts has every token and row that it promises. */
#include "core/mem.h"
#include "eval/base_file.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void expect(bool ok)
{
    if (!ok)
        abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct base_file b = {0};
    struct err err = {0};
    if (!base_file_read(&b, data, size, &err)) {
        expect(err.code == ERR_FORMAT && err.text[0]);
        return 0;
    }
    expect(b.windows * b.context * 4 <= size && b.vocab * 2 <= size);
    uint32_t *token = mem_alloc(b.windows * b.context, sizeof *token);
    float *log_p = mem_alloc(b.vocab, sizeof *log_p);
    expect(token && log_p);
    base_file_tokens(&b, token);
    for (size_t window = 0; window < b.windows; window++)
        for (size_t i = 0; i < b.scored; i++)
            base_row_decode(base_file_row(&b, window, i), log_p, b.vocab);
    const uint8_t *last = base_file_row(&b, b.windows - 1, b.scored - 1);
    expect(last + b.row_bytes == data + size);
    free(token);
    free(log_p);
    return 0;
}
