#include "model/fold.h"
#include "model/plan_build.h"

#include <string.h>

/* Set anew by whoever writes the output, or untrue of it. */
static const char *const not_copied[] = {
    "general.file_type", "general.quantization_version", "split.no",
    "split.count",       "split.tensors.count",
};

bool plan_from_gguf(struct plan *p, const struct plan_options *options, struct err *err)
{
    const struct checkpoint *c = p->checkpoint;
    const char *name = meta_get_text(&c->meta, "general.architecture");
    if (!name || !*name)
        return err_set(err, ERR_FORMAT, "no general.architecture: this GGUF is not a model");
    p->arch = arch_find(name);
    if (!hparams_read_meta(&p->hparams, name, p->arch != NULL, &c->meta, err))
        return false;
    p->hparams.tied = checkpoint_find(c, "output.weight") == NULL;

    meta_copy(&p->meta, &c->meta);
    for (size_t i = 0; i < sizeof not_copied / sizeof not_copied[0]; i++)
        meta_remove(&p->meta, not_copied[i]);
    fold_forget(&p->meta);
    if (options->name)
        meta_set_text(&p->meta, "general.name", options->name);
    if (options->pre)
        meta_set_text(&p->meta, "tokenizer.ggml.pre", options->pre);
    if (options->vocab_only)
        return true;

    if (!plan_reserve(p, c->tensors, err))
        return false;
    for (size_t i = 0; i < c->tensors; i++) {
        struct plan_tensor *t = &p->tensor[p->tensors++];
        *t = (struct plan_tensor){.out = c->tensor[i], .source = &c->tensor[i]};
        t->out.data = NULL;
        t->keep = plan_keeps(t->out.name, t->out.dims);
    }
    return true;
}
