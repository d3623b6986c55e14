/* planned.h - a checkpoint and its plan, opened and closed together: for the plans' tests. */
#ifndef TESTS_MODEL_PLANNED_H
#define TESTS_MODEL_PLANNED_H

#include "model/plan.h"
#include "tests/model/altered.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct planned {
    struct checkpoint checkpoint;
    struct plan plan;
};

static inline bool planned_open(struct planned *o, const char *folder,
                                const struct plan_options *options, struct err *err)
{
    assert_true(checkpoint_open(&o->checkpoint, folder, err));
    if (plan_open(&o->plan, &o->checkpoint, options, err))
        return true;
    checkpoint_close(&o->checkpoint);
    return false;
}

static inline void planned_close(struct planned *o)
{
    plan_close(&o->plan);
    checkpoint_close(&o->checkpoint);
}

static inline struct plan_tensor *planned_find(struct plan *p, const char *name)
{
    for (size_t i = 0; i < p->tensors; i++)
        if (strcmp(p->tensor[i].out.name, name) == 0)
            return &p->tensor[i];
    return NULL;
}

static inline bool planned_notes(const struct plan *p, const char *text)
{
    for (size_t i = 0; i < p->notes; i++)
        if (strstr(p->note[i], text))
            return true;
    return false;
}

/* The altered model must be planned; both are closed by the caller. */
static inline void planned_open_altered(struct planned *o, struct altered *a)
{
    static const struct plan_options none = {.pre = NULL};
    struct err err;
    if (!planned_open(o, altered_save(a), &none, &err))
        fail_msg("%s", err.text);
}

#endif
