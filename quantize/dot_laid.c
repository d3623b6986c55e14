#include "quantize/dot_laid.h"

#include "core/block.h"

#include <stdbool.h>
#include <string.h>

enum { WORD = 4, WORDS_MAX = sizeof(struct block_q6_k) / WORD };

/* Where a super-block's codes begin, how many planes they are, and of how many words. */
static const struct laid {
    uint8_t codes, planes, steps;
} laid[DTYPE_COUNT] = {
    [DTYPE_Q2_K] = {offsetof(struct block_q2_k, qs), 2, 8},
    [DTYPE_Q3_K] = {offsetof(struct block_q3_k, hmask), 3, 8},
    [DTYPE_Q4_K] = {offsetof(struct block_q4_k, qs), 4, 8},
    [DTYPE_Q5_K] = {offsetof(struct block_q5_k, qh), 5, 8},
    [DTYPE_Q6_K] = {offsetof(struct block_q6_k, ql), 6, 8},
    [DTYPE_IQ4_XS] = {offsetof(struct block_iq4_xs, qs), 8, 4},
    [DTYPE_TQ2_0] = {offsetof(struct block_tq2_0, qs), 2, 8},
};

/* Where the words of a row go: in the group's first half, and so much further in the second. */
struct places {
    size_t words;
    uint16_t at[WORDS_MAX], apart[WORDS_MAX];
    uint16_t half; /* of the last half */
};

static struct places find_places(enum dtype_id type)
{
    const struct laid *t = &laid[type];
    const size_t bytes = dtype_get(type)->block_bytes, words = bytes / WORD,
                 line = LAID_HALF * WORD;
    const size_t first = t->codes / WORD, code_words = (size_t)t->steps * t->planes;
    const size_t rest = words - code_words, codes = (bytes - code_words * WORD) * LAID_ROWS;
    struct places p = {.words = words, .half = (uint16_t)(2 * rest * line)};
    for (size_t i = 0; i < words; i++) {
        const bool is_code = i >= first && i < first + code_words;
        const size_t plane = (i - first) / t->steps, step = (i - first) % t->steps;
        const size_t at = is_code     ? codes + (2 * step * t->planes + plane) * line
                          : i < first ? i * line
                                      : (i - code_words) * line;
        p.at[i] = (uint16_t)at;
        p.apart[i] = (uint16_t)((is_code ? t->planes : rest) * line);
    }
    return p;
}

/* One super-block of a row to its column of the group. */
static void write_block(uint8_t *to, const uint8_t *block, size_t bytes, const struct places *p,
                        size_t row)
{
    const size_t half = row / LAID_HALF, lane = row % LAID_HALF;
    for (size_t i = 0; i < p->words; i++)
        memcpy(to + p->at[i] + half * p->apart[i] + lane * WORD, block + i * WORD, WORD);
    if (bytes % WORD != 0)
        memcpy(to + p->half + row * sizeof(uint16_t), block + p->words * WORD, sizeof(uint16_t));
}

void laid_write(uint8_t *to, enum dtype_id type, const uint8_t *from, size_t row_bytes, size_t rows,
                size_t cols)
{
    const struct dtype *t = dtype_get(type);
    const size_t blocks = cols / t->block_elems, bytes = t->block_bytes;
    const struct places p = find_places(type);
    if (rows < LAID_ROWS)
        memset(to, 0, blocks * bytes * LAID_ROWS);
    for (size_t b = 0; b < blocks; b++, to += bytes * LAID_ROWS)
        for (size_t row = 0; row < rows; row++)
            write_block(to, from + row * row_bytes + b * bytes, bytes, &p, row);
}
