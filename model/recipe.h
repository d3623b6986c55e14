/* recipe.h - which type each tensor gets: one row a recipe, from F32 to Q2_K.
 *
 * A recipe is a name people know from llama.cpp, a type that most tensors get, and rules for
 * the others (model/recipe_rules.h).  What the person asks for (an override, an output type)
 * comes before the rules, and what the columns forbid comes last: a row must be whole blocks,
 * so where it is not, the tensor falls back to a type of 32-element blocks or to F16.  No data
 * is touched: a plan can be priced before work starts.  To add a recipe: its row in recipe.c.
 */
#ifndef MODEL_RECIPE_H
#define MODEL_RECIPE_H

#include "core/dtype.h"
#include "core/err.h"
#include "model/plan.h"
#include "model/recipe_rules.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recipe {
    const char *name;
    const char *alias;  /* another name for it, or NULL */
    uint32_t file_type; /* general.file_type in a GGUF file */
    enum dtype_id dtype;
    double bits; /* a weight, on the shapes of Llama 3 8B: a test computes it */
    const char *summary;
    struct recipe_rules rules;
};

/* The i-th row, or NULL past the last. */
const struct recipe *recipe_at(size_t i);

/* By name or alias in any case.  NULL with ERR_USAGE: the known names, and the nearest. */
const struct recipe *recipe_find(const char *name, struct err *err);

/* "stock" or "stock-2025" (model/recipe_rules.h).  Fails with ERR_USAGE. */
bool recipe_flavour_find(const char *name, enum recipe_flavour *flavour, struct err *err);

/* Fills in what the rules ask, from the plan's keys; points into the plan. */
void recipe_model_init(struct recipe_model *model, const struct plan *plan);

/* An override's REGEX is PCRE2, searched for anywhere in the name, in any case. */
struct recipe_options {
    const struct recipe *recipe;
    enum recipe_flavour flavour;
    const char *const *overrides; /* "REGEX=TYPE": the first that matches counts */
    size_t override_count;
    const char *output_type;    /* for the output, also where the embedding is it; or NULL */
    const char *embedding_type; /* for the embedding; or NULL */
    bool leave_output;          /* the output stays as it is in the plan */
    bool pure;                  /* no rules: the recipe's own type for all */
    bool importance;            /* importance is at hand: some rules ask */
    bool no_fallback;           /* refuse where a tensor would fall back */
};

enum recipe_reason {
    RECIPE_KEPT,      /* not to be quantized, or left: the plan's type */
    RECIPE_OWN,       /* the recipe's own type */
    RECIPE_RULED,     /* one of its rules */
    RECIPE_ASKED,     /* output_type or embedding_type */
    RECIPE_OVERRIDE,  /* an override */
    RECIPE_FILE,      /* a file of types (model/recipe_file.h) */
    RECIPE_ALLOCATED, /* measured to be worth its bytes (tools/make_allocate.h) */
};

/* "kept", "recipe", "rule", "asked", "override", "file", "allocated". */
const char *recipe_reason_name(enum recipe_reason reason);

struct recipe_choice {
    const struct dtype *dtype;
    const struct dtype *wanted; /* differs from dtype: the columns forbade it */
    enum recipe_reason reason;
};

/* What the choices come to. */
struct recipe_census {
    size_t tensors, kept, fallbacks;
    uint64_t params, fallback_params;
    uint64_t bytes;         /* of all tensors' data */
    int64_t fallback_bytes; /* what falling back costs of them */
    double bits;            /* a weight, over all */
    size_t first_fallback;  /* its index, where there is one */
};

/* choice[i] for each of the plan's `count` tensors, in the plan's order.  Fails with ERR_USAGE: an
 * unknown or unwritable type, a bad regex, an override that matches nothing, a fallback under
 * no_fallback. */
bool recipe_assign(const struct recipe_options *options, const struct recipe_model *model,
                   const struct plan_tensor *tensor, size_t count, struct recipe_choice *choice,
                   struct recipe_census *census, struct err *err);

/* What these choices come to.  Fails with ERR_FORMAT (a size that overflows). */
bool recipe_count(const struct plan_tensor *tensor, size_t count,
                  const struct recipe_choice *choice, struct recipe_census *census,
                  struct err *err);

#endif
