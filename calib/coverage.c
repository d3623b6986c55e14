#include "calib/coverage.h"

static void add_matrix(struct coverage *c, const float *mean_square, size_t cols)
{
    double sum = 0;
    for (size_t i = 0; i < cols; i++)
        sum += (double)mean_square[i];
    for (size_t i = 0; i < cols; i++)
        if (mean_square[i] == 0)
            c->dead++;
        else if ((double)mean_square[i] < COVERAGE_WEAK * sum / (double)cols)
            c->weak++;
    c->mean_square += sum / (double)cols;
}

struct coverage coverage_of(const struct calib_group *g)
{
    struct coverage c = {.least = UINT64_MAX};
    for (size_t m = 0; m < g->matrices; m++) {
        const uint64_t tokens = g->tokens[m];
        c.least = tokens < c.least ? tokens : c.least;
        c.most = tokens > c.most ? tokens : c.most;
        c.unseen += tokens == 0;
        c.few += tokens > 0 && tokens < g->cols;
        if (tokens > 0)
            add_matrix(&c, g->mean_square + m * g->cols, g->cols);
    }
    if (c.unseen < g->matrices)
        c.mean_square /= (double)(g->matrices - c.unseen);
    return c;
}
