/* Prints the tensors of a checkpoint, one a line: name, type, CRC-32 of the bytes, sizes; for
 * comparison with other readers.  Exit 1 and a sentence where it is refused. */
#include "formats/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>

static uint32_t crc32_of(const uint8_t *data, size_t size)
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= data[i];
        for (int bit = 0; bit < 8; bit++)
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
    }
    return ~crc;
}

int main(int argc, char **argv)
{
    struct checkpoint c;
    struct err err = {0};
    if (argc != 2 || !checkpoint_open(&c, argv[1], &err)) {
        fprintf(stderr, "%s\n", argc == 2 ? err.text : "usage: dump_checkpoint PATH");
        return argc == 2 ? 1 : 2;
    }
    for (size_t i = 0; i < c.tensors; i++) {
        const struct tensor *t = &c.tensor[i];
        printf("%s\t%s\t%08" PRIx32 "\t", t->name, t->dtype->name, crc32_of(t->data, t->bytes));
        for (int d = 0; d < t->dims; d++)
            printf("%s%" PRIu64, d ? " " : "", t->shape[d]);
        putchar('\n');
    }
    checkpoint_close(&c);
    return 0;
}
