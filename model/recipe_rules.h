/* recipe_rules.h - how a mixture spends more bits on some tensors, as data.
 *
 * Stock llama.cpp's mixtures ("Q4_K_M") give most tensors one type and a few of them
 * another by role, depth, heads and experts.  A mixture is a row of such rules
 * (model/recipe.c has them); a walk applies them, tensor by tensor in the file's order,
 * because they count what they have seen.
 */
#ifndef MODEL_RECIPE_RULES_H
#define MODEL_RECIPE_RULES_H

#include "core/dtype.h"
#include "core/tensor.h"

#include <stdbool.h>
#include <stdint.h>

/* Which tensors of a role a rule is for.  i: how many of that role came before
 * (ffn_down with experts: the layer); n: how many there are. */
enum recipe_when {
    RECIPE_NEVER,
    RECIPE_ALWAYS,
    RECIPE_SHARED_4,      /* 4 or more query heads share a key and value head */
    RECIPE_FIRST_2,       /* i < 2 */
    RECIPE_FIRST_4,       /* i < 4 */
    RECIPE_FIRST_16TH,    /* i < n / 16 */
    RECIPE_FIRST_8TH,     /* i < n / 8 */
    RECIPE_PLAIN_8TH,     /* the same, only without importance */
    RECIPE_INFORMED_8TH,  /* the same, only with importance */
    RECIPE_ENDS_AND_THIRD /* the first and last eighth, and every third between */
};

struct recipe_rule {
    enum recipe_when when;
    enum dtype_id dtype;
};

/* Of two rules the first that applies counts; where none does, the recipe's own type. */
struct recipe_rules {
    struct recipe_rule embedding; /* where another tensor is the output */
    struct recipe_rule attn_v[2];
    struct recipe_rule attn_qkv; /* stock-2025 alone; later it is an attn_v */
    struct recipe_rule attn_output;
    struct recipe_rule attn_output_8experts; /* instead, in a model of 8 experts */
    struct recipe_rule ffn_down[2];
    struct recipe_rule falcon_attn_output; /* instead, in arch falcon */
    struct recipe_rule falcon_ffn_down[2];
};

/* Whose rules: stock is llama.cpp of 2026, stock-2025 of February 2025. */
enum recipe_flavour { RECIPE_STOCK, RECIPE_STOCK_2025 };

/* What the rules ask about a model. */
struct recipe_model {
    const char *arch;
    uint64_t layers, heads, kv_heads, experts;
};

enum recipe_role {
    RECIPE_EMBEDDING,
    RECIPE_OUTPUT, /* output.weight, or the embedding where there is none */
    RECIPE_ATTN_V,
    RECIPE_ATTN_K,
    RECIPE_ATTN_QKV,
    RECIPE_ATTN_OUTPUT,
    RECIPE_FFN_DOWN,
    RECIPE_OTHER,
};

struct recipe_walk {
    const struct recipe_rules *rules;
    const struct recipe_model *model;
    enum recipe_flavour flavour;
    enum dtype_id dtype; /* the recipe's own */
    bool importance;
    bool tied;         /* no output.weight */
    uint64_t attn_vs;  /* all of that role in the model */
    uint64_t attn_v;   /* seen so far */
    uint64_t ffn_down; /* seen so far */
};

/* May that tensor be stored in blocks at all?  Norms, biases, routers, positions and other small
 * or delicate ones may not. */
bool recipe_quantizable(const struct tensor *t);

enum recipe_role recipe_role(const struct recipe_walk *w, const char *name);

/* The type for the next tensor of the walk; its columns are not looked at. */
enum dtype_id recipe_walk_next(struct recipe_walk *w, const struct tensor *t);

#endif
