#include "model/tok_merge.h"

#include "core/mem.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

/* A pair that was seen.  It is stale when one of the two has since become longer or part of
 * another: the lengths no longer add up to `length`, for symbols only grow. */
struct tok_candidate {
    uint32_t order, left, length, id;
};

void tok_merge_close(struct tok_merge *m)
{
    free(m->symbol);
    free(m->heap);
    memset(m, 0, sizeof *m);
}

/* Each symbol but the first brings one pair, each merge, of which there are fewer, two. */
static size_t most_candidates(size_t symbols) { return 3 * symbols; }

static bool make_room(void **array, size_t *room, size_t wanted, size_t size)
{
    if (wanted <= *room)
        return true;
    void *new = mem_alloc(wanted + wanted / 2, size);
    if (!new)
        return false;
    free(*array);
    *array = new;
    *room = wanted + wanted / 2;
    return true;
}

bool tok_merge_begin(struct tok_merge *m, size_t symbols, struct err *err)
{
    void *symbol = m->symbol, *heap = m->heap;
    m->symbols = m->candidates = 0;
    const bool ok = symbols < TOK_NONE / 8 &&
                    make_room(&symbol, &m->symbol_room, symbols, sizeof *m->symbol) &&
                    make_room(&heap, &m->heap_room, most_candidates(symbols), sizeof *m->heap);
    m->symbol = symbol;
    m->heap = heap;
    return ok || err_set(err, ERR_MEMORY, "no memory for a word of %zu symbols", symbols);
}

void tok_merge_add(struct tok_merge *m, uint32_t length, uint32_t id)
{
    const uint32_t i = (uint32_t)m->symbols++;
    assert(m->symbols <= m->symbol_room);
    struct tok_symbol *s = &m->symbol[i];
    *s = (struct tok_symbol){0, length, TOK_NONE, TOK_NONE, id};
    if (i > 0) {
        s->start = s[-1].start + s[-1].length;
        s->before = i - 1;
        s[-1].after = i;
    }
}

static bool comes_first(const struct tok_candidate *a, const struct tok_candidate *b)
{
    return a->order != b->order ? a->order < b->order : a->left < b->left;
}

static void push(struct tok_merge *m, const struct tok_candidate *c)
{
    size_t i = m->candidates++;
    assert(m->candidates <= m->heap_room);
    for (; i > 0 && comes_first(c, &m->heap[(i - 1) / 2]); i = (i - 1) / 2)
        m->heap[i] = m->heap[(i - 1) / 2];
    m->heap[i] = *c;
}

static struct tok_candidate pop(struct tok_merge *m)
{
    const struct tok_candidate first = m->heap[0];
    const struct tok_candidate last = m->heap[--m->candidates];
    size_t i = 0;
    for (size_t child; (child = 2 * i + 1) < m->candidates; i = child) {
        if (child + 1 < m->candidates && comes_first(&m->heap[child + 1], &m->heap[child]))
            child++;
        if (!comes_first(&m->heap[child], &last))
            break;
        m->heap[i] = m->heap[child];
    }
    m->heap[i] = last;
    return first;
}

/* Offers the pair of `left` and what stands behind it. */
static void offer(struct tok_merge *m, uint32_t left, const char *text, tok_pair_fn pair,
                  const void *vocabulary)
{
    struct tok_pair p;
    if (left == TOK_NONE || m->symbol[left].after == TOK_NONE)
        return;
    const struct tok_symbol *l = &m->symbol[left], *r = &m->symbol[l->after];
    if (pair(vocabulary, text, l, r, &p))
        push(m, &(struct tok_candidate){p.order, left, l->length + r->length, p.id});
}

void tok_merge_run(struct tok_merge *m, const char *text, tok_pair_fn pair, const void *vocabulary)
{
    for (uint32_t i = 0; i + 1 < m->symbols; i++)
        offer(m, i, text, pair, vocabulary);
    while (m->candidates > 0) {
        const struct tok_candidate c = pop(m);
        struct tok_symbol *left = &m->symbol[c.left];
        if (left->length == 0 || left->after == TOK_NONE)
            continue;
        struct tok_symbol *right = &m->symbol[left->after];
        if (left->length + right->length != c.length)
            continue;
        left->length = c.length;
        left->id = c.id;
        left->after = right->after;
        right->length = 0;
        if (left->after != TOK_NONE)
            m->symbol[left->after].before = c.left;
        offer(m, left->before, text, pair, vocabulary);
        offer(m, c.left, text, pair, vocabulary);
    }
}
