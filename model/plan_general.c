#include "model/plan_general.h"

#include "formats/hf_config.h"
#include "model/model_card.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { LIST_MAX = 64, PATH_ROOM = 4096 };

static const char HUB[] = "https://huggingface.co/";

const char *plan_size_label(char text[SIZE_LABEL_MAX], uint64_t parameters)
{
    static const struct {
        double unit;
        char letter;
    } scale[] = {{1e12, 'T'}, {1e9, 'B'}, {1e6, 'M'}, {1e3, 'K'}};
    const double n = (double)parameters;
    size_t s = 0;
    while (s < 3 && n <= scale[s].unit)
        s++;
    const double shown = n / scale[s].unit;
    snprintf(text, SIZE_LABEL_MAX, "%.*f%c", shown < 9.5 ? 1 : 0, shown, scale[s].letter);
    return text;
}

/* "org/name": where the name begins; NULL where the text is not of this form. */
static const char *after_owner(const char *id)
{
    const char *slash = strchr(id, '/');
    if (!slash || slash == id || !slash[1] || strchr(slash + 1, '/') || strchr("./~", id[0]))
        return NULL;
    return slash + 1;
}

/* The last folder of a path, or the model that a hub's cache keeps there:
 * models--ORG--NAME/snapshots/HASH. */
static void folder_name(char *name, size_t room, const char *folder)
{
    char path[PATH_ROOM], here[PATH_ROOM] = "";
    const bool relative = strcmp(folder, ".") == 0 || strcmp(folder, "./") == 0;
    if (relative && !getcwd(here, sizeof here))
        here[0] = '\0';
    snprintf(path, sizeof path, "%s", relative ? here : folder);
    size_t end = strlen(path);
    while (end && path[end - 1] == '/')
        path[--end] = '\0';
    char *snapshots = strstr(path, "/snapshots/");
    if (snapshots)
        *snapshots = '\0';
    const char *last = strrchr(path, '/');
    last = last ? last + 1 : path;
    for (const char *dashes; snapshots && (dashes = strstr(last, "--"));)
        last = dashes + 2;
    snprintf(name, room, "%s", last);
}

/* "7B", "1.5b", "8x7B": of a name's parts, the one that tells the size. */
static bool is_size(const char *part, size_t length)
{
    if (length < 2 || !strchr("KMBTkmbt", part[length - 1]))
        return false;
    for (size_t i = 0; i + 1 < length; i++)
        if (!(part[i] >= '0' && part[i] <= '9') && !(i > 0 && strchr("._x", part[i])))
            return false;
    return part[0] >= '0' && part[0] <= '9';
}

static bool is_version(const char *part, size_t length)
{
    return length > 1 && (part[0] == 'v' || part[0] == 'V') && part[1] >= '0' && part[1] <= '9';
}

/* <Base>-<Size>-<Finetune>-<Version>: the GGUF naming convention.  Names without a size are
 * left alone. */
static void set_name_parts(struct meta *meta, const char *name)
{
    const char *size = NULL, *behind = NULL;
    for (const char *part = name; part; part = behind) {
        const size_t length = strcspn(part, "-");
        behind = part[length] ? part + length + 1 : NULL;
        if (part > name && is_size(part, length)) {
            size = part;
            break;
        }
    }
    if (!size)
        return;
    meta_set_text(meta, "general.basename", meta_key(meta, "%.*s", (int)(size - name - 1), name));
    size_t length = behind ? strlen(behind) : 0;
    const char *last = behind ? strrchr(behind, '-') : NULL;
    last = last ? last + 1 : behind;
    if (last && is_version(last, strlen(last))) {
        meta_set_text(meta, "general.version", last);
        length = last > behind ? (size_t)(last - behind) - 1 : 0;
    }
    if (length)
        meta_set_text(meta, "general.finetune", meta_key(meta, "%.*s", (int)length, behind));
}

static bool set_name(struct plan *p, const struct model_card *card, const char *asked,
                     struct err *err)
{
    char name[256];
    const char *id = NULL;
    if (!hf_config_text(p->checkpoint->config, "_name_or_path", &id, err))
        return false;
    const char *of_card = model_card_text(card, "model_name"), *of_id = id ? after_owner(id) : NULL;
    if (asked || of_card || of_id)
        snprintf(name, sizeof name, "%s", asked ? asked : of_card ? of_card : of_id);
    else
        folder_name(name, sizeof name, p->checkpoint->folder);
    json_t *utf8 = json_string(name);
    json_decref(utf8);
    if (!utf8)
        return err_set(err, ERR_FORMAT, "the model's name is not UTF-8: give another by --name");
    if (!name[0])
        return true;
    set_name_parts(&p->meta, name);
    for (char *c = name; !asked && !of_card && *c; c++)
        if (*c == '-')
            *c = ' ';
    meta_set_text(&p->meta, "general.name", name);
    return true;
}

static void set_list(struct meta *meta, const char *key, const char **value, size_t count)
{
    struct meta_text text[LIST_MAX + 1];
    for (size_t i = 0; i < count; i++)
        text[i] = (struct meta_text){value[i], strlen(value[i])};
    if (count)
        meta_set_texts(meta, key, text, count);
}

/* Models that this one was made from: "org/name" each. */
static void set_base_models(struct meta *meta, const struct model_card *card)
{
    const char *base[LIST_MAX];
    const size_t count = model_card_list(card, "base_model", base, LIST_MAX);
    if (count)
        meta_set_u32(meta, "general.base_model.count", (uint32_t)count);
    for (size_t i = 0; i < count; i++) {
        const char *name = after_owner(base[i]);
        meta_set_text(meta, meta_key(meta, "general.base_model.%zu.name", i),
                      name ? name : base[i]);
        if (!name)
            continue;
        meta_set_text(meta, meta_key(meta, "general.base_model.%zu.organization", i),
                      meta_key(meta, "%.*s", (int)(name - base[i] - 1), base[i]));
        meta_set_text(meta, meta_key(meta, "general.base_model.%zu.repo_url", i),
                      meta_key(meta, "%s%s", HUB, base[i]));
    }
}

static void set_card(struct meta *meta, const struct model_card *card)
{
    static const char *const pair[][2] = {
        {"license", "general.license"},
        {"license_name", "general.license.name"},
        {"license_link", "general.license.link"},
    };
    const char *value[LIST_MAX + 1];
    for (size_t i = 0; i < sizeof pair / sizeof pair[0]; i++) {
        const char *text = model_card_text(card, pair[i][0]);
        if (text)
            meta_set_text(meta, pair[i][1], text);
    }
    set_base_models(meta, card);
    size_t count = model_card_list(card, "tags", value, LIST_MAX);
    count += model_card_list(card, "pipeline_tag", value + count, 1);
    set_list(meta, "general.tags", value, count);
    set_list(meta, "general.languages", value, model_card_list(card, "language", value, LIST_MAX));
}

bool plan_set_general(struct plan *p, const char *name, struct err *err)
{
    char label[SIZE_LABEL_MAX];
    uint64_t parameters = 0;
    struct model_card card;
    for (size_t i = 0; i < p->tensors; i++)
        if (p->tensor[i].edit != PLAN_COMPUTED)
            parameters += tensor_elems(&p->tensor[i].out);

    meta_set_text(&p->meta, "general.architecture", p->arch->name);
    meta_set_text(&p->meta, "general.type", "model");
    model_card_open(&card, p->checkpoint->folder);
    const bool ok = set_name(p, &card, name, err);
    if (ok && parameters)
        meta_set_text(&p->meta, "general.size_label", plan_size_label(label, parameters));
    if (ok)
        set_card(&p->meta, &card);
    model_card_close(&card);
    return ok;
}
