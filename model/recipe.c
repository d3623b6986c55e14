#include "model/recipe.h"

#include "core/nearest.h"
#include "model/recipe_override.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#define ALWAYS(type)                                                                               \
    {                                                                                              \
        RECIPE_ALWAYS, DTYPE_##type                                                                \
    }
#define WHEN(when, type)                                                                           \
    {                                                                                              \
        RECIPE_##when, DTYPE_##type                                                                \
    }

#define PLAIN(called, number, type, weight_bits, text)                                             \
    {                                                                                              \
        .name = (called), .file_type = (number), .dtype = DTYPE_##type, .bits = (weight_bits),     \
        .summary = (text)                                                                          \
    }

static const struct recipe table[] = {
    PLAIN("F32", 0, F32, 32.00, "32-bit floats throughout"),
    PLAIN("F16", 1, F16, 16.00, "16-bit floats, to 65504"),
    PLAIN("BF16", 32, BF16, 16.00, "16-bit floats with the range of 32"),
    PLAIN("Q8_0", 7, Q8_0, 8.50, "8-bit throughout: nearly lossless"),
    PLAIN("Q6_K", 18, Q6_K, 6.56, "6-bit throughout: very close to 16-bit"),
    {
        .name = "Q5_K_M",
        .alias = "Q5_K",
        .file_type = 17,
        .dtype = DTYPE_Q5_K,
        .bits = 5.70,
        .summary = "5-bit, half of attn_v and ffn_down 6-bit",
        .rules = {.attn_v = {WHEN(ENDS_AND_THIRD, Q6_K)},
                  .attn_qkv = ALWAYS(Q6_K),
                  .ffn_down = {WHEN(ENDS_AND_THIRD, Q6_K)},
                  .falcon_ffn_down = {WHEN(ENDS_AND_THIRD, Q6_K)}},
    },
    PLAIN("Q5_K_S", 16, Q5_K, 5.57, "5-bit, the output 6-bit"),
    {
        .name = "Q5_0",
        .file_type = 8,
        .dtype = DTYPE_Q5_0,
        .bits = 5.57,
        .summary = "5-bit without super-blocks, the output 6-bit",
        .rules = {.ffn_down = {WHEN(INFORMED_8TH, Q5_1)},
                  .falcon_ffn_down = {WHEN(INFORMED_8TH, Q5_1)}},
    },
    PLAIN("Q5_1", 9, Q5_1, 6.04, "5-bit with minima, the output 6-bit"),
    {
        .name = "Q4_K_M",
        .alias = "Q4_K",
        .file_type = 15,
        .dtype = DTYPE_Q4_K,
        .bits = 4.89,
        .summary = "4-bit, half of attn_v and ffn_down 6-bit: the usual choice",
        .rules = {.attn_v = {WHEN(ENDS_AND_THIRD, Q6_K)},
                  .attn_qkv = ALWAYS(Q5_K),
                  .ffn_down = {WHEN(ENDS_AND_THIRD, Q6_K)},
                  .falcon_ffn_down = {WHEN(FIRST_16TH, Q6_K), WHEN(ENDS_AND_THIRD, Q5_K)},
                  .attn_output_8experts = ALWAYS(Q5_K)},
    },
    {
        .name = "Q4_K_S",
        .file_type = 14,
        .dtype = DTYPE_Q4_K,
        .bits = 4.67,
        .summary = "4-bit, the first attn_v and ffn_down 5-bit",
        .rules = {.attn_v = {WHEN(FIRST_4, Q5_K)},
                  .ffn_down = {WHEN(FIRST_8TH, Q5_K)},
                  .attn_output_8experts = ALWAYS(Q5_K)},
    },
    {
        .name = "IQ4_NL",
        .file_type = 25,
        .dtype = DTYPE_IQ4_NL,
        .bits = 4.68,
        .summary = "4-bit non-linear, any columns in 32s",
        .rules = {.attn_v = {WHEN(SHARED_4, Q5_K)},
                  .ffn_down = {WHEN(PLAIN_8TH, Q5_K)},
                  .falcon_ffn_down = {WHEN(PLAIN_8TH, Q5_K)},
                  .attn_output_8experts = ALWAYS(Q5_K)},
    },
    {
        .name = "IQ4_XS",
        .file_type = 30,
        .dtype = DTYPE_IQ4_XS,
        .bits = 4.46,
        .summary = "4-bit non-linear in super-blocks, the smallest of 4-bit",
        .rules = {.attn_v = {WHEN(SHARED_4, Q5_K)},
                  .ffn_down = {WHEN(PLAIN_8TH, Q5_K)},
                  .falcon_ffn_down = {WHEN(PLAIN_8TH, Q5_K)},
                  .attn_output_8experts = ALWAYS(Q5_K)},
    },
    {
        .name = "Q4_0",
        .file_type = 2,
        .dtype = DTYPE_Q4_0,
        .bits = 4.64,
        .summary = "4-bit without super-blocks, the output 6-bit",
        .rules = {.ffn_down = {WHEN(INFORMED_8TH, Q4_1)},
                  .falcon_ffn_down = {WHEN(INFORMED_8TH, Q4_1)}},
    },
    PLAIN("Q4_1", 3, Q4_1, 5.10, "4-bit with minima, the output 6-bit"),
    {
        .name = "MXFP4",
        .alias = "MXFP4_MOE",
        .file_type = 38,
        .dtype = DTYPE_MXFP4,
        .bits = 4.53,
        .summary = "4-bit floats (OCP MX): experts, the rest 8-bit; no experts: all but the output",
    },
    {
        .name = "Q3_K_L",
        .file_type = 13,
        .dtype = DTYPE_Q3_K,
        .bits = 4.30,
        .summary = "3-bit, attn_v, attn_output and ffn_down 5-bit",
        .rules = {.attn_v = {ALWAYS(Q5_K)},
                  .attn_qkv = ALWAYS(Q4_K),
                  .attn_output = ALWAYS(Q5_K),
                  .falcon_attn_output = ALWAYS(Q4_K),
                  .ffn_down = {ALWAYS(Q5_K)},
                  .falcon_ffn_down = {ALWAYS(Q4_K)}},
    },
    {
        .name = "Q3_K_M",
        .alias = "Q3_K",
        .file_type = 12,
        .dtype = DTYPE_Q3_K,
        .bits = 4.00,
        .summary = "3-bit, attn_v, attn_output and ffn_down 4-bit",
        .rules = {.attn_v = {WHEN(FIRST_2, Q5_K), ALWAYS(Q4_K)},
                  .attn_qkv = ALWAYS(Q4_K),
                  .attn_output = ALWAYS(Q4_K),
                  .attn_output_8experts = ALWAYS(Q5_K),
                  .ffn_down = {WHEN(FIRST_16TH, Q5_K), ALWAYS(Q4_K)},
                  .falcon_ffn_down = {WHEN(FIRST_16TH, Q5_K), WHEN(ENDS_AND_THIRD, Q4_K)}},
    },
    {
        .name = "Q3_K_S",
        .file_type = 11,
        .dtype = DTYPE_Q3_K,
        .bits = 3.64,
        .summary = "3-bit, the output 6-bit",
        .rules = {.attn_output_8experts = ALWAYS(Q5_K)},
    },
    {
        .name = "Q2_K",
        .file_type = 10,
        .dtype = DTYPE_Q2_K,
        .bits = 3.16,
        .summary = "2-bit, attention's values and outputs and ffn_down 3- or 4-bit",
        .rules = {.attn_v = {WHEN(SHARED_4, Q4_K), ALWAYS(Q3_K)},
                  .attn_output = ALWAYS(Q3_K),
                  .attn_output_8experts = ALWAYS(Q5_K),
                  .ffn_down = {ALWAYS(Q3_K)},
                  .falcon_ffn_down = {ALWAYS(Q3_K)}},
    },
    {
        .name = "Q2_K_S",
        .file_type = 21,
        .dtype = DTYPE_Q2_K,
        .bits = 2.97,
        .summary = "2-bit, the first ffn_down 4-bit: needs importance to be any good",
        .rules = {.attn_v = {WHEN(SHARED_4, Q4_K)},
                  .ffn_down = {WHEN(FIRST_8TH, Q4_K)},
                  .falcon_ffn_down = {WHEN(FIRST_8TH, Q4_K)}},
    },
    {
        .name = "TQ2_0",
        .file_type = 37,
        .dtype = DTYPE_TQ2_0,
        .bits = 2.52,
        .summary = "ternary in 2 bits, the embedding 4-bit: for ternary models",
        .rules = {.embedding = ALWAYS(Q4_K)},
    },
    {
        .name = "TQ1_0",
        .file_type = 36,
        .dtype = DTYPE_TQ1_0,
        .bits = 2.19,
        .summary = "ternary in base 3, the embedding 4-bit: for ternary models",
        .rules = {.embedding = ALWAYS(Q4_K)},
    },
};

const struct recipe *recipe_at(size_t i)
{
    return i < sizeof table / sizeof table[0] ? &table[i] : NULL;
}

const struct recipe *recipe_find(const char *name, struct err *err)
{
    struct nearest nearest = {.word = name};
    char known[ERR_TEXT_MAX] = "";
    size_t used = 0;
    const struct recipe *r;
    for (size_t i = 0; (r = recipe_at(i)) != NULL; i++) {
        if (strcasecmp(name, r->name) == 0 || (r->alias && strcasecmp(name, r->alias) == 0))
            return r;
        nearest_offer(&nearest, r->name);
        if (used < sizeof known)
            used += (size_t)snprintf(known + used, sizeof known - used, " %s", r->name);
    }
    const char *best = nearest_best(&nearest);
    err_set(err, ERR_USAGE, "no recipe '%s'%s%s%s; there are%s", name,
            best ? ", did you mean " : "", best ? best : "", best ? "?" : "", known);
    return NULL;
}

bool recipe_flavour_find(const char *name, enum recipe_flavour *flavour, struct err *err)
{
    if (strcasecmp(name, "stock") == 0)
        *flavour = RECIPE_STOCK;
    else if (strcasecmp(name, "stock-2025") == 0)
        *flavour = RECIPE_STOCK_2025;
    else
        return err_set(err, ERR_USAGE, "no rules '%s'; there are stock and stock-2025", name);
    return true;
}

void recipe_model_init(struct recipe_model *model, const struct plan *plan)
{
    const struct hparams *h = &plan->hparams;
    const char *arch = meta_get_text(&plan->meta, "general.architecture");
    *model = (struct recipe_model){.arch = arch ? arch : "",
                                   .layers = h->layers,
                                   .heads = h->heads,
                                   .kv_heads = h->kv_heads ? h->kv_heads : h->heads,
                                   .experts = h->experts};
}

const char *recipe_reason_name(enum recipe_reason reason)
{
    static const char *const name[] = {
        [RECIPE_KEPT] = "kept",          [RECIPE_OWN] = "recipe",        [RECIPE_RULED] = "rule",
        [RECIPE_ASKED] = "asked",        [RECIPE_OVERRIDE] = "override", [RECIPE_FILE] = "file",
        [RECIPE_ALLOCATED] = "allocated"};
    return name[reason];
}

/* Everything that recipe_assign has resolved before it looks at a tensor. */
struct assigner {
    const struct recipe_options *options;
    const struct dtype *own, *output, *embedding;
    struct recipe_overrides overrides;
    struct recipe_walk walk;
};

static bool assigner_open(struct assigner *a, const struct recipe_options *o,
                          const struct recipe_model *model, const struct plan_tensor *tensor,
                          size_t count, struct err *err)
{
    *a = (struct assigner){.options = o, .own = dtype_get(o->recipe->dtype)};
    a->walk = (struct recipe_walk){.rules = &o->recipe->rules,
                                   .model = model,
                                   .flavour = o->flavour,
                                   .dtype = o->recipe->dtype,
                                   .importance = o->importance,
                                   .tied = true};
    for (size_t i = 0; i < count; i++) {
        const enum recipe_role role = recipe_role(&a->walk, tensor[i].out.name);
        a->walk.attn_vs += role == RECIPE_ATTN_V || role == RECIPE_ATTN_QKV;
        if (strcmp(tensor[i].out.name, "output.weight") == 0)
            a->walk.tied = false;
    }
    if (o->output_type && !(a->output = recipe_dtype_find("the output", o->output_type, err)))
        return false;
    if (o->embedding_type &&
        !(a->embedding = recipe_dtype_find("the embedding", o->embedding_type, err)))
        return false;
    return recipe_overrides_open(&a->overrides, o->overrides, o->override_count, err);
}

/* What the tensor would get if any columns would do.  Stock lets overridden tensors pass the
 * rules' counters by; in 2025 there were no overrides, and there all are counted. */
static struct recipe_choice choose(struct assigner *a, const struct plan_tensor *t)
{
    const struct recipe_options *o = a->options;
    const struct tensor *out = &t->out;
    const enum recipe_role role = recipe_role(&a->walk, out->name);
    const bool embedding = strcmp(out->name, "token_embd.weight") == 0;
    struct recipe_choice c = {.wanted = out->dtype, .reason = RECIPE_KEPT};

    if (a->own->id == DTYPE_F32 && out->dtype->class == DTYPE_FLOAT)
        c.wanted = a->own;
    if (t->keep || !recipe_quantizable(out) || (o->leave_output && role == RECIPE_OUTPUT))
        return c;

    const struct dtype *override = recipe_overrides_find(&a->overrides, out->name);
    const bool rules = !o->pure && a->own->class == DTYPE_QUANTIZED;
    const struct dtype *ruled = a->own;
    if (rules && (!override || o->flavour == RECIPE_STOCK_2025))
        ruled = dtype_get(recipe_walk_next(&a->walk, out));

    if (a->embedding && (embedding || role == RECIPE_EMBEDDING))
        return (struct recipe_choice){.wanted = a->embedding, .reason = RECIPE_ASKED};
    if (a->output && role == RECIPE_OUTPUT)
        return (struct recipe_choice){.wanted = a->output, .reason = RECIPE_ASKED};
    if (override)
        return (struct recipe_choice){.wanted = override, .reason = RECIPE_OVERRIDE};
    return (struct recipe_choice){.wanted = ruled,
                                  .reason = ruled == a->own ? RECIPE_OWN : RECIPE_RULED};
}

/* The type for rows that are not whole blocks of `wanted`. */
static const struct dtype *fall_back(const struct dtype *wanted, uint64_t cols,
                                     enum recipe_flavour flavour)
{
    enum dtype_id id = DTYPE_F16;
    if (cols % wanted->block_elems == 0)
        return wanted;
    switch (wanted->id) {
    case DTYPE_Q2_K:
    case DTYPE_Q3_K:
        id = flavour == RECIPE_STOCK_2025 ? DTYPE_IQ4_NL : DTYPE_Q4_0;
        break;
    case DTYPE_IQ4_XS:
        id = DTYPE_IQ4_NL;
        break;
    case DTYPE_TQ1_0:
    case DTYPE_TQ2_0:
        id = DTYPE_Q4_0;
        break;
    case DTYPE_Q4_K:
        id = DTYPE_Q5_0;
        break;
    case DTYPE_Q5_K:
        id = DTYPE_Q5_1;
        break;
    case DTYPE_Q6_K:
        id = DTYPE_Q8_0;
        break;
    default:
        break;
    }
    return cols % dtype_get(id)->block_elems == 0 ? dtype_get(id) : dtype_get(DTYPE_F16);
}

static bool count_choice(struct recipe_census *census, const struct recipe_choice *c,
                         const struct tensor *out, size_t i, struct err *err)
{
    struct tensor t = *out;
    size_t bytes;
    t.dtype = c->dtype;
    if (!tensor_size(&t, &bytes, err))
        return err_wrap(err, "tensor '%s'", t.name);
    const uint64_t elems = tensor_elems(&t);
    census->tensors++;
    census->params += elems;
    census->bytes += bytes;
    census->kept += c->reason == RECIPE_KEPT;
    if (c->dtype == c->wanted)
        return true;
    if (census->fallbacks++ == 0)
        census->first_fallback = i;
    census->fallback_params += elems;
    census->fallback_bytes += (int64_t)((double)bytes - (double)elems * dtype_bits(c->wanted) / 8);
    return true;
}

bool recipe_count(const struct plan_tensor *tensor, size_t count,
                  const struct recipe_choice *choice, struct recipe_census *census, struct err *err)
{
    *census = (struct recipe_census){0};
    for (size_t i = 0; i < count; i++)
        if (!count_choice(census, &choice[i], &tensor[i].out, i, err))
            return false;
    if (census->params > 0)
        census->bits = 8 * (double)census->bytes / (double)census->params;
    return true;
}

static void refuse_fallback(const struct recipe_census *census, const struct plan_tensor *tensor,
                            const struct recipe_choice *choice, struct err *err)
{
    const struct tensor *t = &tensor[census->first_fallback].out;
    const struct dtype *wanted = choice[census->first_fallback].wanted;
    err_set(err, ERR_USAGE,
            "%zu of %zu tensors (%.1f %% of the weights) would fall back to another type; the "
            "first is '%s': %" PRIu64 " columns are not whole %s blocks of %zu",
            census->fallbacks, census->tensors,
            100 * (double)census->fallback_params / (double)census->params, t->name, tensor_cols(t),
            wanted->name, wanted->block_elems);
}

bool recipe_assign(const struct recipe_options *options, const struct recipe_model *model,
                   const struct plan_tensor *tensor, size_t count, struct recipe_choice *choice,
                   struct recipe_census *census, struct err *err)
{
    bool ok = false;
    struct assigner a;
    if (!assigner_open(&a, options, model, tensor, count, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        choice[i] = choose(&a, &tensor[i]);
        choice[i].dtype =
            choice[i].reason == RECIPE_KEPT
                ? choice[i].wanted
                : fall_back(choice[i].wanted, tensor_cols(&tensor[i].out), options->flavour);
    }
    if (!recipe_count(tensor, count, choice, census, err))
        goto done;
    if (options->no_fallback && census->fallbacks > 0) {
        refuse_fallback(census, tensor, choice, err);
        goto done;
    }
    ok = recipe_overrides_all_used(&a.overrides, err);
done:
    recipe_overrides_close(&a.overrides);
    return ok;
}
