/* make_sequential.h - --sequential: each linear is quantized for what the quantized ones before it make
 * of the calibration text.
 */
#ifndef TOOLS_MAKE_SEQUENTIAL_H
#define TOOLS_MAKE_SEQUENTIAL_H

#include "calib/calibrate.h"
#include "calib/sequential.h"
#include "tools/make.h"

struct make_sequential {
    bool wanted, open;
    const char *text;
    struct calibrate calibrate; /* the source, as it runs, and the text */
    struct sequential_options options;
    struct sequential sequential; /* open once the items are known */
};

/* Which text; ERR_USAGE where none is given. */
bool make_sequential_check(struct make_sequential *m, const struct make_options *o,
                           struct err *err);

/* Opens the source and the text.  Fails with what calibrate_open says. */
bool make_sequential_open(struct make_sequential *m, const struct make_options *o,
                          const struct session *s, struct err *err);
void make_sequential_close(struct make_sequential *m);

/* What the run did in front of the stages, for the memory that it states. */
struct make_sequential_before {
    uint64_t awq; /* of struct awq: bytes that factors took to be found; 0: there are none */
    bool text;    /* was calibrated on */
};

/* Finds the items' stages, and says what will be done.  Items and encoder must stay. */
bool make_sequential_use(struct make_sequential *m, struct calibrated *calibrated,
                         const struct make_sequential_before *before, struct produce_item *item,
                         size_t items, const struct session *s, struct err *err);

/* What the data follow from, beside types and encoder. */
void make_sequential_hash(const struct make_sequential *m, struct hash *h);

/* As produce_gguf. */
bool make_sequential_run(struct make_sequential *m, const char *path, const struct meta *meta,
                         const struct produce_options *options, struct produce_result *result,
                         struct err *err);

#endif
