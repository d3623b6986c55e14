/* One sweep over the diagonal.  Before step k the tiles hold, of their rows and columns,
 *
 *                 j < k                        j >= k
 *     i < k       L^-1                         -
 *     i >= k      - sum L_im (L^-1)_mj         A_ij - sum L_im L_jm'       (over m < k)
 *
 * and step k, with L_kk from A_kk,
 *
 *     finishes    (L^-1)_kj = L_kk^-1 times what is there     L_ik = what is there times L_kk^-T
 *     subtracts   L_ik (L^-1)_kj  or  L_ik L_jk'  from all (i, j) below
 *     begins      column k of the inverse: - L_ik L_kk^-1, and L_kk^-1 itself.
 */
#include "calib/cholesky.h"

#include "core/mem.h"
#include "core/stop.h"

#include <cblas.h>
#include <lapacke.h>
#include <stdlib.h>

enum { TILE = CHOLESKY_TILE };

static size_t tiles(const struct cholesky *c) { return (c->n + TILE - 1) / TILE; }

bool cholesky_open(struct cholesky *c, size_t n)
{
    *c = (struct cholesky){.n = n};
    c->tile = mem_alloc(tiles(c) * (tiles(c) + 1) / 2, sizeof *c->tile * TILE * TILE);
    return c->tile != NULL;
}

void cholesky_close(struct cholesky *c)
{
    free(c->tile);
    *c = (struct cholesky){0};
}

struct step {
    const struct cholesky *c;
    size_t k;
};

static double *tile(const struct step *s, size_t i, size_t j)
{
    return cholesky_at(s->c, i * TILE, j * TILE);
}

/* Rows, and columns, of tiles of that number. */
static int width(const struct step *s, size_t i)
{
    const size_t left = s->c->n - i * TILE;
    return left < TILE ? (int)left : TILE;
}

/* Items are all but the k-th. */
static void finish(size_t item, int thread, void *arg)
{
    const struct step *s = arg;
    const size_t k = s->k, i = item < k ? item : item + 1;
    (void)thread;
    if (i < k)
        cblas_dtrsm(CblasRowMajor, CblasLeft, CblasLower, CblasNoTrans, CblasNonUnit, width(s, k),
                    width(s, i), 1.0, tile(s, k, k), TILE, tile(s, k, i), TILE);
    else
        cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasTrans, CblasNonUnit, width(s, i),
                    width(s, k), 1.0, tile(s, k, k), TILE, tile(s, i, k), TILE);
}

/* Items are the tiles of the rows below the k-th, but those of column k: i in row i. */
static void subtract(size_t item, int thread, void *arg)
{
    const struct step *s = arg;
    const size_t k = s->k;
    size_t i = k + 1;
    while (item >= i)
        item -= i++;
    const size_t j = item < k ? item : item + 1;
    (void)thread;
    cblas_dgemm(CblasRowMajor, CblasNoTrans, j < k ? CblasNoTrans : CblasTrans, width(s, i),
                width(s, j), width(s, k), -1.0, tile(s, i, k), TILE,
                j < k ? tile(s, k, j) : tile(s, j, k), TILE, 1.0, tile(s, i, j), TILE);
}

/* Items are the rows below the k-th. */
static void begin(size_t item, int thread, void *arg)
{
    const struct step *s = arg;
    const size_t i = s->k + 1 + item;
    (void)thread;
    cblas_dtrsm(CblasRowMajor, CblasRight, CblasLower, CblasNoTrans, CblasNonUnit, width(s, i),
                width(s, s->k), -1.0, tile(s, s->k, s->k), TILE, tile(s, i, s->k), TILE);
}

void openblas_set_num_threads(int threads);

/* What is lower by rows is upper by columns. */
bool cholesky_invert(struct cholesky *c, struct pool *pool)
{
    const size_t n = tiles(c);
    openblas_set_num_threads(1);
    for (size_t k = 0; k < n; k++) {
        struct step s = {c, k};
        if (!stop_check(NULL) ||
            LAPACKE_dpotrf_work(LAPACK_COL_MAJOR, 'U', width(&s, k), tile(&s, k, k), TILE) != 0)
            return false;
        pool_for(pool, n - 1, finish, &s);
        pool_for(pool, n * (n - 1) / 2 - k * (k + 1) / 2, subtract, &s);
        pool_for(pool, n - 1 - k, begin, &s);
        if (LAPACKE_dtrtri_work(LAPACK_COL_MAJOR, 'U', 'N', width(&s, k), tile(&s, k, k), TILE) !=
            0)
            return false;
    }
    return true;
}
