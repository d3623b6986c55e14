#include "model/recipe_override.h"

#include "core/mem.h"
#include "core/nearest.h"
#include "quantize/codec.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct recipe_override {
    const char *text;
    const struct dtype *dtype;
    pcre2_code *code;
    pcre2_match_data *match;
    bool used;
};

const struct dtype *recipe_dtype_find(const char *what, const char *name, struct err *err)
{
    const struct dtype *d = dtype_find(name);
    if (d && codec_find(d->id))
        return d;
    struct nearest nearest = {.word = name};
    char known[ERR_TEXT_MAX] = "";
    size_t used = 0;
    const struct codec *c;
    for (size_t i = 0; (c = codec_at(i)) != NULL && used < sizeof known; i++) {
        const char *type = dtype_get(c->dtype)->name;
        nearest_offer(&nearest, type);
        used += (size_t)snprintf(known + used, sizeof known - used, " %s", type);
    }
    const char *best = nearest_best(&nearest);
    err_set(err, ERR_USAGE, "%s: no type '%s' to write%s%s%s; there are%s", what, name,
            best ? ", did you mean " : "", best ? best : "", best ? "?" : "", known);
    return NULL;
}

static bool compile(struct recipe_override *o, const char *text, struct err *err)
{
    const char *equals = strrchr(text, '=');
    if (!equals || equals == text)
        return err_set(err, ERR_USAGE, "override '%s' is not REGEX=TYPE", text);
    o->text = text;
    if (!(o->dtype = recipe_dtype_find(text, equals + 1, err)))
        return false;
    int code;
    PCRE2_SIZE at;
    o->code = pcre2_compile((PCRE2_SPTR)text, (PCRE2_SIZE)(equals - text), PCRE2_CASELESS, &code,
                            &at, NULL);
    if (!o->code) {
        PCRE2_UCHAR why[128];
        pcre2_get_error_message(code, why, sizeof why);
        return err_set(err, ERR_USAGE, "override '%s': %s at letter %zu", text, (const char *)why,
                       (size_t)at + 1);
    }
    o->match = pcre2_match_data_create(1, NULL);
    return o->match || err_set(err, ERR_MEMORY, "override '%s'", text);
}

bool recipe_overrides_open(struct recipe_overrides *o, const char *const *text, size_t count,
                           struct err *err)
{
    *o = (struct recipe_overrides){.one = mem_alloc(count, sizeof *o->one), .count = count};
    if (!o->one && count > 0)
        return err_set(err, ERR_MEMORY, "%zu overrides", count);
    for (size_t i = 0; i < count; i++)
        if (!compile(&o->one[i], text[i], err)) {
            recipe_overrides_close(o);
            return false;
        }
    return true;
}

void recipe_overrides_close(struct recipe_overrides *o)
{
    for (size_t i = 0; o->one && i < o->count; i++) {
        pcre2_match_data_free(o->one[i].match);
        pcre2_code_free(o->one[i].code);
    }
    free(o->one);
    *o = (struct recipe_overrides){0};
}

const struct dtype *recipe_overrides_find(struct recipe_overrides *o, const char *name)
{
    const struct dtype *first = NULL;
    for (size_t i = 0; i < o->count; i++) {
        struct recipe_override *one = &o->one[i];
        /* A regex that runs out of its match limit has not matched. */
        if (pcre2_match(one->code, (PCRE2_SPTR)name, strlen(name), 0, 0, one->match, NULL) < 0)
            continue;
        one->used = true;
        if (!first)
            first = one->dtype;
    }
    return first;
}

bool recipe_overrides_all_used(const struct recipe_overrides *o, struct err *err)
{
    for (size_t i = 0; i < o->count; i++)
        if (!o->one[i].used)
            return err_set(err, ERR_USAGE, "override '%s' matches no tensor that can be quantized",
                           o->one[i].text);
    return true;
}
