#include "formats/hf_merges.h"

#include "core/mem.h"

#include <stdlib.h>
#include <string.h>

static const char byte_letter_of_space[] = "\u0120";

struct pair {
    struct meta_text left, right;
};

static bool read_pair(const json_t *merge, struct pair *p)
{
    const json_t *left = json_array_get(merge, 0), *right = json_array_get(merge, 1);
    if (json_is_string(left) && json_is_string(right) && json_array_size(merge) == 2) {
        p->left = (struct meta_text){json_string_value(left), json_string_length(left)};
        p->right = (struct meta_text){json_string_value(right), json_string_length(right)};
        return p->left.length > 0 && p->right.length > 0;
    }
    const char *text = json_string_value(merge);
    const size_t length = json_string_length(merge);
    const char *space = length > 1 ? memchr(text + 1, ' ', length - 1) : NULL;
    if (!space)
        return false;
    p->left = (struct meta_text){text, (size_t)(space - text)};
    p->right = (struct meta_text){space + 1, length - p->left.length - 1};
    return p->right.length > 0;
}

static char *put(char *to, const struct meta_text *t, const char *space)
{
    for (size_t i = 0; i < t->length; i++) {
        if (t->text[i] == ' ') {
            memcpy(to, space, strlen(space));
            to += strlen(space);
        } else {
            *to++ = t->text[i];
        }
    }
    return to;
}

static bool bad_merge(size_t rank, struct err *err)
{
    return err_set(err, ERR_FORMAT, "tokenizer.json: model.merges[%zu] is no pair of pieces", rank);
}

bool hf_merges_write(const json_t *merges, struct meta *m, struct err *err)
{
    const size_t count = json_array_size(merges);
    struct arena a = {0};
    struct meta_text *text = mem_alloc(count, sizeof *text);
    bool ok = text || err_set(err, ERR_MEMORY, "no memory for %zu merges", count);
    for (size_t rank = 0; ok && rank < count; rank++) {
        struct pair p;
        if (!read_pair(json_array_get(merges, rank), &p)) {
            ok = bad_merge(rank, err);
            break;
        }
        char *out = arena_alloc(&a, p.left.length + p.right.length + 1, 2);
        if (!out) {
            ok = err_set(err, ERR_MEMORY, "no memory for %zu merges", count);
            break;
        }
        char *end = put(out, &p.left, byte_letter_of_space);
        *end++ = ' ';
        end = put(end, &p.right, byte_letter_of_space);
        text[rank] = (struct meta_text){out, (size_t)(end - out)};
    }
    if (ok)
        meta_set_texts(m, "tokenizer.ggml.merges", text, count);
    free(text);
    arena_close(&a);
    return ok;
}

/* The id of left and right together. */
static bool find_joined(const struct hf_vocab *v, const struct pair *p, char **buffer, size_t *room,
                        uint32_t *id)
{
    const size_t length = p->left.length + p->right.length;
    if (length > *room) {
        char *more = realloc(*buffer, 2 * length);
        if (!more)
            return false;
        *buffer = more;
        *room = 2 * length;
    }
    memcpy(*buffer, p->left.text, p->left.length);
    memcpy(*buffer + p->left.length, p->right.text, p->right.length);
    return hf_vocab_find(v, *buffer, length, id);
}

bool hf_merges_score(const json_t *merges, const struct hf_vocab *v, struct meta *m,
                     struct err *err)
{
    const size_t count = json_array_size(merges);
    char *buffer = NULL;
    size_t room = 0;
    float *score = mem_alloc(v->rows, sizeof *score);
    bool ok = score || err_set(err, ERR_MEMORY, "no memory for %zu scores", v->rows);
    for (size_t rank = 0; ok && rank < count; rank++) {
        struct pair p;
        uint32_t id;
        if (!read_pair(json_array_get(merges, rank), &p))
            ok = bad_merge(rank, err);
        else if (!find_joined(v, &p, &buffer, &room, &id))
            ok = err_set(err, ERR_FORMAT,
                         "tokenizer.json: model.merges[%zu] makes a piece that is no token", rank);
        else if (score[id] == 0)
            score[id] = -(float)(rank + 1);
    }
    for (size_t id = 0; ok && id < v->rows; id++) {
        if (score[id] == 0)
            score[id] = -(float)(count + 1);
    }
    if (ok)
        meta_set_f32s(m, "tokenizer.ggml.scores", score, v->rows);
    free(buffer);
    free(score);
    return ok;
}
