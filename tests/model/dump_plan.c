/* dump_plan - what the oracles in tests/oracle ask of model/.
 *
 *   dump_plan                    ARCH SOURCE NAME OPTIONAL of every tensor in the table, a line each
 *   dump_plan CHECKPOINT VALUES  NAME TYPE SIZE... of every tensor in the plan, a line each; their
 *                                values as floats, one after the other, into the file VALUES */
#include "model/plan.h"
#include "quantize/kernels.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int dump_table(void)
{
    const struct arch *a;
    const struct arch_tensor *t;
    for (size_t i = 0; (a = arch_at(i)) != NULL; i++)
        for (size_t k = 0; (t = arch_tensor_at(a, k)) != NULL; k++)
            printf("%s %s %s %d\n", a->name, t->source, t->name, t->optional);
    return 0;
}

static bool dump_tensor(const struct plan_tensor *t, const struct kernels *k, FILE *values)
{
    const size_t cols = (size_t)tensor_cols(&t->out), rows = (size_t)tensor_rows(&t->out);
    float *x = malloc(rows * cols * sizeof *x);
    if (!x)
        return false;
    plan_read(t, k, 0, rows, x);
    const bool ok = fwrite(x, sizeof *x, rows * cols, values) == rows * cols;
    free(x);
    printf("%s %s", t->out.name, t->out.dtype->name);
    for (int d = 0; d < t->out.dims; d++)
        printf(" %" PRIu64, t->out.shape[d]);
    printf("\n");
    return ok;
}

static int dump_plan(const char *path, FILE *values)
{
    static const struct plan_options none = {.pre = NULL};
    struct kernels k = {.name = NULL};
    struct checkpoint c = {.path = NULL};
    struct plan p = {.tensors = 0};
    struct err err = {.code = ERR_NONE};
    decode_init_scalar(&k);
    bool ok = checkpoint_open(&c, path, &err) && plan_open(&p, &c, &none, &err);
    for (size_t i = 0; ok && i < p.tensors; i++)
        ok = dump_tensor(&p.tensor[i], &k, values);
    if (!ok)
        fprintf(stderr, "dump_plan: %s\n", err.text);
    plan_close(&p);
    checkpoint_close(&c);
    return !ok;
}

int main(int argc, char **argv)
{
    if (argc == 1)
        return dump_table();
    FILE *values = argc == 3 ? fopen(argv[2], "wb") : NULL;
    if (!values) {
        fprintf(stderr, "usage: dump_plan [CHECKPOINT VALUES]\n");
        return 2;
    }
    const int failed = dump_plan(argv[1], values);
    return fclose(values) != 0 || failed;
}
