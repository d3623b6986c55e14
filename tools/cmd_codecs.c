#include "tools/command.h"

#include "model/recipe.h"
#include "quantize/codec.h"
#include "tools/report.h"
#include "tools/table.h"

#include <stdio.h>

static json_t *codecs_json(void)
{
    json_t *root = json_object(), *types = json_array(), *recipes = json_array();
    const struct codec *c;
    const struct recipe *r;
    for (size_t i = 0; (c = codec_at(i)); i++) {
        const struct dtype *d = dtype_get(c->dtype);
        json_array_append_new(types, json_pack("{s:s, s:f, s:I, s:I, s:s}", "name", d->name,
                                               "bits_per_weight", dtype_bits(d), "block_elements",
                                               (json_int_t)d->block_elems, "block_bytes",
                                               (json_int_t)d->block_bytes, "summary", c->summary));
    }
    for (size_t i = 0; (r = recipe_at(i)); i++)
        json_array_append_new(recipes, json_pack("{s:s, s:s, s:f, s:s}", "name", r->name, "type",
                                                 dtype_get(r->dtype)->name, "bits_per_weight",
                                                 r->bits, "summary", r->summary));
    json_object_set_new(root, "types", types);
    json_object_set_new(root, "recipes", recipes);
    return root;
}

static bool print_json(struct err *err)
{
    json_t *root = codecs_json();
    const bool ok = report_print(root, err);
    json_decref(root);
    return ok;
}

/* As the README has it; a test compares. */
static void print_markdown(void)
{
    const struct codec *c;
    puts("| type | bits a weight | |\n|---|---|---|");
    for (size_t i = 0; (c = codec_at(i)); i++)
        printf("| %s | %.4g | %s |\n", dtype_get(c->dtype)->name, dtype_bits(dtype_get(c->dtype)),
               c->summary);
}

static void print_tables(void)
{
    const struct codec *c;
    const struct recipe *r;
    puts("Types (--tensor-type, --output-type, --embedding-type, --pure):\n");
    for (size_t i = 0; (c = codec_at(i)); i++)
        printf("  %-8s %7.4f bits  %s\n", dtype_get(c->dtype)->name,
               dtype_bits(dtype_get(c->dtype)), c->summary);
    puts("\nRecipes (--type; bits a weight of Llama 3 8B):\n");
    for (size_t i = 0; (r = recipe_at(i)); i++)
        printf("  %-8s %7.4f bits  %s\n", r->name, r->bits, r->summary);
}

static bool run_codecs(const struct command *me, int argc, char **argv, struct err *err)
{
    struct opt_common common = {0};
    bool markdown = false, done;
    const struct opt table[] = {
        {"markdown", 0, OPT_FLAG, &markdown, NULL, "the types as a Markdown table"},
        {"json", 0, OPT_FLAG, &common.json, NULL, "print JSON instead of tables"},
        {"help", 'h', OPT_FLAG, &common.help, NULL, "show this"},
        OPT_END,
    };
    if (!command_parse(me, table, &common, &argc, argv, 0, 0, &done, err) || done)
        return done;
    if (common.json)
        return print_json(err);
    if (markdown)
        print_markdown();
    else
        print_tables();
    return true;
}

const struct command cmd_codecs = {
    .name = "codecs",
    .usage = "[OPTION]...",
    .summary = "list the weight types and the recipes that mix them",
    .text = "Lists every weight type that quern writes, with its bits a weight, and every recipe.\n"
            "A recipe gives most tensors one type and the delicate ones a better one.\n",
    .run = run_codecs,
};
