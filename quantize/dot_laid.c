#include "quantize/dot_laid.h"

#include "core/block.h"

#include <string.h>

enum { WORD = 4, PIECE = 256, WORDS_MAX = sizeof(struct block_q6_k) / WORD, HALVES_MAX = 8 };

/* Where a block's codes begin; how many planes those of a piece are, and of how many words. */
static const struct laid {
    uint8_t codes, planes, steps;
} laid[DTYPE_COUNT] = {
    [DTYPE_Q4_0] = {offsetof(struct block_q4_0, qs), 8, 4},
    [DTYPE_Q4_1] = {offsetof(struct block_q4_1, qs), 8, 4},
    [DTYPE_Q2_K] = {offsetof(struct block_q2_k, qs), 2, 8},
    [DTYPE_Q3_K] = {offsetof(struct block_q3_k, hmask), 3, 8},
    [DTYPE_Q4_K] = {offsetof(struct block_q4_k, qs), 4, 8},
    [DTYPE_Q5_K] = {offsetof(struct block_q5_k, qh), 5, 8},
    [DTYPE_Q6_K] = {offsetof(struct block_q6_k, ql), 6, 8},
    [DTYPE_IQ4_NL] = {offsetof(struct block_iq4_nl, qs), 8, 4},
    [DTYPE_IQ4_XS] = {offsetof(struct block_iq4_xs, qs), 8, 4},
    [DTYPE_TQ2_0] = {offsetof(struct block_tq2_0, qs), 2, 8},
};

/* Where the words and halves of a row come from, in bytes, and where they go: in the group's first
 * sixteen rows, and so much further in the second. */
struct places {
    size_t words, halves;
    struct place {
        uint16_t from, to, apart;
    } word[WORDS_MAX], half[HALVES_MAX];
};

static void add_place(struct place *p, size_t from, size_t to, size_t apart)
{
    *p = (struct place){(uint16_t)from, (uint16_t)to, (uint16_t)apart};
}

static struct places find_places(enum dtype_id type)
{
    const struct laid *t = &laid[type];
    const struct dtype *d = dtype_get(type);
    const size_t blocks = PIECE / d->block_elems, bytes = d->block_bytes;
    const size_t line = (size_t)LAID_HALF * WORD; /* of a word in sixteen rows */
    const size_t code_words = (size_t)t->planes * t->steps / blocks;
    const size_t rest = (bytes / WORD - code_words) * blocks;
    const size_t code_bytes = code_words * WORD * blocks * LAID_ROWS;
    const size_t rest_at = blocks > 1 ? code_bytes : 0;
    const size_t codes = blocks > 1 ? 0 : bytes * LAID_ROWS - code_bytes;
    const size_t begin = t->codes % WORD; /* a half stands before the words, or behind them */
    struct places p = {0};
    for (size_t b = 0, rests = 0; b < blocks; b++) {
        for (size_t i = 0; i < bytes / WORD; i++) {
            const size_t from = begin + i * WORD, code = i - (t->codes - begin) / WORD;
            const size_t plane = b + code / t->steps, step = code % t->steps;
            if (from >= t->codes && code < code_words)
                add_place(&p.word[p.words++], b * bytes + from,
                          codes + (2 * step * t->planes + plane) * line, t->planes * line);
            else
                add_place(&p.word[p.words++], b * bytes + from, rest_at + rests++ * line,
                          rest * line);
        }
        if (bytes % WORD != 0)
            add_place(&p.half[p.halves++], b * bytes + (begin ? 0 : bytes - bytes % WORD),
                      rest_at + (2 * rest + b) * line, line / 2);
    }
    return p;
}

/* 256 columns of a row to theirs of the group. */
static void write_piece(uint8_t *to, const uint8_t *piece, const struct places *p, size_t row)
{
    const size_t half = row / LAID_HALF, lane = row % LAID_HALF;
    for (const struct place *w = p->word; w < p->word + p->words; w++)
        memcpy(to + w->to + half * w->apart + lane * WORD, piece + w->from, WORD);
    for (const struct place *w = p->half; w < p->half + p->halves; w++)
        memcpy(to + w->to + half * w->apart + lane * WORD / 2, piece + w->from, WORD / 2);
}

void laid_write(uint8_t *to, enum dtype_id type, const uint8_t *from, size_t row_bytes, size_t rows,
                size_t cols)
{
    const struct dtype *t = dtype_get(type);
    const size_t pieces = cols / PIECE, bytes = PIECE / t->block_elems * t->block_bytes;
    const struct places p = find_places(type);
    if (rows < LAID_ROWS)
        memset(to, 0, pieces * bytes * LAID_ROWS);
    for (size_t i = 0; i < pieces; i++, to += bytes * LAID_ROWS)
        for (size_t row = 0; row < rows; row++)
            write_piece(to, from + row * row_bytes + i * bytes, &p, row);
}
