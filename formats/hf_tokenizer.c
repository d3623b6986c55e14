#include "formats/hf_tokenizer.h"

#include "core/json.h"
#include "core/map.h"
#include "formats/hf_merges.h"
#include "formats/hf_special.h"
#include "formats/hf_vocab.h"
#include "formats/pretokenizer.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* Only byte-pair encoding of whole words has GGUF keys here. */
static bool check_model(const json_t *model, struct err *err)
{
    static const char *const affixes[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    const char *type = json_string_value(json_object_get(model, "type"));
    if (!json_is_object(model))
        return err_set(err, ERR_FORMAT, "tokenizer.json: model is no object");
    if (!type && json_is_array(json_object_get(model, "merges")))
        type = "BPE"; /* files of old do not say */
    if (!type || strcmp(type, "BPE") != 0)
        return err_set(err, ERR_UNSUPPORTED,
                       "tokenizer.json: a tokenizer of type %.40s: only BPE is converted",
                       type ? type : "unknown");
    for (size_t i = 0; i < 2; i++) {
        const char *affix = json_string_value(json_object_get(model, affixes[i]));
        if (affix && *affix)
            return err_set(err, ERR_UNSUPPORTED,
                           "tokenizer.json: model.%s is '%.40s': no GGUF key says that", affixes[i],
                           affix);
    }
    if (!json_is_array(json_object_get(model, "merges")))
        return err_set(err, ERR_FORMAT, "tokenizer.json: model.merges is no list");
    return true;
}

static void note(struct hf_tokenizer_facts *facts, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void note(struct hf_tokenizer_facts *facts, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(facts->note, sizeof facts->note, fmt, args);
    va_end(args);
}

/* The length of `text` cut to `most` bytes, between two characters. */
static int cut(const char *text, int most)
{
    int length = (int)strnlen(text, (size_t)most + 1);
    if (length > most)
        for (length = most; length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80;)
            length--;
    return length;
}

/* --pre NAME goes as it is. */
static void take_pre(const char *name, struct hf_tokenizer_facts *facts)
{
    snprintf(facts->pre, sizeof facts->pre, "%s", name);
    if (pretokenizer_name_known(name))
        return;
    const char *nearest = pretokenizer_name_nearest(name);
    note(facts, "stock llama.cpp knows no pre-tokenizer '%.60s' and will refuse the file%s%s%s",
         name, nearest ? "; did you mean '" : "", nearest ? nearest : "", nearest ? "'?" : "");
}

static void choose_pre(const struct hf_tokenizer_files *files, const struct pretokenizer *splitter,
                       struct hf_tokenizer_facts *facts)
{
    const json_t *model = json_object_get(files->tokenizer, "model");
    const char *model_type = json_string_value(json_object_get(files->config, "model_type"));
    const bool ignore_merges = json_is_true(json_object_get(model, "ignore_merges"));
    const struct pretokenizer_row *row = pretokenizer_find(splitter, ignore_merges, model_type);
    snprintf(facts->pre, sizeof facts->pre, "%s", row ? row->name : "default");
    facts->pre_guessed = !row;
    if (!row) {
        const char *step = splitter->steps > 0 ? splitter->step[0] : "(none)";
        note(facts,
             "no name is known for the splitter %.*s: tokenizer.ggml.pre is 'default'; give the "
             "right one with --pre NAME",
             cut(step, 60), step);
    } else if (row->ignores_merges != ignore_merges) {
        note(facts,
             "the tokenizer %s whole words as they are (ignore_merges), the engine under "
             "tokenizer.ggml.pre '%s' %s: a few words may be split otherwise",
             ignore_merges ? "takes" : "does not take", row->name,
             ignore_merges ? "does not" : "does");
    }
}

/* SentencePiece's "put a space in front": a normalizer Prepend, perhaps within a Sequence. */
static bool normalizer_prepends(const json_t *normalizer)
{
    const char *type = json_string_value(json_object_get(normalizer, "type"));
    const json_t *parts = json_object_get(normalizer, "normalizers");
    size_t i;
    const json_t *part;
    json_array_foreach (parts, i, part) {
        const char *each = json_string_value(json_object_get(part, "type"));
        if (each && strcmp(each, "Prepend") == 0)
            return true;
    }
    return type && strcmp(type, "Prepend") == 0;
}

static bool write_sentencepiece(const struct hf_tokenizer_files *files,
                                const struct pretokenizer *splitter, const struct hf_vocab *v,
                                struct meta *meta, struct err *err)
{
    const json_t *model = json_object_get(files->tokenizer, "model");
    const json_t *normalizer = json_object_get(files->tokenizer, "normalizer");
    meta_set_text(meta, "tokenizer.ggml.model", "llama");
    meta_set_text(meta, "tokenizer.ggml.pre", "default");
    hf_vocab_write(v, meta);
    meta_set_bool(meta, "tokenizer.ggml.add_space_prefix",
                  splitter->metaspace ? splitter->space_prefix : normalizer_prepends(normalizer));
    return hf_merges_score(json_object_get(model, "merges"), v, meta, err);
}

static bool write_byte_level(const struct hf_tokenizer_files *files, const struct hf_vocab *v,
                             const struct hf_tokenizer_facts *facts, struct meta *meta,
                             struct err *err)
{
    const json_t *model = json_object_get(files->tokenizer, "model");
    meta_set_text(meta, "tokenizer.ggml.model", "gpt2");
    meta_set_text(meta, "tokenizer.ggml.pre", facts->pre);
    hf_vocab_write(v, meta);
    return hf_merges_write(json_object_get(model, "merges"), meta, err);
}

static bool has_byte_letters(const struct hf_tokenizer_files *files,
                             const struct pretokenizer *splitter)
{
    const json_t *decoder = json_object_get(files->tokenizer, "decoder");
    const char *type = json_string_value(json_object_get(decoder, "type"));
    return splitter->byte_level || (type && strcmp(type, "ByteLevel") == 0);
}

static bool write_keys(const struct hf_tokenizer_files *files,
                       const struct hf_tokenizer_options *options, const struct hf_vocab *v,
                       struct meta *meta, struct hf_tokenizer_facts *facts, struct err *err)
{
    struct arena arena = {0};
    struct pretokenizer splitter;
    bool ok =
        pretokenizer_read(&splitter, json_object_get(files->tokenizer, "pre_tokenizer"), &arena) ||
        err_set(err, ERR_MEMORY, "no memory for the splitter");
    if (ok && has_byte_letters(files, &splitter)) {
        if (options->pre)
            take_pre(options->pre, facts);
        else
            choose_pre(files, &splitter, facts);
        ok = write_byte_level(files, v, facts, meta, err);
    } else if (ok && v->byte_fallback) {
        if (options->pre)
            note(facts, "a SentencePiece-like tokenizer has no splitter: --pre %.60s is not used",
                 options->pre);
        ok = write_sentencepiece(files, &splitter, v, meta, err);
    } else if (ok) {
        ok = err_set(err, ERR_UNSUPPORTED,
                     "tokenizer.json: a BPE neither on bytes (ByteLevel) nor with byte_fallback: "
                     "no GGUF key says that");
    }
    arena_close(&arena);
    return ok;
}

bool hf_tokenizer_parse(const struct hf_tokenizer_files *files,
                        const struct hf_tokenizer_options *options, struct meta *meta,
                        struct hf_tokenizer_facts *facts, struct err *err)
{
    struct hf_vocab v = {0};
    memset(facts, 0, sizeof *facts);
    bool ok = check_model(json_object_get(files->tokenizer, "model"), err) &&
              hf_vocab_open(&v, files, options->vocab_size, err);
    facts->tokens = v.tokens;
    ok = ok && write_keys(files, options, &v, meta, facts, err);
    if (ok) {
        hf_special_write(files, &v, meta);
        hf_special_write_templates(files, meta);
    }
    hf_vocab_close(&v);
    if (ok && meta->failed)
        ok = err_set(err, ERR_MEMORY, "no memory for the tokenizer's keys");
    return ok;
}

enum { PATH_ROOM = 4096 };

/* *root stays NULL where the file is not there. */
static bool open_optional(json_t **root, const char *folder, const char *name,
                          json_t *(*open)(const char *, struct err *), struct err *err)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= PATH_ROOM || access(path, F_OK) != 0)
        return true;
    *root = open(path, err);
    return *root != NULL;
}

/* A file's text as a JSON string. */
static json_t *open_text(const char *path, struct err *err)
{
    struct map m;
    if (!map_open(&m, path, err))
        return NULL;
    json_t *text = json_stringn(m.data ? (const char *)m.data : "", m.size);
    if (!text)
        err_set(err, ERR_FORMAT, "%s: the text is not UTF-8", path);
    map_close(&m);
    return text;
}

static bool open_files(struct hf_tokenizer_files *f, const char *folder, struct err *err)
{
    char path[PATH_ROOM];
    if (snprintf(path, sizeof path, "%s/tokenizer.json", folder) >= PATH_ROOM)
        return err_set(err, ERR_USAGE, "%.200s...: the path is too long", folder);
    f->tokenizer = json_open(path, err);
    return f->tokenizer &&
           open_optional(&f->tokenizer_config, folder, "tokenizer_config.json", json_open_reals,
                         err) &&
           open_optional(&f->special_tokens_map, folder, "special_tokens_map.json", json_open,
                         err) &&
           open_optional(&f->generation_config, folder, "generation_config.json", json_open, err) &&
           open_optional(&f->added_tokens, folder, "added_tokens.json", json_open, err) &&
           open_optional(&f->chat_template, folder, "chat_template.jinja", open_text, err);
}

static void close_files(struct hf_tokenizer_files *f)
{
    json_decref(f->tokenizer);
    json_decref(f->tokenizer_config);
    json_decref(f->special_tokens_map);
    json_decref(f->generation_config);
    json_decref(f->added_tokens);
    json_decref(f->chat_template);
}

bool hf_tokenizer_read(const char *folder, const json_t *config,
                       const struct hf_tokenizer_options *options, struct meta *meta,
                       struct hf_tokenizer_facts *facts, struct err *err)
{
    struct hf_tokenizer_files files = {.config = config};
    bool ok = open_files(&files, folder, err);
    if (ok && !hf_tokenizer_parse(&files, options, meta, facts, err))
        ok = err_wrap(err, "%s", folder);
    close_files(&files);
    return ok;
}
