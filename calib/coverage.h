/* coverage.h - how well a calibration knows an input: columns without energy, experts with few
 * tokens. */
#ifndef CALIB_COVERAGE_H
#define CALIB_COVERAGE_H

#include "formats/calib_store.h"

/* A column is weak below this share of the mean over its matrix's columns. */
#define COVERAGE_WEAK 1e-4

struct coverage {
    double mean_square;   /* over all columns of matrices that saw tokens */
    size_t dead, weak;    /* columns that were always 0; weak ones, without those */
    uint64_t least, most; /* tokens of a matrix */
    size_t unseen, few;   /* matrices without tokens; with fewer than columns: no full rank */
};

struct coverage coverage_of(const struct calib_group *g);

#endif
