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

static char *put(char *to, const struct meta_text *t)
{
    for (size_t i = 0; i < t->length; i++) {
        if (t->text[i] == ' ') {
            *to++ = byte_letter_of_space[0];
            *to++ = byte_letter_of_space[1];
        } else {
            *to++ = t->text[i];
        }
    }
    return to;
}

/* "left right", in the arena. */
static bool join(const struct pair *p, struct arena *a, struct meta_text *out)
{
    char *text = arena_alloc(a, p->left.length + p->right.length + 1, 2);
    if (!text)
        return false;
    char *end = put(text, &p->left);
    *end++ = ' ';
    end = put(end, &p->right);
    *out = (struct meta_text){text, (size_t)(end - text)};
    return true;
}

static bool bad_merge(size_t rank, struct err *err)
{
    return err_set(err, ERR_FORMAT, "tokenizer.json: model.merges[%zu] is no pair of pieces", rank);
}

static bool join_all(const json_t *merges, struct arena *a, struct meta_text *text, struct err *err)
{
    for (size_t rank = 0; rank < json_array_size(merges); rank++) {
        struct pair p;
        if (!read_pair(json_array_get(merges, rank), &p))
            return bad_merge(rank, err);
        if (!join(&p, a, &text[rank]))
            return err_set(err, ERR_MEMORY, "no memory for the merges");
    }
    return true;
}

bool hf_merges_write(const json_t *merges, struct meta *m, struct err *err)
{
    const size_t count = json_array_size(merges);
    struct arena a = {0};
    struct meta_text *text = mem_alloc(count, sizeof *text);
    if (!text)
        return err_set(err, ERR_MEMORY, "no memory for %zu merges", count);
    const bool ok = join_all(merges, &a, text, err);
    if (ok)
        meta_set_texts(m, "tokenizer.ggml.merges", text, count);
    free(text);
    arena_close(&a);
    return ok;
}

/* The id of left and right together; *buffer grows as needed. */
static bool find_joined(const struct hf_vocab *v, const struct pair *p, char **buffer, size_t *room,
                        uint32_t *id)
{
    const size_t length = p->left.length + p->right.length;
    if (!*buffer || length > *room) {
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

/* Score 0: no merge makes the piece. */
static bool score_all(const json_t *merges, const struct hf_vocab *v, float *score, struct err *err)
{
    char *buffer = NULL;
    size_t room = 0;
    bool ok = true;
    for (size_t rank = 0; ok && rank < json_array_size(merges); rank++) {
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
    free(buffer);
    return ok;
}

bool hf_merges_score(const json_t *merges, const struct hf_vocab *v, struct meta *m,
                     struct err *err)
{
    float *score = mem_alloc(v->rows, sizeof *score);
    if (!score)
        return err_set(err, ERR_MEMORY, "no memory for %zu scores", v->rows);
    const bool ok = score_all(merges, v, score, err);
    for (size_t id = 0; id < v->rows; id++) {
        if (score[id] == 0)
            score[id] = -(float)(json_array_size(merges) + 1);
    }
    if (ok)
        meta_set_f32s(m, "tokenizer.ggml.scores", score, v->rows);
    free(score);
    return ok;
}
