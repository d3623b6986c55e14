/* chat_lines - conversations as model/chat_template writes them.  Each line of standard input is
 *     {"template": T, "bos": B, "eos": E, "system": S or null, "users": [...], "answers": [...]}
 * and each of standard output ["FAMILY", "TEXT"], or null where the template is of no family.  The
 * text has one answer less than users, and ends where the last is to be given.
 *     chat_lines --count
 * tells how many families there are. */
#include "model/chat_template.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static struct meta_text text_of(const json_t *root, const char *name)
{
    const json_t *s = json_object_get(root, name);
    return (struct meta_text){json_string_value(s), json_string_length(s)};
}

static bool write_all(const json_t *root, struct chat *c, struct token_text *out, struct err *err)
{
    const json_t *users = json_object_get(root, "users");
    const json_t *answers = json_object_get(root, "answers");
    for (size_t i = 0; i < json_array_size(users); i++) {
        const json_t *user = json_array_get(users, i), *answer = json_array_get(answers, i);
        if (!chat_turn(c, json_string_value(json_object_get(root, "system")),
                       json_string_value(user), json_string_length(user), out, err) ||
            (answer &&
             !token_text_add(out, json_string_value(answer), json_string_length(answer), err)))
            return false;
    }
    return true;
}

static json_t *convert(const json_t *root, struct err *err)
{
    const struct meta_text template = text_of(root, "template");
    struct chat c = {.bos = text_of(root, "bos"), .eos = text_of(root, "eos")};
    struct token_text out = {0};
    json_t *pair = NULL;
    c.family = chat_family_find(template.text, template.length);
    if (!c.family)
        return json_null();
    if (write_all(root, &c, &out, err))
        pair = json_pack("[s, s%]", c.family->name, out.text, out.length);
    token_text_close(&out);
    return pair;
}

static int count(void)
{
    size_t n = 0;
    while (chat_family_at(n))
        n++;
    printf("%zu\n", n);
    return 0;
}

int main(int argc, char **argv)
{
    struct err err = {0};
    json_t *root;
    (void)argv;
    if (argc > 1)
        return count();
    while ((root = json_loadf(stdin, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
        json_t *answer = convert(root, &err);
        if (!answer) {
            fprintf(stderr, "chat_lines: %s\n", err.text);
            return 1;
        }
        json_dumpf(answer, stdout, JSON_ENCODE_ANY | JSON_COMPACT);
        putchar('\n');
        json_decref(answer);
        json_decref(root);
    }
    return 0;
}
