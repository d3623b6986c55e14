/* choose_lines - what model/sampler keeps.  Each line of standard input is
 *     {"logits": [...], "seen": [...], "temp": X, "top_k": N, "top_p": X, "min_p": X,
 *      "penalty": X, "last": N}
 * and each of standard output the candidates in order, [[ID, PROBABILITY], ...]. */
#include "model/sampler.h"

#include <jansson.h>
#include <stdlib.h>

static double number(const json_t *root, const char *name)
{
    return json_number_value(json_object_get(root, name));
}

static json_t *choose(const json_t *root, struct err *err)
{
    const json_t *given = json_object_get(root, "logits"), *seen = json_object_get(root, "seen");
    const size_t vocab = json_array_size(given);
    const struct sampler_options o = {
        .temperature = number(root, "temp"),
        .top_k = (size_t)number(root, "top_k"),
        .top_p = number(root, "top_p"),
        .min_p = number(root, "min_p"),
        .repeat_penalty = number(root, "penalty"),
        .repeat_last = (size_t)number(root, "last"),
    };
    struct sampler s = {0};
    json_t *out = NULL;
    float *logits = calloc(vocab, sizeof *logits);
    for (size_t i = 0; logits && i < vocab; i++)
        logits[i] = (float)json_number_value(json_array_get(given, i));
    if (logits && sampler_open(&s, &o, vocab, err)) {
        for (size_t i = 0; i < json_array_size(seen); i++)
            sampler_accept(&s, (uint32_t)json_integer_value(json_array_get(seen, i)));
        out = sampler_choose(&s, logits, err) ? json_array() : NULL;
        for (size_t i = 0; out && i < s.candidates; i++)
            json_array_append_new(out,
                                  json_pack("[i, f]", (int)s.candidate[i].id, s.candidate[i].p));
        sampler_close(&s);
    }
    free(logits);
    return out;
}

int main(void)
{
    struct err err = {0};
    json_t *root;
    while ((root = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        json_t *out = choose(root, &err);
        if (!out) {
            fprintf(stderr, "choose_lines: %s\n", err.text);
            return 1;
        }
        json_dumpf(out, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(out);
        json_decref(root);
    }
    return 0;
}
