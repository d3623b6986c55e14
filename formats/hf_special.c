#include "formats/hf_special.h"

#include "core/mem.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum kind { BOS, EOS, UNK, SEP, PAD, CLS, MASK, EOT, EOM, KINDS };

static const struct {
    const char *name;   /* in Hugging Face's "<name>_token", "<name>_token_id" */
    const char *id_key; /* of GGUF; "seperator" is how the specification spells it */
} kinds[KINDS] = {
    [BOS] = {"bos", "tokenizer.ggml.bos_token_id"},
    [EOS] = {"eos", "tokenizer.ggml.eos_token_id"},
    [UNK] = {"unk", "tokenizer.ggml.unknown_token_id"},
    [SEP] = {"sep", "tokenizer.ggml.seperator_token_id"},
    [PAD] = {"pad", "tokenizer.ggml.padding_token_id"},
    [CLS] = {"cls", "tokenizer.ggml.cls_token_id"},
    [MASK] = {"mask", "tokenizer.ggml.mask_token_id"},
    [EOT] = {"eot", "tokenizer.ggml.eot_token_id"},
    [EOM] = {"eom", "tokenizer.ggml.eom_token_id"},
};

/* The ends of a turn in a chat, the likeliest first. */
static const char *const turn_ends[] = {"<|eot_id|>", "<|im_end|>",        "<end_of_turn>",
                                        "<|end|>",    "<turn|>",           "[EOT]",
                                        "<EOT>",      "<end_of_utterance>"};

/* Ids, -1 where none is known. */
struct ids {
    int64_t id[KINDS];
};

static const json_t *member(const json_t *from, const char *name, const char *suffix)
{
    char key[32];
    snprintf(key, sizeof key, "%s%s", name, suffix);
    return json_object_get(from, key);
}

static int64_t find_text(const struct hf_vocab *v, const json_t *string)
{
    uint32_t id;
    return json_is_string(string) &&
                   hf_vocab_find(v, json_string_value(string), json_string_length(string), &id)
               ? (int64_t)id
               : -1;
}

/* "bos_token": "<s>", or {"content": "<s>"} */
static int64_t find_named(const struct hf_vocab *v, const json_t *from, enum kind k)
{
    const json_t *token = member(from, kinds[k].name, "_token");
    return find_text(v, json_is_object(token) ? json_object_get(token, "content") : token);
}

static int64_t valid_id(const struct hf_vocab *v, const json_t *id)
{
    const json_int_t value = json_is_integer(id) ? json_integer_value(id) : -1;
    return value >= 0 && (uint64_t)value < v->tokens ? value : -1;
}

/* "eos_token_id": 2, or [2, 7]: the first */
static int64_t find_numbered(const struct hf_vocab *v, const json_t *from, enum kind k)
{
    const json_t *id = member(from, kinds[k].name, "_token_id");
    return valid_id(v, json_is_array(id) ? json_array_get(id, 0) : id);
}

static void find_ids(const struct hf_tokenizer_files *from, const struct hf_vocab *v, struct ids *s)
{
    const json_t *text_config = json_object_get(from->config, "text_config");
    const json_t *model = json_object_get(from->tokenizer, "model");
    for (enum kind k = 0; k < KINDS; k++) {
        s->id[k] = find_named(v, from->tokenizer_config, k);
        if (s->id[k] < 0)
            s->id[k] = find_named(v, from->special_tokens_map, k);
        if (s->id[k] < 0 && k == UNK)
            s->id[k] = find_text(v, json_object_get(model, "unk_token"));
        if (s->id[k] < 0)
            s->id[k] = find_numbered(v, from->generation_config, k);
        if (s->id[k] < 0)
            s->id[k] = find_numbered(v, from->config, k);
        if (s->id[k] < 0)
            s->id[k] = find_numbered(v, text_config, k);
    }
}

static bool token_is(const struct hf_vocab *v, int64_t id, const char *text)
{
    return id >= 0 && strcmp(v->text[id].text, text) == 0;
}

/* A list of eos ids holds all that end a generation; GGUF has a place for the end of a turn and of
 * a message too. */
static void sort_ends(const json_t *list, const struct hf_vocab *v, struct ids *s)
{
    const size_t count = json_array_size(list);
    for (size_t i = 0; i < count && s->id[EOM] < 0; i++) {
        const int64_t id = valid_id(v, json_array_get(list, i));
        if (token_is(v, id, "<|eom_id|>"))
            s->id[EOM] = id;
    }
    for (size_t n = 0; n < sizeof turn_ends / sizeof *turn_ends && s->id[EOT] < 0; n++) {
        for (size_t i = 0; i < count && s->id[EOT] < 0; i++) {
            const int64_t id = valid_id(v, json_array_get(list, i));
            if (token_is(v, id, turn_ends[n]))
                s->id[EOT] = id;
        }
    }
    for (size_t i = 0; i < count && s->id[EOT] < 0; i++) {
        const int64_t id = valid_id(v, json_array_get(list, i));
        if (id >= 0 && id != s->id[EOS] && id != s->id[EOM])
            s->id[EOT] = id;
    }
}

/* What is put around a text: -1 unknown, 0 no, 1 yes. */
struct around {
    int bos, eos, sep;
};

static int64_t template_token(const struct hf_vocab *v, const json_t *item)
{
    return find_text(v, json_object_get(json_object_get(item, "SpecialToken"), "id"));
}

/* TemplateProcessing: "single" is [bos] A [eos]. */
static void read_template(const json_t *single, const struct hf_vocab *v, struct ids *s,
                          struct around *w)
{
    const size_t count = json_array_size(single);
    if (count == 0)
        return;
    const int64_t first = template_token(v, json_array_get(single, 0));
    const int64_t last = count > 1 ? template_token(v, json_array_get(single, count - 1)) : -1;
    if (s->id[BOS] < 0)
        s->id[BOS] = first;
    if (s->id[EOS] < 0)
        s->id[EOS] = last;
    w->bos = first >= 0 && (first == s->id[BOS] || first == s->id[CLS]);
    w->eos = last >= 0 && (last == s->id[EOS] || last == s->id[SEP]);
}

static void read_processor(const json_t *processor, const struct hf_vocab *v, struct ids *s,
                           struct around *w)
{
    const char *type = json_string_value(json_object_get(processor, "type"));
    if (!type)
        return;
    if (strcmp(type, "TemplateProcessing") == 0)
        read_template(json_object_get(processor, "single"), v, s, w);
    if (strcmp(type, "RobertaProcessing") == 0)
        *w = (struct around){1, 1, 1};
}

static void read_flag(const json_t *config, const char *name, int *flag)
{
    const json_t *value = json_object_get(config, name);
    if (json_is_boolean(value))
        *flag = json_is_true(value);
}

/* "Yes" needs the token to add. */
static void write_flag(struct meta *m, const char *key, int flag, int64_t id)
{
    if (flag >= 0)
        meta_set_bool(m, key, flag > 0 && id >= 0);
}

void hf_special_write(const struct hf_tokenizer_files *from, const struct hf_vocab *v,
                      struct meta *m)
{
    const json_t *post = json_object_get(from->tokenizer, "post_processor");
    const json_t *processors = json_object_get(post, "processors");
    struct around w = {-1, -1, -1};
    struct ids s;
    size_t i;
    const json_t *each;

    find_ids(from, v, &s);
    sort_ends(json_object_get(from->generation_config, "eos_token_id"), v, &s);
    read_processor(post, v, &s, &w);
    json_array_foreach (processors, i, each) {
        read_processor(each, v, &s, &w);
    }
    read_flag(from->tokenizer_config, "add_bos_token", &w.bos);
    read_flag(from->tokenizer_config, "add_eos_token", &w.eos);
    read_flag(from->tokenizer_config, "add_sep_token", &w.sep);

    for (enum kind k = 0; k < KINDS; k++) {
        if (s.id[k] >= 0)
            meta_set_u32(m, kinds[k].id_key, (uint32_t)s.id[k]);
    }
    write_flag(m, "tokenizer.ggml.add_bos_token", w.bos, s.id[BOS]);
    write_flag(m, "tokenizer.ggml.add_eos_token", w.eos, s.id[EOS]);
    write_flag(m, "tokenizer.ggml.add_sep_token", w.sep, s.id[SEP]);
}

static bool is_letter_or_digit(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static void set_text(struct meta *m, const char *key, const json_t *string)
{
    const struct meta_value value = {
        .type = META_TEXT,
        .as.text = {json_string_value(string), json_string_length(string)},
    };
    meta_set(m, key, &value);
}

/* Sets one named template; *key_name is its name in the key, or NULL where it has none there. */
static void write_named(const json_t *choice, struct meta *m, const char **key_name)
{
    const char *name = json_string_value(json_object_get(choice, "name"));
    const json_t *template = json_object_get(choice, "template");
    *key_name = NULL;
    if (!name || !*name || !json_is_string(template))
        return;
    if (strcmp(name, "default") == 0) {
        set_text(m, "tokenizer.chat_template", template);
        return;
    }
    char *plain = arena_text(&m->arena, name, strlen(name));
    for (char *c = plain; c && *c; c++) {
        if (!is_letter_or_digit(*c))
            *c = '_';
    }
    if (!plain) {
        m->failed = true;
        return;
    }
    set_text(m, meta_key(m, "tokenizer.chat_template.%s", plain), template);
    *key_name = plain;
}

void hf_special_write_templates(const struct hf_tokenizer_files *from, struct meta *m)
{
    const json_t *templates = json_object_get(from->tokenizer_config, "chat_template");
    if (!json_is_string(templates) && !json_is_array(templates))
        templates = from->chat_template;
    if (json_is_string(templates))
        set_text(m, "tokenizer.chat_template", templates);
    const size_t count = json_array_size(templates);
    struct meta_text *names = mem_alloc(count, sizeof *names);
    if (!names) {
        m->failed = true;
        return;
    }
    size_t used = 0;
    for (size_t i = 0; i < count; i++) {
        const char *name;
        write_named(json_array_get(templates, i), m, &name);
        if (name)
            names[used++] = (struct meta_text){name, strlen(name)};
    }
    if (used > 0)
        meta_set_texts(m, "tokenizer.chat_templates", names, used);
    free(names);
}
