/* encode_file - encodes raw float rows for the oracles in tests/oracle.
 *
 *   encode_file TYPE COLS WEIGHTS IMPORTANCE|- BLOCKS
 *
 * WEIGHTS holds rows of COLS floats, IMPORTANCE COLS floats.  Writes the rows' blocks
 * and prints the CPU seconds that the encoder took. */
#include "core/cpu.h"
#include "quantize/kernels.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static void die(const char *what)
{
    fprintf(stderr, "encode_file: %s\n", what);
    exit(1);
}

static void *read_file(const char *path, size_t *bytes)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        die(path);
    *bytes = (size_t)ftell(f);
    rewind(f);
    void *data = malloc(*bytes + 1);
    if (!data || fread(data, 1, *bytes, f) != *bytes)
        die(path);
    fclose(f);
    return data;
}

int main(int argc, char **argv)
{
    if (argc != 6)
        die("usage: encode_file TYPE COLS WEIGHTS IMPORTANCE|- BLOCKS");
    const struct dtype *d = dtype_find(argv[1]);
    const size_t cols = strtoull(argv[2], NULL, 10);
    size_t bytes, row_bytes, importance_bytes = cols * sizeof(float);
    struct err err;
    if (!d)
        die("unknown type");
    if (!dtype_row_bytes(d, cols, &row_bytes, &err))
        die(err.text);
    const float *weights = read_file(argv[3], &bytes);
    const float *importance = strcmp(argv[4], "-") ? read_file(argv[4], &importance_bytes) : NULL;
    if (importance_bytes != cols * sizeof(float) || bytes % (cols * sizeof(float)) != 0)
        die("files are not whole rows");
    const size_t rows = bytes / (cols * sizeof(float));
    uint8_t *blocks = malloc(rows * row_bytes);
    if (!blocks)
        die("memory");

    struct kernels k;
    kernels_init(&k, cpu_features());
    if (!k.encode[d->id])
        die("a type that is only read");
    const clock_t start = clock();
    for (size_t r = 0; r < rows; r++)
        k.encode[d->id](blocks + r * row_bytes, weights + r * cols, importance, cols);
    printf("%.6f\n", (double)(clock() - start) / CLOCKS_PER_SEC);

    FILE *out = fopen(argv[5], "wb");
    if (!out || fwrite(blocks, 1, rows * row_bytes, out) != rows * row_bytes || fclose(out) != 0)
        die(argv[5]);
    return 0;
}
