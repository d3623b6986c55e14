/* gptq_uniform_avx2.c - the tile of gptq_uniform.c in AVX2: same bytes. */
#include "calib/gptq_uniform_impl.h"

void gptq_uniform_tile_avx2(struct uniform_tile *t, const float *w, int rows,
                            const struct uniform_rows *to, struct uniform_sums *sums)
{
    encode_tile(t, w, rows, to, sums);
}
